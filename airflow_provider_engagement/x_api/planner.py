"""Plan the fewest requests that list or look up Tweets. Pure: no clock, no network, no storage.

A look-up has up to three steps, because only the answer to one says what the next has to ask for:

1. The public metrics of all Tweets. Any credentials read them, so Tweets of all authors share requests.
2. The public metrics of the Tweets that these credentials cannot see, with their owners' tokens.
3. The private metrics of young Tweets, with the tokens of their authors, whom the answers name.

A listing has pages, each of which names the next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from airflow_provider_engagement.exceptions import InvalidResponseError
from airflow_provider_engagement.http.credentials import Account, Auth
from airflow_provider_engagement.tweet_id import created_at
from airflow_provider_engagement.x_api.catalogue import (
    PRIVATE_AGE_ASKED,
    REQUESTED_EXPANSIONS,
    REQUESTED_MEDIA_FIELDS,
    REQUESTED_TWEET_FIELDS,
    REQUESTED_USER_FIELDS,
    X_ENDPOINTS,
    Excluded,
    FieldGroup,
    XEndpoint,
)
from airflow_provider_engagement.x_api.query import PRIVATE, PUBLIC_ONLY, ListingQuery, LookupQuery, UserQuery

PAGE = X_ENDPOINTS[XEndpoint.USER_TWEETS].per_request


class XRequest(Protocol):
    """One GET request. Everything that identifies it is in its path, its parameters and its account."""

    @property
    def endpoint(self) -> XEndpoint:
        """The endpoint, whose window the request counts against."""

    @property
    def path(self) -> str:
        """The path below the base URL."""

    @property
    def account(self) -> Account:
        """Whose credentials sign the request."""

    def parameters(self) -> dict[str, str]:
        """Return the query parameters, in the order in which they are sent."""


@dataclass(frozen=True, slots=True)
class LookupRequest:
    """One request for Tweets by id.

    :param query: the query that the request is a part of.
    :param tweet_ids: the Tweets, oldest first, at most as many as the endpoint accepts.
    """

    query: LookupQuery
    tweet_ids: tuple[str, ...]

    @property
    def endpoint(self) -> XEndpoint:
        """The endpoint, whose window the request counts against."""
        return XEndpoint.TWEETS

    @property
    def path(self) -> str:
        """The path below the base URL."""
        return X_ENDPOINTS[self.endpoint].path

    @property
    def account(self) -> Account:
        """Whose credentials sign the request."""
        return self.query.account

    def parameters(self) -> dict[str, str]:
        """Return the query parameters, in the order in which they are sent."""
        return {"ids": ",".join(self.tweet_ids), **_fields(self.query.groups)}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One request for a page of a user's Tweets.

    :param query: the query that the page is a part of.
    :param token: the token by which the page before named this one; ``None`` for the first page.
    :param size: how many Tweets the page has at most.
    """

    query: ListingQuery
    token: str | None = None
    size: int = PAGE

    @property
    def endpoint(self) -> XEndpoint:
        """The endpoint, whose window the request counts against."""
        return XEndpoint.USER_TWEETS

    @property
    def path(self) -> str:
        """The path below the base URL."""
        return X_ENDPOINTS[self.endpoint].path.format(id=self.query.user_id)

    @property
    def account(self) -> Account:
        """Whose credentials sign the request."""
        return self.query.account

    def parameters(self) -> dict[str, str]:
        """Return the query parameters, in the order in which they are sent."""
        query = self.query
        return {
            "max_results": str(self.size),
            **({"start_time": to_rfc_3339(query.start)} if query.start else {}),
            **({"end_time": to_rfc_3339(query.end)} if query.end else {}),
            **({"exclude": ",".join(query.excluded)} if query.excluded else {}),
            **_fields(query.groups),
            **({"pagination_token": self.token} if self.token else {}),
        }


@dataclass(frozen=True, slots=True)
class UsersRequest:
    """One request for users.

    :param query: the query that the request is a part of.
    :param handles: handles without the @, or none if the request names ids.
    :param user_ids: ids, or none if the request names handles.
    """

    query: UserQuery
    handles: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()

    @property
    def endpoint(self) -> XEndpoint:
        """The endpoint, whose window the request counts against."""
        return XEndpoint.USERS_BY_HANDLE if self.handles else XEndpoint.USERS

    @property
    def path(self) -> str:
        """The path below the base URL."""
        return X_ENDPOINTS[self.endpoint].path

    @property
    def account(self) -> Account:
        """Whose credentials sign the request."""
        return self.query.account

    def parameters(self) -> dict[str, str]:
        """Return the query parameters, in the order in which they are sent."""
        names = {"usernames": ",".join(self.handles)} if self.handles else {"ids": ",".join(self.user_ids)}
        return {**names, "user.fields": ",".join(REQUESTED_USER_FIELDS)}


def plan_public(tweet_ids: Collection[str], *, auth: Auth, owner: str | None = None) -> list[LookupRequest]:
    """Return the requests for the public metrics of Tweets, with the credentials of the connection.

    :param tweet_ids: the Tweets. Their order does not matter.
    :param auth: the kind of credentials.
    :param owner: the user of the connection's access token, if it is known.
    """
    if not tweet_ids:
        return []
    return _lookups(LookupQuery(tweet_ids=tuple(tweet_ids), groups=PUBLIC_ONLY, auth=auth, owner=owner))


