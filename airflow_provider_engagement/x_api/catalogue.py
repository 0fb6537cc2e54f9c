"""The facts about the endpoints of X API v2 that list and look up Tweets: fields, metrics, limits and prices.

Sources are named as in ``docs/x-api.md``: *specification* is the vendor's OpenAPI document 2.167 of August 2026,
*guide* its documentation of the same month, *measured* what others published about live calls in August and September
2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from airflow_provider_engagement.http.credentials import Auth


class XEndpoint(StrEnum):
    """An endpoint, by its path below the version."""

    TWEETS = "tweets"
    USER_TWEETS = "users/:id/tweets"
    USERS = "users"
    USERS_BY_HANDLE = "users/by"
    USER_OF_TOKEN = "users/me"


class FieldGroup(StrEnum):
    """A group of metrics that the API returns together, or not at all."""

    PUBLIC = "public"
    NON_PUBLIC = "non_public"
    ORGANIC = "organic"

    @property
    def field(self) -> str:
        """The name by which a request asks for the group."""
        return f"{self}_metrics"

    @property
    def is_private(self) -> bool:
        """Whether only the token of the Tweet's author reads the group."""
        return self is not FieldGroup.PUBLIC


class Excluded(StrEnum):
    """A kind of Tweets that a listing leaves out."""

    REPLIES = "replies"
    RETWEETS = "retweets"


class TweetKind(StrEnum):
    """What a Tweet is. A reply that quotes another Tweet is a reply."""

    ORIGINAL = "original"
    REPLY = "reply"
    QUOTE = "quote"
    RETWEET = "retweet"


class PricedRead(StrEnum):
    """What a read is billed as."""

    TWEET = "tweet"
    OWN_TWEET = "own_tweet"
    USER = "user"


