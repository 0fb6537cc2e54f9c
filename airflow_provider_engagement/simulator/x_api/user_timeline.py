"""The endpoint that lists the Tweets of a user, the newest first, in pages."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zlib import crc32

from airflow_provider_engagement.simulator.entities import Tweet
from airflow_provider_engagement.simulator.tweet_order import newest_version
from airflow_provider_engagement.simulator.x_api.answer import Answer
from airflow_provider_engagement.simulator.x_api.problem_bodies import RejectedByXApi
from airflow_provider_engagement.simulator.x_api.reader import Reader
from airflow_provider_engagement.simulator.x_api.tweet_selection import TweetSelection

MAX_LISTED: Final = 3200
"""How many of the newest Tweets of a user can be listed (guide, timelines)."""

MAX_LISTED_WITHOUT_REPLIES: Final = 800
"""How many if replies are left out."""

_DEFAULT_PAGE: Final = 10
_NEXT, _PREVIOUS = 1, 2
_EXCLUDED_KINDS: Final = {"replies": "replied_to", "retweets": "retweeted"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Slot:
    """A slot in a list. A page can lack the Tweet at a slot, because it was deleted or is left out."""

    id: int
    tweet: Tweet | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Range:
    """Which Tweets a request lists: from ``since`` on, until ``until``, both without the ends that are ids."""

    since_id: int
    until_id: int
    start: datetime | None
    end: datetime | None

    def has_begun(self, tweet: Tweet, reader: Reader) -> bool:
        """Return whether a list from the newest Tweet on has reached the range."""
        return int(tweet.id) < self.until_id and (self.end is None or reader.created(tweet) < self.end)

    def has_ended(self, tweet: Tweet, reader: Reader) -> bool:
        """Return whether a list from the newest Tweet on has left the range."""
        return int(tweet.id) <= self.since_id or (self.start is not None and reader.created(tweet) < self.start)


def tweets_of_user(reader: Reader, query: Mapping[str, Any], user_id: str) -> Answer:
    """Return a page of the Tweets of a user.

    :raises RejectedByXApi: the token of the page is not one of this endpoint.
    """
    profile = reader.world.profiles.find(user_id)
    if profile is None:
        return Answer(errors=[reader.problems.not_found("user", "id", user_id)])
    if profile.suspended:
        return Answer(errors=[reader.problems.suspended("id", user_id)])
    if not reader.may_see(profile):
        return Answer(errors=[reader.problems.not_visible("user", "id", user_id)])
    selection = TweetSelection.of_query(reader, query)
    direction, position = _position(reader, query.get("pagination_token"))
    size = query.get("max_results", _DEFAULT_PAGE)
    first_older = 2**64 if position is None else position
    slots, ended_by_limit = _slots(reader, query, user_id, before=first_older, enough=size + 1)
    newer = [slot for slot in slots if slot.id > first_older]
    older = [slot for slot in slots if slot.id < first_older]
    if direction == _PREVIOUS:
        page, has_next, has_previous = newer[-size:], True, len(newer) > size
    else:
        page, has_next, has_previous = older[:size], len(older) > size, position is not None
    answer = Answer()
    selection.show([slot.tweet for slot in page if slot.tweet is not None], answer, "id", listed=True)
    answer.meta = {"result_count": len(answer.tweets)}
    if answer.tweets:
        answer.meta |= {"newest_id": answer.tweets[0], "oldest_id": answer.tweets[-1]}
    if page and (has_next or (ended_by_limit and reader.switches.token_at_limit)):
        answer.meta["next_token"] = _token(_NEXT, page[-1].id)
    if page and has_previous:
        answer.meta["previous_token"] = _token(_PREVIOUS, page[0].id)
    return answer


def _slots(
    reader: Reader, query: Mapping[str, Any], user_id: str, *, before: int, enough: int
) -> tuple[list[_Slot], bool]:
    """Return the slots from the newest Tweet to the end of a page, and whether the limit ends them.

    :param before: the id at which the page begins.
    :param enough: after how many slots of smaller ids to stop.
    """
    excluded = {_EXCLUDED_KINDS[word] for word in query.get("exclude", ())}
    without_replies = "replied_to" in excluded
    limit = MAX_LISTED_WITHOUT_REPLIES if without_replies else MAX_LISTED
    wanted = _Range(
        since_id=int(query.get("since_id", 0)),
        until_id=int(query.get("until_id", 2**64)),
        start=query.get("start_time"),
        end=query.get("end_time"),
    )
    sparse = reader.switches.pages == "sparse"
    slots: list[_Slot] = []
    counted = 0
    for tweet in _newest_first(reader, user_id):
        reference = reader.world.contents.reference(tweet) if excluded else None
        is_excluded = reference is not None and reference.kind in excluded
        shown = not tweet.deleted and not is_excluded
        if not tweet.deleted and (shown or reader.switches.reply_limit == "posted" or not without_replies):
            if counted == limit:
                return slots, True
            counted += 1
        if wanted.has_ended(tweet, reader):
            return slots, False
        if (shown or sparse) and wanted.has_begun(tweet, reader):
            slots.append(_Slot(id=int(tweet.id), tweet=tweet if shown else None))
            enough -= int(tweet.id) < before
            if enough == 0:
                return slots, False
    return slots, False


def _newest_first(reader: Reader, user_id: str) -> Iterator[Tweet]:
    """Yield the Tweets of a user that have been posted, deleted ones included, each in its newest version."""
    for number in reversed(reader.world.order.of_author(user_id)):
        tweet = reader.world.tweets[str(number)]
        if reader.exists(tweet) and (not tweet.versions or newest_version(tweet, reader.newest_id) == tweet.id):
            yield tweet


def _token(direction: int, position: int) -> str:
    content = bytes([direction]) + position.to_bytes(8)
    return base64.b32hexencode(content + crc32(content).to_bytes(4)).decode().rstrip("=").lower()


def _position(reader: Reader, token: str | None) -> tuple[int, int | None]:
    """Return the direction of a page, and the id that it begins after; ``None`` for the first page."""
    if token is None:
        return _NEXT, None
    try:
        decoded = base64.b32hexdecode(token.upper() + "=" * (-len(token) % 8))
    except ValueError:
        decoded = b""
    content, check = decoded[:-4], decoded[-4:]
    if len(content) != 9 or crc32(content).to_bytes(4) != check:
        raise _invalid_token(reader, token)
    return content[0], int.from_bytes(content[1:])


def _invalid_token(reader: Reader, token: str) -> RejectedByXApi:
    message = f"The `pagination_token` query parameter value [{token}] is not valid"
    return reader.problems.invalid_request([{"parameters": {"pagination_token": [token]}, "message": message}])