def plan_refused(
    refused: Iterable[str], owners: Mapping[str, str | None], *, has_token: Callable[[str], bool]
) -> list[LookupRequest]:
    """Return the requests for the public metrics of Tweets that the credentials of the connection cannot see.

    :param refused: these Tweets, such as those of protected accounts.
    :param owners: the owner of each Tweet, as far as it is known. Only an owner's own token sees such a Tweet.
    :param has_token: returns whether there is an access token of a user.
    """
    return _by_owner({tweet_id: owners.get(tweet_id) for tweet_id in refused}, PUBLIC_ONLY, has_token)


def plan_private(
    authors: Mapping[str, str | None], *, has_token: Callable[[str], bool], now: datetime
) -> list[LookupRequest]:
    """Return the requests for the private metrics of Tweets, with their authors' tokens.

    :param authors: the author of each Tweet that the API returned.
    :param has_token: returns whether there is an access token of a user.
    :param now: the current time. Tweets that are too old for private metrics are left out.
    """
    young = {tweet_id: author for tweet_id, author in authors.items() if has_private_metrics(tweet_id, now=now)}
    return _by_owner(young, PRIVATE, has_token)


def plan_users(query: UserQuery) -> list[UsersRequest]:
    """Return the requests for users.

    :param query: the query.
    """
    handles = sorted(query.handles, key=str.lower)
    user_ids = sorted(query.user_ids, key=int)
    return [
        *(UsersRequest(query, handles=batch) for batch in _batches(handles, XEndpoint.USERS_BY_HANDLE)),
        *(UsersRequest(query, user_ids=batch) for batch in _batches(user_ids, XEndpoint.USERS)),
    ]


def plan_listing(query: ListingQuery, *, private: bool, now: datetime) -> list[PageRequest]:
    """Return the first page of each list that a listing takes: one with public metrics and, if wanted, a private one.

    The two are separate lists, because the API leaves a Tweet out of a list if it lacks a requested field. The list
    with private metrics covers the days in which Tweets have them, without Retweets, which never have them.

    :param query: the query for public metrics.
    :param private: whether the listed user signs the query, and private metrics are wanted.
    :param now: when the run began, the same in every attempt, so that each attempt asks for the same pages.
    """
    first = PageRequest(query)
    if not private:
        return [first]
    youngest = (now - PRIVATE_AGE_ASKED).astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    start = youngest if query.start is None else max(query.start, youngest)
    if query.end is not None and start >= query.end:
        return [first]
    young = replace(query, start=start, groups=PRIVATE, excluded=(*query.excluded, Excluded.RETWEETS))
    return [first, PageRequest(young)]


def next_page(request: PageRequest, token: str | None, *, seen: Collection[str] = ()) -> PageRequest | None:
    """Return the request for the page after one, or ``None`` if it is the last.

    A page without Tweets is not the last if it names another (guide, timelines).

    :param request: the request for the page.
    :param token: the token by which the page names the next one.
    :param seen: the tokens of all pages before. A list that comes back to one of them has no end.
    :raises InvalidResponseError: if the page names one that was read before.
    """
    if token is None:
        return None
    if token == request.token or token in seen:
        raise InvalidResponseError(
            f"The list of the Tweets of user {request.query.user_id} has no end: a page names one that was read before."
        )
    return replace(request, token=token)


def has_private_metrics(tweet_id: str, *, now: datetime) -> bool:
    """Return whether a Tweet is so young that its author's token reads private metrics.

    :param tweet_id: the Tweet. An id that contains no time is from before 2010-11-04.
    :param now: the current time.
    """
    created = created_at(tweet_id)
    return created is not None and now - created < PRIVATE_AGE_ASKED


def to_rfc_3339(time: datetime) -> str:
    """Format a time for the API, such as ``2026-01-10T22:00:05Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _by_owner(
    owners: Mapping[str, str | None], groups: tuple[FieldGroup, ...], has_token: Callable[[str], bool]
) -> list[LookupRequest]:
    by_owner: dict[str, list[str]] = {}
    for tweet_id, owner in owners.items():
        if owner is not None and has_token(owner):
            by_owner.setdefault(owner, []).append(tweet_id)
    return [
        request
        for owner, tweet_ids in by_owner.items()
        for request in _lookups(LookupQuery(tweet_ids=tuple(tweet_ids), groups=groups, auth=Auth.USER, owner=owner))
    ]


def _lookups(query: LookupQuery) -> list[LookupRequest]:
    return [LookupRequest(query, batch) for batch in _batches(sorted(query.tweet_ids, key=int), XEndpoint.TWEETS)]


def _batches(names: Sequence[str], endpoint: XEndpoint) -> list[tuple[str, ...]]:
    size = X_ENDPOINTS[endpoint].per_request
    return [tuple(names[start : start + size]) for start in range(0, len(names), size)]


def _fields(groups: tuple[FieldGroup, ...]) -> dict[str, str]:
    """Return the parameters that ask for fields. What does not depend on the token is asked for with public metrics."""
    metrics = [group.field for group in groups]
    if any(group.is_private for group in groups):
        return {"tweet.fields": ",".join(metrics)}
    return {
        "tweet.fields": ",".join([*REQUESTED_TWEET_FIELDS, *metrics]),
        "expansions": ",".join(REQUESTED_EXPANSIONS),
        "user.fields": ",".join(REQUESTED_USER_FIELDS),
        "media.fields": ",".join(REQUESTED_MEDIA_FIELDS),
    }
