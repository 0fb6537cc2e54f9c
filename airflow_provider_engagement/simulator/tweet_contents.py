"""What the Tweets of a world say: text, language, kind, conversation and media, each computed when it is read."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Literal

from airflow_provider_engagement.simulator.counts import fractions
from airflow_provider_engagement.simulator.entities import Reference, Tweet
from airflow_provider_engagement.simulator.profiles import Profiles
from airflow_provider_engagement.simulator.tweet_order import TweetOrder
from airflow_provider_engagement.simulator.tweet_texts import (
    LANGUAGES,
    MAX_LENGTH,
    MAX_RETWEET_LENGTH,
    cut,
    random_text,
    with_typing_error,
)

Kind = Literal["original", "replied_to", "quoted", "retweeted"]

_GIF: Final = 0.12
"""The share of GIFs among the Tweets with an image."""

_MAIN_LANGUAGE: Final = 0.85
"""The share of the Tweets of an author that are in the author's language."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentShares:
    """How many of the Tweets are of a kind, as numbers between 0 and 1.

    :param reply: the share of replies.
    :param quote: the share of quotes.
    :param retweet: the share of retweets.
    :param long: the share of the others whose text is longer than an answer shows.
    :param promoted: the share of Tweets with promoted engagement.
    """

    reply: float = 0.0
    quote: float = 0.0
    retweet: float = 0.0
    long: float = 0.0
    promoted: float = 0.0

    def __post_init__(self) -> None:
        """Check the values.

        :raises ValueError: a share is not between 0 and 1, or the kinds are more than all Tweets.
        """
        for field in fields(self):
            share = getattr(self, field.name)
            if not 0 <= share <= 1:
                raise ValueError(f"{field.name}: {share} is not a share. Give a number between 0 and 1.")
        if self.reply + self.quote + self.retweet > 1:
            raise ValueError("reply, quote and retweet: together more than 1. Give shares of all Tweets.")


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaItem:
    """A medium in a Tweet.

    :param key: its key. Tweets with the same video have the same key.
    :param kind: ``video``, ``animated_gif`` or ``photo``.
    """

    key: str
    kind: Literal["video", "animated_gif", "photo"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TweetContent:
    """What a Tweet says.

    :param full_text: the text in full.
    :param text: the text as an answer shows it, which may be cut.
    :param lang: its language.
    :param reference: the Tweet that it replies to, quotes or retweets, if any.
    :param conversation_id: the first Tweet of its conversation.
    :param in_reply_to_user_id: the author of the Tweet that it replies to, if any.
    :param media: its media.
    """

    full_text: str
    text: str
    lang: str
    reference: Reference | None
    conversation_id: str
    in_reply_to_user_id: str | None
    media: tuple[MediaItem, ...]

    @property
    def kind(self) -> Kind:
        """Whether it replies, quotes or retweets, or is an original."""
        return "original" if self.reference is None else self.reference.kind


class TweetContents:
    """The contents of the Tweets of a world. Each is a pure function of the seed and the world.

    :param tweets: the Tweets, by id.
    :param order: the Tweets in order of their ids.
    :param profiles: the users.
    :param shares: how many of the Tweets are of a kind.
    :param seed: the same seed gives the same contents.
    """

    def __init__(
        self, *, tweets: Mapping[str, Tweet], order: TweetOrder, profiles: Profiles, shares: ContentShares, seed: int
    ) -> None:
        self._tweets = tweets
        self._order = order
        self._profiles = profiles
        self._shares = shares
        self._seed = seed

    def of(self, tweet: Tweet) -> TweetContent:
        """Return what a Tweet says."""
        reference = self.reference(tweet)
        lang = self._lang(tweet)
        target = None if reference is None else self._tweets.get(reference.tweet_id)
        full_text, longest = self._full_text(tweet, lang), MAX_LENGTH
        if reference is not None and reference.kind == "retweeted" and target is not None and tweet.text is None:
            original = self.of(target)
            lang, longest = original.lang, MAX_RETWEET_LENGTH
            full_text = f"RT @{self._profiles.of(target.author_id).username}: {original.full_text}"
        return TweetContent(
            full_text=full_text,
            text=cut(full_text, longest),
            lang=lang,
            reference=reference,
            conversation_id=self._conversation_id(tweet, reference),
            in_reply_to_user_id=self.in_reply_to_user_id(reference),
            media=media_of(tweet),
        )

    def reference(self, tweet: Tweet) -> Reference | None:
        """Return the Tweet that a Tweet replies to, quotes or retweets, if any."""
        if tweet.reference is not None or tweet.text is not None or tweet.versions:
            return tweet.reference
        kind_of, which, _, _ = fractions(self._seed, tweet.id, "kind")
        shares = self._shares
        if kind_of >= shares.reply + shares.quote + shares.retweet:
            return None
        target = self._order.earlier(tweet.id, which)
        if target is None:
            return None
        if kind_of < shares.reply:
            return Reference("replied_to", target)
        if kind_of < shares.reply + shares.quote:
            return Reference("quoted", target)
        # Who retweets a retweet retweets the original.
        other = self.reference(self._tweets[target])
        return other if other is not None and other.kind == "retweeted" else Reference("retweeted", target)

    def in_reply_to_user_id(self, reference: Reference | None) -> str | None:
        """Return the author of the Tweet that a reference replies to, if it does and the world has the Tweet."""
        if reference is None or reference.kind != "replied_to":
            return None
        target = self._tweets.get(reference.tweet_id)
        return None if target is None else target.author_id

    def promoted(self, tweet: Tweet) -> float:
        """Return the promoted engagement of a Tweet as a multiple of the organic; 0 if it was never promoted."""
        if tweet.promoted is not None:
            return tweet.promoted
        chance, factor, _, _ = fractions(self._seed, tweet.id, "promoted")
        # A promoted Tweet cannot be edited.
        return 0.0 if tweet.versions or chance >= self._shares.promoted else 0.1 + 1.9 * factor

    def _full_text(self, tweet: Tweet, lang: str) -> str:
        if tweet.text is not None:
            return tweet.text
        generator = random.Random(f"text {self._seed} {tweet.history[0]}")
        is_long = generator.random() < self._shares.long
        text = random_text(generator, lang, sentences=generator.randint(8, 14) if is_long else generator.randint(1, 2))
        edits = len(tweet.history) - 1 - tweet.history.index(tweet.id)
        return with_typing_error(text, edits) if edits else text

    def _lang(self, tweet: Tweet) -> str:
        if tweet.lang is not None:
            return tweet.lang
        of_author, _, _, _ = fractions(self._seed, tweet.author_id, "lang")
        other, of_tweet, _, _ = fractions(self._seed, tweet.history[0], "lang")
        return LANGUAGES[int((of_author if other < _MAIN_LANGUAGE else of_tweet) * len(LANGUAGES))]

    def _conversation_id(self, tweet: Tweet, reference: Reference | None) -> str:
        while reference is not None and reference.kind == "replied_to":
            target = self._tweets.get(reference.tweet_id)
            if target is None:
                return reference.tweet_id
            tweet, reference = target, self.reference(target)
        return tweet.history[0]


def media_of(tweet: Tweet) -> tuple[MediaItem, ...]:
    """Return the media in a Tweet."""
    if tweet.video_id is not None:
        return (MediaItem(key=f"13_{tweet.video_id}", kind="video"),)
    if not tweet.image:
        return ()
    number = int(tweet.history[0])
    gif, how_many, _, _ = fractions(0, tweet.history[0], "media")
    if gif < _GIF:
        return (MediaItem(key=f"16_{number + 1}", kind="animated_gif"),)
    return tuple(MediaItem(key=f"3_{number + 1 + place}", kind="photo") for place in range(1 + int(how_many**3 * 4)))