@dataclass(frozen=True, kw_only=True, slots=True)
class XEndpointRule:
    """The rules of one endpoint.

    :param path: the path below the base URL. ``{id}`` stands for the user.
    :param per_request: how many ids or handles one request can name, or how many Tweets one page can have.
    :param auths: the kinds of credentials that it accepts.
    :param app_limit: the requests of one app in 15 minutes; ``None`` if it does not accept app credentials.
    :param user_limit: the requests of one user in 15 minutes.
    :param source: where the rules are documented.
    """

    path: str
    per_request: int
    auths: tuple[Auth, ...]
    app_limit: int | None
    user_limit: int
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class XMetric:
    """A metric.

    :param group: the group that it belongs to.
    :param name: the API's name. Several groups have metrics of the same name, which count differently.
    :param meaning: what it counts.
    :param source: where it is documented.
    """

    group: FieldGroup
    name: str
    meaning: str
    source: str = "guide, metrics"

    @property
    def column(self) -> str:
        """The name in tables: that of the group and that of the API."""
        return f"{self.group}_{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """What one read costs an app that pays by use.

    :param read: what is read.
    :param dollars: the price of one, in US dollars.
    :param read_on: the day on which the price list said so. Prices change without notice.
    :param applies_to: the endpoints and conditions, in words.
    :param source: where it is documented.
    """

    read: PricedRead
    dollars: Decimal
    read_on: date
    applies_to: str
    source: str


DEFAULT_X_BASE_URL: Final = "https://api.x.com"
DEFAULT_X_TOKEN_URL: Final = "https://api.x.com/oauth2/token"

RATE_WINDOW: Final = timedelta(minutes=15)
"""How long the window of a rate limit is (guide, rate limits). Each endpoint has one for each app and each user."""

SMALLEST_PAGE: Final = 5
"""How many Tweets a page of a listing has at least, if there are as many (specification)."""

LISTED_TWEETS: Final = 3_200
"""A listing reaches the newest Tweets of a user, at most this many. Then it ends like a complete one (guide)."""

LISTED_TWEETS_WITHOUT_REPLIES: Final = 800
"""The same without replies (guide)."""

PRIVATE_MAX_AGE: Final = timedelta(days=30)
"""The age up to which a Tweet has private metrics, counted from its creation (guide, metrics)."""

PRIVATE_AGE_ASKED: Final = PRIVATE_MAX_AGE - timedelta(days=1)
"""The age up to which a request asks for private metrics. A Tweet that is too old may take itself out of the answer."""

HANDLE: Final = re.compile(r"[A-Za-z0-9_]{1,15}", re.ASCII)
"""The form of a handle without its @ (specification)."""

EARLIEST_TIME: Final = datetime(2010, 11, 6, 0, 0, 1, tzinfo=UTC)
"""The earliest time that a listing can start at (guide, timelines)."""

_BOTH: Final = (Auth.APP, Auth.USER)

X_ENDPOINTS: Final[Mapping[XEndpoint, XEndpointRule]] = MappingProxyType(
    {
        XEndpoint.TWEETS: XEndpointRule(
            path="/2/tweets",
            per_request=100,
            auths=_BOTH,
            app_limit=3_500,
            user_limit=5_000,
            source="specification; guide, rate limits; the limit of a user also measured",
        ),
        XEndpoint.USER_TWEETS: XEndpointRule(
            path="/2/users/{id}/tweets",
            per_request=100,
            auths=_BOTH,
            app_limit=10_000,
            user_limit=900,
            source="specification; guide, rate limits",
        ),
        XEndpoint.USERS: XEndpointRule(
            path="/2/users",
            per_request=100,
            auths=_BOTH,
            app_limit=300,
            user_limit=900,
            source="specification; guide, rate limits",
        ),
        XEndpoint.USERS_BY_HANDLE: XEndpointRule(
            path="/2/users/by",
            per_request=100,
            auths=_BOTH,
            app_limit=300,
            user_limit=900,
            source="specification; guide, rate limits",
        ),
        XEndpoint.USER_OF_TOKEN: XEndpointRule(
            path="/2/users/me",
            per_request=1,
            auths=(Auth.USER,),
            app_limit=None,
            user_limit=75,
            source="specification; guide, rate limits",
        ),
    }
)

_PRIVATE_CLICKS: Final = (
    ("url_link_clicks", "clicks on links and cards in the Tweet. The API often leaves it out, also if there is a link"),
    ("user_profile_clicks", "clicks on the author's name, handle or picture"),
)

X_METRICS: Final = (
    XMetric(group=FieldGroup.PUBLIC, name="retweet_count", meaning="Retweets without quotes, organic and promoted"),
    XMetric(group=FieldGroup.PUBLIC, name="reply_count", meaning="replies, also the author's own"),
    XMetric(group=FieldGroup.PUBLIC, name="like_count", meaning="likes, organic and promoted"),
    XMetric(group=FieldGroup.PUBLIC, name="quote_count", meaning="Retweets with comment"),
    XMetric(group=FieldGroup.PUBLIC, name="bookmark_count", meaning="times the Tweet was bookmarked"),
    XMetric(group=FieldGroup.PUBLIC, name="impression_count", meaning="times the Tweet was seen, organic and promoted"),
    XMetric(group=FieldGroup.NON_PUBLIC, name="impression_count", meaning="times the Tweet was seen"),
    *(XMetric(group=FieldGroup.NON_PUBLIC, name=name, meaning=meaning) for name, meaning in _PRIVATE_CLICKS),
    XMetric(
        group=FieldGroup.NON_PUBLIC,
        name="engagements",
        meaning="clicks and interactions of any kind, including some without a metric",
    ),
    XMetric(group=FieldGroup.ORGANIC, name="impression_count", meaning="times the Tweet was seen, organic only"),
    XMetric(group=FieldGroup.ORGANIC, name="like_count", meaning="likes, organic only"),
    XMetric(group=FieldGroup.ORGANIC, name="reply_count", meaning="replies, organic only"),
    XMetric(group=FieldGroup.ORGANIC, name="retweet_count", meaning="Retweets, organic only"),
    *(
        XMetric(group=FieldGroup.ORGANIC, name=name, meaning=f"{meaning.partition('.')[0]}, organic only")
        for name, meaning in _PRIVATE_CLICKS
    ),
)

USER_METRICS: Final = ("followers_count", "following_count", "tweet_count", "listed_count")
"""The public counts of a user."""

OTHER_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "retweet_count": "repost_count",
        "tweet_count": "post_count",
        "referenced_tweets": "referenced_posts",
        "edit_history_tweet_ids": "edit_history_post_ids",
        "note_tweet": "note_post",
    }
)
"""The API has two words for some fields. A request with ``tweet.fields`` gets the first (measured); both are read."""

REQUESTED_TWEET_FIELDS: Final = (
    "created_at",
    "author_id",
    "lang",
    "conversation_id",
    "in_reply_to_user_id",
    "referenced_tweets",
    "attachments",
    "note_tweet",
)
"""What a request asks for beside metrics. Id, text and edit history come without being asked for."""

REQUESTED_USER_FIELDS: Final = ("created_at", "name", "username", "protected", "public_metrics")
REQUESTED_MEDIA_FIELDS: Final = ("media_key", "type")
REQUESTED_EXPANSIONS: Final = ("author_id", "attachments.media_keys")
"""What a request asks for beside Tweets. Referenced Tweets are left out: without them, no field can be refused."""

PRICES: Final = (
    Price(
        read=PricedRead.TWEET,
        dollars=Decimal("0.005"),
        read_on=date(2026, 8, 22),
        applies_to="a Tweet that a request returns, also one of the user's own",
        source="guide, pricing; measured",
    ),
    Price(
        read=PricedRead.OWN_TWEET,
        dollars=Decimal("0.001"),
        read_on=date(2026, 8, 22),
        applies_to="a Tweet that a listing returns, if the user whom it lists signs the request and owns the app",
        source="guide, pricing; measured",
    ),
    Price(
        read=PricedRead.USER,
        dollars=Decimal("0.010"),
        read_on=date(2026, 8, 22),
        applies_to="a user that a request for users returns",
        source="guide, pricing",
    ),
)
"""The price list. A read of the same Tweet or user is billed once in a UTC day; a failed request is not billed."""


def metrics_in(*groups: FieldGroup) -> tuple[XMetric, ...]:
    """Return the metrics of some groups, in the order of the catalogue.

    :param groups: the groups.
    """
    return tuple(metric for metric in X_METRICS if metric.group in groups)
