"""The users of a world as other people see them: names, and followers that change over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from airflow_provider_engagement.simulator.counts import fractions
from airflow_provider_engagement.simulator.entities import Handle
from airflow_provider_engagement.simulator.tweet_order import TweetOrder
from airflow_provider_engagement.tweet_id import created_at

_FIRST_ACCOUNT: Final = datetime(2007, 3, 1, tzinfo=UTC)
_DAYS_OF_OLD_ACCOUNTS: Final = 3000
"""Accounts from before snowflake ids are of these days."""

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, kw_only=True, slots=True)
class Audience:
    """How many accounts a user has to do with at a time.

    :param followers: the accounts that follow the user.
    :param following: the accounts that the user follows.
    :param listed: the lists that contain the user.
    """

    followers: int
    following: int
    listed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """A user.

    :param user_id: the numeric id.
    :param username: the @name, without the @.
    :param name: the name that people read.
    :param created: when the account was created.
    :param protected: whether only followers can read the Tweets.
    :param suspended: whether X has suspended the account.
    """

    user_id: str
    username: str
    name: str
    created: datetime
    protected: bool = False
    suspended: bool = False


class Profiles:
    """The users of a world: those who have authorized an app, and the other authors of Tweets.

    :param handles: the users who have authorized an app, by id.
    :param order: the Tweets, whose authors are users as well.
    :param seed: the same seed gives the same followers.
    """

    def __init__(self, handles: Mapping[str, Handle], order: TweetOrder, seed: int) -> None:
        self._handles = handles
        self._order = order
        self._seed = seed

    def of(self, user_id: str) -> Profile:
        """Return a user, whether or not the world has one with that id."""
        created = self._created(user_id)
        handle = self._handles.get(user_id)
        if handle is None:
            username = f"u_{_base36(int(user_id))}"
            return Profile(user_id=user_id, username=username, name=f"User {user_id[-4:]}", created=created)
        return Profile(
            user_id=user_id,
            username=handle.screen_name,
            name=handle.name or handle.screen_name.replace("_", " ").title(),
            created=created,
            protected=handle.protected,
            suspended=handle.suspended,
        )

    def find(self, user_id: str) -> Profile | None:
        """Return the user with an id, if the world has one."""
        return self.of(user_id) if user_id in self._handles or self._order.of_author(user_id) else None

    def named(self, username: str) -> Profile | None:
        """Return the user with an @name, if the world has one. Upper and lower case are the same."""
        wanted = username.lower()
        for handle in self._handles.values():
            if handle.screen_name.lower() == wanted:
                return self.of(handle.user_id)
        if not wanted.startswith("u_"):
            return None
        user_id = _from_base36(wanted.removeprefix("u_"))
        return self.find(user_id) if user_id is not None and user_id not in self._handles else None

    def __iter__(self) -> Iterator[Profile]:
        """Iterate over all users."""
        for user_id in dict.fromkeys([*self._handles, *self._order.authors()]):
            yield self.of(user_id)

    def audience(self, user_id: str, at: datetime) -> Audience:
        """Return how many followers and the like a user has at a time. Some days have fewer than the day before."""
        size, growth, following, listed = fractions(self._seed, user_id, "audience")
        days = max(0.0, (at - self._created(user_id)) / timedelta(days=1))
        final = 10 ** (2 + 4 * size)
        share = 1 - math.exp(-days / (500 + 4000 * growth))
        _, today, _, _ = fractions(self._seed, user_id, "audience", str(math.floor(days)))
        followers = math.floor(final * share + days / 10 + (today - 0.5) * math.sqrt(final))
        return Audience(
            followers=max(0, followers),
            following=math.floor(10 ** (1 + 2 * following) * share),
            listed=max(0, math.floor(followers * 0.01 * listed)),
        )

    def _created(self, user_id: str) -> datetime:
        in_id = created_at(user_id) if len(user_id) > 15 else None
        if in_id is not None:
            return in_id
        day, second, _, _ = fractions(self._seed, user_id, "account")
        return _FIRST_ACCOUNT + timedelta(days=int(day * _DAYS_OF_OLD_ACCOUNTS), seconds=int(second * 86400))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _from_base36(text: str) -> str | None:
    return str(int(text, len(_DIGITS))) if text and all(sign in _DIGITS for sign in text) else None
