"""Shows some Tweets with what a request expands, leaving out those whose fields the reader cannot read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from airflow_provider_engagement.simulator.entities import Tweet
from airflow_provider_engagement.simulator.tweet_contents import MediaItem, media_of
from airflow_provider_engagement.simulator.x_api.answer import Answer
from airflow_provider_engagement.simulator.x_api.problem_bodies import (
    APP_AUTHENTICATION,
    USER_AUTHENTICATION,
    Problem,
)
from airflow_provider_engagement.simulator.x_api.reader import PRIVATE_METRICS, Reader
from airflow_provider_engagement.simulator.x_api.spelling import Spelling, in_tweet_words, spelled, spelled_name
from airflow_provider_engagement.simulator.x_api.tweet_objects import media_object, tweet_object
from airflow_provider_engagement.simulator.x_api.user_objects import user_object

_MEDIA_METRICS: Final = tuple(f"playback_{part}_count" for part in (0, 25, 50, 75, 100))
_FIELDS_OF_EXPANSION: Final = {
    "author_id": "author_id",
    "attachments.media_keys": "attachments",
    "in_reply_to_user_id": "in_reply_to_user_id",
    "referenced_tweets.id": "referenced_tweets",
    "referenced_tweets.id.author_id": "referenced_tweets",
}
"""The fields that an expansion shows even if the request does not name them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TweetSelection:
    """The fields and expansions of a request.

    :param reader: who reads.
    :param fields: the fields of the Tweets, in their own vocabulary.
    :param user_fields: the fields of users.
    :param media_fields: the fields of media.
    :param expansions: what to expand.
    """

    reader: Reader
    fields: frozenset[str]
    user_fields: frozenset[str]
    media_fields: frozenset[str]
    expansions: frozenset[str]

    @classmethod
    def of_query(cls, reader: Reader, query: Mapping[str, Any]) -> TweetSelection:
        """Return what a query selects.

        :raises RejectedByXApi: it selects private metrics with credentials of an app, and the API rejects that.
        """
        expansions = in_tweet_words(query.get("expansions", ()), expansions=True)
        named = in_tweet_words((*query.get("tweet.fields", ()), *query.get("post.fields", ())))
        expanded = {_FIELDS_OF_EXPANSION[name] for name in expansions if name in _FIELDS_OF_EXPANSION}
        selection = cls(
            reader=reader,
            fields=named | expanded,
            user_fields=in_tweet_words(query.get("user.fields", ())),
            media_fields=frozenset(query.get("media.fields", ())),
            expansions=expansions,
        )
        asks_for_private = bool((selection.fields | selection.media_fields) & PRIVATE_METRICS.keys())
        is_rejected = reader.identity.handle is None and reader.switches.app_on_private_metrics == "rejected"
        if asks_for_private and is_rejected:
            raise reader.problems.unsupported_authentication(APP_AUTHENTICATION, USER_AUTHENTICATION)
        return selection

    @property
    def private(self) -> frozenset[str]:
        """The groups of private metrics of Tweets."""
        return self.fields & PRIVATE_METRICS.keys()

    def show(self, tweets: Iterable[Tweet], answer: Answer, parameter: str, *, listed: bool = False) -> None:
        """Add Tweets to a response, with what they refer to.

        :param tweets: Tweets that the reader can see.
        :param answer: the response.
        :param parameter: the parameter that named the Tweets.
        :param listed: whether the Tweets are a list of a user's, which lacks those that are too old without a word.
        """
        data, shown = [], []
        for tweet in tweets:
            made = self._object(tweet, answer, parameter, section="data", listed=listed)
            if made is not None:
                data.append(made)
                shown.append(tweet)
        answer.data = data
        answer.tweets = [tweet.id for tweet in shown]
        self._include(shown, answer)

    def _object(
        self, tweet: Tweet, answer: Answer, parameter: str, *, section: str, listed: bool = False
    ) -> dict[str, Any] | None:
        """Return a Tweet as the response shows it; ``None`` if it is left out."""
        reader, private = self.reader, self.private
        refusal = self._refusal(tweet, listed=listed) if private else None
        if refusal == "errors":
            answer.errors += self._field_errors(tweet, parameter, section)
        if refusal in ("errors", "dropped"):
            return None
        if refusal == "left_out":
            private = frozenset()
        drops_unpromoted = "promoted_metrics" in private and reader.switches.unpromoted == "dropped"
        if drops_unpromoted and not reader.figures.is_promoted(tweet):
            return None
        made = tweet_object(reader, tweet, self.fields - PRIVATE_METRICS.keys(), private=private)
        result: dict[str, Any] = spelled(made, reader.spelling)
        return result

    def _refusal(self, tweet: Tweet, *, listed: bool) -> Literal["errors", "left_out", "dropped"] | None:
        """Return what becomes of a Tweet whose private metrics the reader cannot have; ``None`` if the reader can."""
        reader, switches = self.reader, self.reader.switches
        if not reader.is_user(tweet.author_id):
            return "errors"
        reference = reader.world.contents.reference(tweet)
        if reference is not None and reference.kind == "retweeted" and switches.private_metrics_of_retweets == "errors":
            return "errors"
        if reader.is_young(tweet):
            return None
        return switches.old_listed if listed else switches.old_private_metrics

    def _field_errors(self, tweet: Tweet, parameter: str, section: str) -> list[Problem]:
        return [
            self.reader.problems.forbidden_field(
                "tweet", spelled_name(f"{group}.{metric}", self.reader.spelling), parameter, tweet.id, section=section
            )
            for group in PRIVATE_METRICS
            if group in self.fields
            for metric in PRIVATE_METRICS[group]
        ]

    def _include(self, shown: list[Tweet], answer: Answer) -> None:
        reader, expansions = self.reader, self.expansions
        users: dict[str, None] = {}
        others: dict[str, str] = {}
        for tweet in shown:
            reference = reader.world.contents.reference(tweet)
            replied_to = reader.world.contents.in_reply_to_user_id(reference)
            if "author_id" in expansions:
                users[tweet.author_id] = None
            if "in_reply_to_user_id" in expansions and replied_to is not None:
                users[replied_to] = None
            if reference is not None and expansions & {
                "referenced_tweets.id",
                "referenced_tweets.id.author_id",
            }:
                others.setdefault(reference.tweet_id, "referenced_tweets.id")
            if "edit_history_tweet_ids" in expansions:
                others.update(
                    dict.fromkeys((one for one in tweet.history if one != tweet.id), "edit_history_tweet_ids")
                )
            if "attachments.media_keys" in expansions:
                self._include_media(tweet, media_of(tweet), answer)
        included = self._include_tweets(others, {tweet.id for tweet in shown}, answer)
        if "referenced_tweets.id.author_id" in expansions:
            users.update(dict.fromkeys(tweet.author_id for tweet in included))
        answer.includes["users"] = [
            user_object(reader, reader.world.profiles.of(user_id), self.user_fields) for user_id in users
        ]
        answer.included_users = list(users)

    def _include_tweets(self, others: Mapping[str, str], shown: set[str], answer: Answer) -> list[Tweet]:
        made, included = [], []
        for tweet_id, parameter in others.items():
            spelled_parameter = "referenced_posts" if self.reader.spelling is Spelling.POST else parameter
            found = self.reader.find(tweet_id, spelled_parameter, section="includes")
            if not isinstance(found, Tweet):
                answer.errors.append(found)
            elif (shown_tweet := self._object(found, answer, spelled_parameter, section="includes")) is not None:
                made.append(shown_tweet)
                included.append(found)
        answer.includes["posts" if self.reader.spelling is Spelling.POST else "tweets"] = made
        answer.included_tweets = [tweet.id for tweet in included if tweet.id not in shown]
        return included

    def _include_media(self, tweet: Tweet, media: Iterable[MediaItem], answer: Answer) -> None:
        reader = self.reader
        private = self.media_fields & PRIVATE_METRICS.keys()
        known = answer.includes.setdefault("media", [])
        for item in media:
            if any(one["media_key"] == item.key for one in known):
                continue
            if private and not (reader.is_user(tweet.author_id) and reader.is_young(tweet)):
                answer.errors += [
                    reader.problems.forbidden_field(
                        "media", f"{group}.{metric}", "attachments.media_keys", item.key, section="includes"
                    )
                    for group in sorted(private)
                    for metric in _MEDIA_METRICS
                ]
                continue
            known.append(media_object(reader, tweet, item, self.media_fields, private=private))
