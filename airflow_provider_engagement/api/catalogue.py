"""What the Engagement API documents: endpoints, metrics, groupings, limits and dated changes. Data, with sources.

Sources are named as in ``docs/api-rules.md``: *reference* is the vendor's API reference, *guide* its guides and FAQ,
*changes* its page of metric changes, *changelog* its platform changelog, *sample* its own sample clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Endpoint(StrEnum):
    """The three endpoints, by the last part of their path."""

    TOTALS = "totals"
    LAST_28_HOURS = "28hr"
    HISTORICAL = "historical"


class Auth(StrEnum):
    """How a request is authenticated: as the Tweets' author, or as the app alone."""

    USER = "user"
    APP = "app"


class Dimension(StrEnum):
    """What an answer can be grouped by."""

    TWEET = "tweet.id"
    METRIC = "engagement.type"
    DAY = "engagement.day"
    HOUR = "engagement.hour"


class Counts(StrEnum):
    """Which engagement a metric counts."""

    ORGANIC = "organic only"
    ALL = "organic and promoted"
    UNSTATED = "not stated"


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointRule:
    """The limits of one endpoint.

    :param path: path below the base URL.
    :param tweets_per_request: how many Tweet ids one request may name.
    :param dimensions: what its answers can be grouped by.
    :param auths: how its requests may be authenticated.
    :param source: where the rule is documented.
    """

    path: str
    tweets_per_request: int
    dimensions: tuple[Dimension, ...]
    auths: tuple[Auth, ...]
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One metric.

    :param name: the API's name, which is also the column's name.
    :param meaning: what is counted.
    :param counts: whether promoted engagement is in it.
    :param endpoints: where it can be asked for.
    :param public: whether a bearer token suffices on ``totals``.
    :param totals_age_limit: on ``totals``, the age past which a Tweet has no value.
    :param series_age_limit: the same on ``28hr`` and ``historical``.
    :param source: where the rules are documented.
    """

    name: str
    meaning: str
    counts: Counts = Counts.UNSTATED
    endpoints: frozenset[Endpoint] = frozenset({Endpoint.LAST_28_HOURS, Endpoint.HISTORICAL})
    public: bool = False
    totals_age_limit: timedelta | None = None
    series_age_limit: timedelta | None = None
    source: str = "reference, metrics table"


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricChange:
    """A documented change of what a metric counts or where it is to be had.

    :param on: the day of the change.
    :param metric: the metric concerned.
    :param what: the change in one sentence.
    :param source: where it is documented.
    """

    on: date
    metric: str
    what: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RenamedMetric:
    """A metric name of old and the one that replaced it."""

    old: str
    new: str
    on: date
    source: str


ENGAGEMENT_AGE_LIMIT: Final = timedelta(days=90)
VIDEO_AGE_LIMIT: Final = timedelta(days=1800)

MAX_WINDOW: Final = timedelta(days=28)
"""Longest window of one ``historical`` request (reference, "Start and End Date")."""

HISTORY_MAX_AGE: Final = timedelta(days=365)
"""How far back ``historical`` reaches, counted by engagement time (guide, overview; the newer of two statements)."""

HISTORY_START: Final = datetime(2014, 9, 1, tzinfo=UTC)
"""The older promise of how far back ``historical`` reaches (reference)."""

ZERO_BEFORE: Final = datetime(2015, 9, 15, tzinfo=UTC)
"""``historical`` has no likes, replies and Retweets from before this instant: a zero there is absence of data."""

MAX_GROUPINGS: Final = 3
FOUR_ITEM_ORDERS: Final = (
    (Dimension.TWEET, Dimension.METRIC, Dimension.DAY, Dimension.HOUR),
    (Dimension.METRIC, Dimension.TWEET, Dimension.DAY, Dimension.HOUR),
)
"""The only legal orders of a grouping of four, of which a request may hold one (reference)."""

WINDOW_KEYS: Final = ("start", "end")
ERRORS_KEY: Final = "errors"
UNAVAILABLE_KEY: Final = "unavailable_tweet_ids"
UNSUPPORTED_PREFIX: Final = "unsupported_for_"
UNSUPPORTED_ENGAGEMENTS_KEY: Final = "unsupported_for_impressions_engagements_tweet_ids"
UNSUPPORTED_VIDEO_KEY: Final = "unsupported_for_video_views_tweet_ids"
RESERVED_GROUPING_NAMES: Final = frozenset({*WINDOW_KEYS, ERRORS_KEY, UNAVAILABLE_KEY})
"""Results and metadata share one JSON level, so a grouping must not bear one of these names."""

DEFAULT_BASE_URL: Final = "https://data-api.twitter.com"
DEFAULT_TOKEN_URL: Final = "https://api.twitter.com/oauth2/token"

_SERIES = (Dimension.TWEET, Dimension.METRIC, Dimension.DAY, Dimension.HOUR)

ENDPOINTS: Final[Mapping[Endpoint, EndpointRule]] = MappingProxyType(
    {
        Endpoint.TOTALS: EndpointRule(
            path="/insights/engagement/totals",
            tweets_per_request=250,
            dimensions=(Dimension.TWEET, Dimension.METRIC),
            auths=(Auth.APP, Auth.USER),
            source="reference, POST insights/engagement/totals",
        ),
        Endpoint.LAST_28_HOURS: EndpointRule(
            path="/insights/engagement/28hr",
            tweets_per_request=25,
            dimensions=_SERIES,
            auths=(Auth.USER,),
            source="reference, POST insights/engagement/28hr",
        ),
        Endpoint.HISTORICAL: EndpointRule(
            path="/insights/engagement/historical",
            tweets_per_request=25,
            dimensions=_SERIES,
            auths=(Auth.USER,),
            source="reference, POST insights/engagement/historical",
        ),
    }
)

_EVERYWHERE = frozenset(Endpoint)

METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric(
                name="impressions",
                meaning="times the Tweet was seen",
                counts=Counts.ORGANIC,
                endpoints=_EVERYWHERE,
                totals_age_limit=ENGAGEMENT_AGE_LIMIT,
            ),
            Metric(
                name="engagements",
                meaning="clicks and interactions of any kind, some of which have no metric of their own",
                counts=Counts.ALL,
                endpoints=_EVERYWHERE,
                totals_age_limit=ENGAGEMENT_AGE_LIMIT,
            ),
            Metric(name="favorites", meaning="likes", endpoints=_EVERYWHERE, public=True),
            Metric(name="retweets", meaning="Retweets", endpoints=_EVERYWHERE, public=True),
            Metric(name="replies", meaning="replies", endpoints=_EVERYWHERE, public=True),
            Metric(
                name="quote_tweets",
                meaning="Retweets with comment",
                endpoints=frozenset({Endpoint.TOTALS}),
                public=True,
            ),
            Metric(
                name="video_views",
                meaning=(
                    "views of at least two seconds with half of the video in view; on totals summed over every Tweet "
                    "that carries the video, elsewhere of this Tweet alone"
                ),
                endpoints=_EVERYWHERE,
                public=True,
                totals_age_limit=VIDEO_AGE_LIMIT,
                series_age_limit=VIDEO_AGE_LIMIT,
            ),
            Metric(name="media_views", meaning="views of videos, GIFs and images, played automatically or by a click"),
            Metric(name="media_engagements", meaning="clicks on media"),
            Metric(name="url_clicks", meaning="clicks on URLs, and on some links that are none, such as hashtags"),
            Metric(name="hashtag_clicks", meaning="clicks on hashtags"),
            Metric(name="detail_expands", meaning="clicks that show the Tweet's details"),
            Metric(name="permalink_clicks", meaning="clicks on the link to the Tweet's own page"),
            Metric(name="app_install_attempts", meaning="attempts to install an app from the Tweet"),
            Metric(name="app_opens", meaning="apps opened from the Tweet"),
            Metric(name="email_tweet", meaning="times the Tweet was shared by e-mail"),
            Metric(name="user_follows", meaning="follows of the author from the Tweet"),
            Metric(name="user_profile_clicks", meaning="clicks on the author's profile from the Tweet"),
        )
    }
)

RENAMED_METRICS: Final[Mapping[str, RenamedMetric]] = MappingProxyType(
    {
        "media_clicks": RenamedMetric(
            old="media_clicks", new="media_engagements", on=date(2017, 10, 9), source="changes, October 2017"
        )
    }
)

METRIC_CHANGES: Final = (
    MetricChange(
        on=date(2017, 10, 9),
        metric="engagements",
        what="Media views are no longer counted as engagements.",
        source="changes, October 2017",
    ),
    MetricChange(
        on=date(2017, 10, 9),
        metric="media_engagements",
        what="Replaces media_clicks.",
        source="changes, October 2017",
    ),
    MetricChange(
        on=date(2017, 10, 9),
        metric="media_views",
        what="New: views of videos, GIFs and images, however they were started.",
        source="changes, October 2017",
    ),
    MetricChange(
        on=date(2018, 7, 6),
        metric="video_views",
        what="On totals for any public Tweet, summed over every Tweet that carries the video.",
        source="changes, July 2018",
    ),
    MetricChange(
        on=date(2020, 7, 7),
        metric="quote_tweets",
        what="New on totals, for any public Tweet.",
        source="changes, July 2020; changelog",
    ),
    MetricChange(
        on=date(2021, 8, 16),
        metric="video_views",
        what="Tweets over 1800 days old are listed as unsupported; before, they bore a bare 0.",
        source="changelog, August 2021",
    ),
)


def metrics_of(endpoint: Endpoint, auth: Auth) -> tuple[str, ...]:
    """Return the names of the metrics that an endpoint gives under a kind of authentication, in catalogue order."""
    if auth not in ENDPOINTS[endpoint].auths:
        return ()
    return tuple(
        metric.name
        for metric in METRICS.values()
        if endpoint in metric.endpoints and (metric.public or auth is Auth.USER)
    )
