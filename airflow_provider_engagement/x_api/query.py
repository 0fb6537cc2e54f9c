"""What a pull asks X API for: queries that the API accepts, or an error before a request is sent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.http.credentials import Account, Auth
from airflow_provider_engagement.tweet_id import is_tweet_id
from airflow_provider_engagement.x_api.catalogue import (
    EARLIEST_TIME,
    HANDLE,
    LISTED_TWEETS,
    LISTED_TWEETS_WITHOUT_REPLIES,
    Excluded,
    FieldGroup,
)

PUBLIC_ONLY = (FieldGroup.PUBLIC,)
PRIVATE = (FieldGroup.NON_PUBLIC, FieldGroup.ORGANIC)


@dataclass(frozen=True, kw_only=True, slots=True)
class LookupQuery:
    """Tweets to look up with the credentials of one account.

    A query asks for public or for private metrics, never for both: a field that the API refuses takes the whole Tweet
    out of the answer, public metrics included.

    :param tweet_ids: Tweet ids without duplicates, at least one, with no upper bound.
    :param groups: the groups of metrics.
    :param auth: the kind of credentials.
    :param owner: the id of the user whose access token signs; ``None`` for that of the connection, and for app
        credentials.
    :raises InvalidQueryError: if the API would reject the query.
    """

    tweet_ids: tuple[str, ...]
    groups: tuple[FieldGroup, ...]
    auth: Auth
    owner: str | None = None

    def __post_init__(self) -> None:
        if not self.tweet_ids:
            raise InvalidQueryError("tweets", "is empty", "Name at least one Tweet.")
        if not all(map(is_tweet_id, self.tweet_ids)) or len(set(self.tweet_ids)) < len(self.tweet_ids):
            raise InvalidQueryError(
                "tweets", "holds a duplicate or an invalid Tweet id", "Pass ids of 1 to 19 digits, each once."
            )
        _check_groups(self.groups, self.auth)

    @property
    def account(self) -> Account:
        """Whose credentials sign the requests."""
        return self.auth, self.owner


@dataclass(frozen=True, kw_only=True, slots=True)
class ListingQuery:
    """The Tweets of one user to list, newest first.

    :param user_id: the user.
    :param start: the time of the oldest Tweets, inclusive; ``None`` for as far back as the API goes.
    :param end: the time before which all Tweets were created; ``None`` for now.
    :param excluded: the kinds of Tweets to leave out, in the order of the catalogue.
    :param groups: the groups of metrics, public or private.
    :param auth: the kind of credentials.
    :param owner: the id of the user whose access token signs; ``None`` for that of the connection, and for app
        credentials.
    :raises InvalidQueryError: if the API would reject the query.
    """

    user_id: str
    start: datetime | None = None
    end: datetime | None = None
    excluded: tuple[Excluded, ...] = ()
    groups: tuple[FieldGroup, ...] = PUBLIC_ONLY
    auth: Auth
    owner: str | None = None

    def __post_init__(self) -> None:
        check_user_ids([self.user_id])
        _check_groups(self.groups, self.auth)
        object.__setattr__(self, "excluded", tuple(one for one in Excluded if one in self.excluded))
        for edge in ("start", "end"):
            time: datetime | None = getattr(self, edge)
            if time is None:
                continue
            if time.tzinfo is None:
                raise InvalidQueryError(edge, f"{time.isoformat()} has no time zone", "Pass an aware time.")
            if time.microsecond:
                raise InvalidQueryError(
                    edge, f"{time.isoformat()} is not a whole second", "Round it: the API has no fractions of a second."
                )
            if time < EARLIEST_TIME:
                raise InvalidQueryError(
                    edge,
                    f"{time.isoformat()} is before {EARLIEST_TIME.isoformat()}, the earliest time that the API accepts",
                    "Pass a later time.",
                )
            # pendulum's subclass loses its time zone in arithmetic.
            time = time.astimezone(UTC)
            object.__setattr__(self, edge, datetime.combine(time.date(), time.time(), UTC))
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise InvalidQueryError(
                "start", f"{self.start.isoformat()} is not before end, {self.end.isoformat()}", "Pass an earlier start."
            )

    @property
    def account(self) -> Account:
        """Whose credentials sign the requests."""
        return self.auth, self.owner

    @property
    def reach(self) -> int:
        """How many of the user's newest Tweets the API lists at most."""
        return LISTED_TWEETS_WITHOUT_REPLIES if Excluded.REPLIES in self.excluded else LISTED_TWEETS


@dataclass(frozen=True, kw_only=True, slots=True)
class UserQuery:
    """Users to look up, by handle or by id.

    :param handles: handles without the @.
    :param user_ids: ids.
    :param auth: the kind of credentials.
    :param owner: the id of the user whose access token signs; ``None`` for that of the connection, and for app
        credentials.
    :raises InvalidQueryError: if there are neither handles nor ids, or if one is not valid.
    """

    handles: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    auth: Auth
    owner: str | None = None

    def __post_init__(self) -> None:
        if not self.handles and not self.user_ids:
            raise InvalidQueryError("users", "is empty", "Name at least one user.")
        check_handles(self.handles)
        check_user_ids(self.user_ids)

    @property
    def account(self) -> Account:
        """Whose credentials sign the requests."""
        return self.auth, self.owner


def check_handles(handles: Collection[str]) -> None:
    """Refuse what cannot be a handle, and handles that differ only in case, because X does not tell them apart.

    :param handles: handles without the @.
    :raises InvalidQueryError: if one is not valid.
    """
    for handle in handles:
        if HANDLE.fullmatch(handle) is None:
            raise InvalidQueryError(
                "users", f"{handle!r} is not a handle", "A handle has 1 to 15 letters, digits and underscores."
            )
    if len({handle.lower() for handle in handles}) < len(handles):
        raise InvalidQueryError("users", "holds a duplicate handle", "Name each user once.")


def check_user_ids(user_ids: Sequence[str]) -> None:
    """Refuse what cannot be the id of a user.

    :param user_ids: ids.
    :raises InvalidQueryError: if one is not valid.
    """
    # The form is that of Tweet ids: 1 to 19 digits.
    if not all(map(is_tweet_id, user_ids)) or len(set(user_ids)) < len(user_ids):
        raise InvalidQueryError(
            "users", "holds a duplicate or an invalid user id", "Pass ids of 1 to 19 digits, each once."
        )


def _check_groups(groups: Sequence[FieldGroup], auth: Auth) -> None:
    if not groups or len(set(groups)) < len(groups):
        raise InvalidQueryError("metrics", "holds no group or a duplicate", "Name each group of metrics once.")
    private = [group for group in groups if group.is_private]
    if private and len(private) < len(groups):
        raise InvalidQueryError(
            "metrics",
            "mixes public and private metrics",
            "Ask for them in separate queries: a refused field hides all.",
        )
    if private and auth is not Auth.USER:
        raise InvalidQueryError(
            "auth",
            f"{private[0].field} are not available with app credentials",
            "Use a connection with an access token of the user who posted the Tweets.",
        )
