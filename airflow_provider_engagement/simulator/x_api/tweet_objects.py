"""The objects of Tweets and of their media, with the fields that a request asks for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from airflow_provider_engagement.simulator.counts import fractions
from airflow_provider_engagement.simulator.entities import Tweet
from airflow_provider_engagement.simulator.tweet_contents import MediaItem, TweetContent
from airflow_provider_engagement.simulator.tweet_figures import Figures
from airflow_provider_engagement.simulator.x_api.reader import Reader

_EDIT_WINDOW: Final = timedelta(minutes=30)
_MAX_EDITS: Final = 5
_WITHOUT_LINK_CLICKS: Final = 0.5
"""The share of Tweets that lack the count of clicks on links, if only some do."""


def tweet_object(reader: Reader, tweet: Tweet, fields: frozenset[str], *, private: frozenset[str]) -> dict[str, Any]:
    """Return a Tweet as a response shows it, in the vocabulary of Tweets.

    :param reader: who reads it.
    :param tweet: the Tweet.
    :param fields: the fields to show besides the default ones.
    :param private: the groups of private metrics to show.
    """
    content = reader.world.contents.of(tweet)
    shown: dict[str, Any] = {
        "id": tweet.id,
        "text": content.text,
        "edit_history_tweet_ids": [version for version in tweet.history if int(version) <= reader.newest_id]
        or [tweet.id],
    }
    if fields:
        shown.update({name: value for name, value in _optional(reader, tweet, content).items() if name in fields})
    if "edit_controls" in fields:
        shown["edit_controls"] = _edit_controls(reader, tweet, content)
    if "public_metrics" in fields:
        shown["public_metrics"] = reader.figures.public(tweet)
    for group in ("non_public_metrics", "organic_metrics", "promoted_metrics"):
        if group in private:
            shown[group] = _private(reader, tweet, group)
    return shown


def api_time(time: datetime) -> str:
    """Return a time as X API v2 writes it."""
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"


def _optional(reader: Reader, tweet: Tweet, content: TweetContent) -> dict[str, Any]:
    """Return what costs little of what a request can ask for. A Tweet lacks the fields that do not concern it."""
    values = {
        "author_id": tweet.author_id,
        "conversation_id": content.conversation_id,
        "created_at": api_time(reader.created(tweet)),
        "lang": content.lang,
        "possibly_sensitive": False,
        "reply_settings": "everyone",
        "in_reply_to_user_id": content.in_reply_to_user_id,
        "referenced_tweets": content.reference and [{"type": content.reference.kind, "id": content.reference.tweet_id}],
        "attachments": content.media and {"media_keys": [item.key for item in content.media]},
        "note_tweet": {"text": content.full_text}
        if content.text != content.full_text and content.kind != "retweeted"
        else None,
    }
    return {name: value for name, value in values.items() if value is not None and value != ()}


def _edit_controls(reader: Reader, tweet: Tweet, content: TweetContent) -> dict[str, Any]:
    first = reader.world.tweets.get(tweet.history[0], tweet)
    return {
        "edits_remaining": max(0, _MAX_EDITS - len(tweet.history) + 1),
        "is_edit_eligible": content.kind in ("original", "quoted") and not reader.figures.is_promoted(tweet),
        "editable_until": api_time(reader.created(first) + _EDIT_WINDOW),
    }


def _private(reader: Reader, tweet: Tweet, group: str) -> Figures:
    figures, switches = reader.figures, reader.switches
    if group == "organic_metrics":
        shown = figures.organic(tweet)
    elif group == "promoted_metrics":
        shown = figures.promoted(tweet)
    else:
        shown = figures.non_public(tweet, with_promoted=switches.non_public_counts == "all")
        if not switches.non_public_engagements:
            del shown["engagements"]
    lacks_clicks, _, _, _ = fractions(0, tweet.id, "url_link_clicks")
    if switches.url_link_clicks == "never" or (
        switches.url_link_clicks == "sometimes" and lacks_clicks < _WITHOUT_LINK_CLICKS
    ):
        del shown["url_link_clicks"]
    return shown


def media_object(
    reader: Reader, tweet: Tweet, item: MediaItem, fields: frozenset[str], *, private: frozenset[str]
) -> dict[str, Any]:
    """Return a medium of a Tweet as a response shows it.

    :param reader: who reads it.
    :param tweet: a Tweet that carries it.
    :param item: the medium.
    :param fields: the fields to show besides the default ones.
    :param private: the groups of private metrics to show.
    """
    address = f"https://pbs.twimg.com/media/{item.key}.jpg"
    values: dict[str, Any] = {"width": 1200, "height": 675, "alt_text": f"A {item.kind.replace('_', ' ')}"}
    if item.kind == "photo":
        values["url"] = address
    else:
        values["preview_image_url"] = address
    shown: dict[str, Any] = {"media_key": item.key, "type": item.kind}
    if item.kind == "video":
        views = reader.figures.views(tweet)
        total = sum(views.values())
        values["duration_ms"] = 5000 + int(item.key.partition("_")[2]) % 120_000
        values["public_metrics"] = {"view_count": total}
        playbacks = {
            "non_public_metrics": reader.figures.playbacks(tweet, total),
            "organic_metrics": {**reader.figures.playbacks(tweet, views["organic"]), "view_count": views["organic"]},
            "promoted_metrics": {**reader.figures.playbacks(tweet, views["promoted"]), "view_count": views["promoted"]},
        }
        shown.update({group: playbacks[group] for group in sorted(private & playbacks.keys())})
    return {**shown, **{name: value for name, value in values.items() if name in fields}}
