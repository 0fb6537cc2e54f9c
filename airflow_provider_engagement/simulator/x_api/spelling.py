"""The two vocabularies of X API v2: that of Tweets, and that of posts. The spelling of a request decides."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final


class Spelling(StrEnum):
    """A vocabulary."""

    TWEET = "tweet"
    POST = "post"


_POST_WORDS: Final[Mapping[str, str]] = {
    "edit_history_tweet_ids": "edit_history_post_ids",
    "note_tweet": "note_post",
    "pinned_tweet_id": "pinned_post_id",
    "referenced_tweets": "referenced_posts",
    "referenced_tweets.id": "referenced_posts",
    "retweet_count": "repost_count",
}
_TWEET_WORDS: Final = {
    post: tweet for tweet, post in _POST_WORDS.items() if tweet not in ("referenced_tweets", "referenced_tweets.id")
}

TWEET_FIELDS: Final = (
    "article",
    "attachments",
    "author_id",
    "card_uri",
    "community_id",
    "context_annotations",
    "conversation_id",
    "created_at",
    "display_text_range",
    "edit_controls",
    "edit_history_tweet_ids",
    "entities",
    "geo",
    "id",
    "in_reply_to_user_id",
    "lang",
    "media_metadata",
    "non_public_metrics",
    "note_tweet",
    "organic_metrics",
    "possibly_sensitive",
    "promoted_metrics",
    "public_metrics",
    "referenced_tweets",
    "reply_settings",
    "scopes",
    "source",
    "text",
    "withheld",
)
POST_FIELDS: Final = tuple(_POST_WORDS.get(field, field) for field in TWEET_FIELDS)
USER_FIELDS: Final = (
    "created_at",
    "description",
    "entities",
    "id",
    "location",
    "name",
    "pinned_tweet_id",
    "profile_image_url",
    "protected",
    "public_metrics",
    "url",
    "username",
    "verified",
    "verified_type",
    "withheld",
)
MEDIA_FIELDS: Final = (
    "alt_text",
    "duration_ms",
    "height",
    "media_key",
    "non_public_metrics",
    "organic_metrics",
    "preview_image_url",
    "promoted_metrics",
    "public_metrics",
    "type",
    "url",
    "variants",
    "width",
)
TWEET_EXPANSIONS: Final = (
    "attachments.media_keys",
    "attachments.media_source_tweet",
    "attachments.poll_ids",
    "author_id",
    "edit_history_tweet_ids",
    "entities.mentions.username",
    "geo.place_id",
    "in_reply_to_user_id",
    "referenced_tweets.id",
    "referenced_tweets.id.author_id",
)
USER_EXPANSIONS: Final = ("pinned_tweet_id",)


def with_post_words(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names in both vocabularies."""
    return tuple(dict.fromkeys([*names, *(_POST_WORDS.get(name, name) for name in names)]))


def spelling_of(query: Mapping[str, Any]) -> Spelling:
    """Return the vocabulary of a request.

    :param query: the decoded parameters.
    """
    words = {*query, *query.get("expansions", ())}
    return Spelling.POST if words & {"post.fields", *_POST_WORDS.values()} else Spelling.TWEET


def in_tweet_words(fields: Any, *, expansions: bool = False) -> frozenset[str]:
    """Return names of fields or expansions in the vocabulary of Tweets."""
    words = {**_TWEET_WORDS, "referenced_posts": "referenced_tweets.id" if expansions else "referenced_tweets"}
    return frozenset(words.get(field, field) for field in fields)


def spelled(value: Any, spelling: Spelling) -> Any:
    """Return an object of a response in a vocabulary.

    :param value: the object, in the vocabulary of Tweets.
    :param spelling: the vocabulary.
    """
    if spelling is Spelling.TWEET or not isinstance(value, dict):
        return value
    return {_POST_WORDS.get(name, name): spelled(inner, spelling) for name, inner in value.items()}


def spelled_name(name: str, spelling: Spelling) -> str:
    """Return the name of a field, such as ``organic_metrics.retweet_count``, in a vocabulary."""
    if spelling is Spelling.TWEET:
        return name
    return ".".join(_POST_WORDS.get(part, part) for part in name.split("."))
