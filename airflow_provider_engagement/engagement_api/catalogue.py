"""The documented facts about the Engagement API: endpoints, metrics, groupings, limits and dated changes.

Sources are named as in ``docs/api-rules.md``: *reference* is the vendor's API reference, *guide* its guides and FAQ,
*changes* its page of metric changes, *changelog* its platform changelog, *sample* its sample clients.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from airflow_provider_engagement.http.credentials import Auth as Auth


class Endpoint(StrEnum):
    """An endpoint, by the last part of its path."""

    TOTALS = "totals"
    LAST_28_HOURS = "28hr"
    HISTORICAL = "historical"


class Dimension(StrEnum):
    """A dimension that a response can be grouped by."""

    TWEET = "tweet.id"
    METRIC = "engagement.type"
    DAY = "engagement.day"
    HOUR = "engagement.hour"


class Counted(StrEnum):
    """Which engagement a metric counts."""

    ORGANIC = "organic only"
    ALL = "organic and promoted"
    UNSTATED = "not stated"


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointRule:
    """The rules of one endpoint.

    :param path: the path below the base URL.
    :param tweets_per_request: how many Tweets one request can name.
    :param dimensions: the dimensions that a response can be grouped by.
    :param auths: the kinds of credentials that it accepts.
    :param time_range: the time range of the counts in a response.
    :param source: where the rules are documented.
    """

    path: str
    tweets_per_request: int
    dimensions: tuple[Dimension, ...]
    auths: tuple[Auth, ...]
    time_range: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A metric.

    :param name: the API's name.
    :param meaning: what it counts.
    :param counted: whether it includes promoted engagement.
    :param endpoints: the endpoints that have it.
    :param public: whether app credentials can read it on ``totals``.
    :param totals_age_limit: the age after which a Tweet has no value on ``totals``.
    :param series_age_limit: the age after which a Tweet has no value on ``28hr`` and ``historical``.
    :param source: where the rules are documented.
    """

    name: str
    meaning: str
    counted: Counted = Counted.UNSTATED
    endpoints: frozenset[Endpoint] = frozenset({Endpoint.LAST_28_HOURS, Endpoint.HISTORICAL})
    public: bool = False
    totals_age_limit: timedelta | None = None
    series_age_limit: timedelta | None = None
    source: str = "reference, metrics table"


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricChange:
    """A documented change of what a metric counts, or of which endpoints have it.

    :param on: the day of the change. The time of day is not documented.
    :param metric: the metric; ``None`` for every metric.
    :param endpoints: the endpoints whose counts it concerns.
    :param what: the change in one sentence.
    :param effect: what the change means for a series of stored counts.
    :param source: where it is documented.
    """

    on: date
    metric: str | None
    endpoints: frozenset[Endpoint]
    what: str
    effect: str
    source: str

    def to_dict(self) -> dict[str, str | None]:
        """Return the change as JSON-compatible values, without its endpoints and its source."""
        return {"on": self.on.isoformat(), "metric": self.metric, "what": self.what, "effect": self.effect}


@dataclass(frozen=True, kw_only=True, slots=True)
class RenamedMetric:
    """A former name of a metric.

    :param old: the former name.
    :param new: the present name.
    :param on: the day of the change.
    :param source: where it is documented.
    """

    old: str
    new: str
    on: date
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AgeLimit:
    """A list in a response that names Tweets which are too old for some metrics.

    :param key: the key of the list.
    :param metrics: the metrics that have no value for these Tweets.
    :param max_age: the age of the oldest Tweets that have a value.
    """

    key: str
    metrics: tuple[str, ...]
    max_age: timedelta

    @property
    def message(self) -> str:
        """The reason why a Tweet has no value."""
        return f"the Tweet is more than {self.max_age.days:,} days old"


ENGAGEMENT_AGE_LIMIT: Final = timedelta(days=90)
VIDEO_AGE_LIMIT: Final = timedelta(days=1800)

MAX_WINDOW: Final = timedelta(days=28)
"""The longest window of a request on ``historical`` (reference, "Start and End Date")."""

HISTORY_MAX_AGE: Final = timedelta(days=365)
"""The age of the oldest engagement on ``historical`` (guide, overview; the newer of two statements)."""

HISTORY_START: Final = datetime(2014, 9, 1, tzinfo=UTC)
"""The time of the oldest engagement on ``historical`` (reference; the older of two statements)."""

ZERO_BEFORE: Final = datetime(2015, 9, 15, tzinfo=UTC)
"""``historical`` has no likes, replies and Retweets before this time. A zero there means that there is no data."""

ZERO_METRICS: Final = frozenset({"favorites", "replies", "retweets"})
"""The metrics that are zero before :data:`ZERO_BEFORE`."""

MAX_GROUPINGS: Final = 3
FOUR_ITEM_ORDERS: Final = (
    (Dimension.TWEET, Dimension.METRIC, Dimension.DAY, Dimension.HOUR),
    (Dimension.METRIC, Dimension.TWEET, Dimension.DAY, Dimension.HOUR),
)
"""The valid orders of a grouping with four dimensions. A request can have one such grouping (reference)."""

WINDOW_KEYS: Final = ("start", "end")
ERRORS_KEY: Final = "errors"
UNAVAILABLE_KEY: Final = "unavailable_tweet_ids"
UNSUPPORTED_PREFIX: Final = "unsupported_for_"
UNSUPPORTED_ENGAGEMENTS_KEY: Final = "unsupported_for_impressions_engagements_tweet_ids"
UNSUPPORTED_VIDEO_KEY: Final = "unsupported_for_video_views_tweet_ids"
AGE_LIMITS: Final = (
    AgeLimit(key=UNSUPPORTED_ENGAGEMENTS_KEY, metrics=("impressions", "engagements"), max_age=ENGAGEMENT_AGE_LIMIT),
    AgeLimit(key=UNSUPPORTED_VIDEO_KEY, metrics=("video_views",), max_age=VIDEO_AGE_LIMIT),
)
RESERVED_GROUPING_NAMES: Final = frozenset({*WINDOW_KEYS, ERRORS_KEY, UNAVAILABLE_KEY})
"""Groupings and these keys are in the same JSON object, so a grouping cannot have one of these names."""

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
            time_range="since the creation of the Tweet",
            source="reference, POST insights/engagement/totals",
        ),
        Endpoint.LAST_28_HOURS: EndpointRule(
            path="/insights/engagement/28hr",
            tweets_per_request=25,
            dimensions=_SERIES,
            auths=(Auth.USER,),
            time_range="the last 28 hours, as the API counts them",
            source="reference, POST insights/engagement/28hr",
        ),
        Endpoint.HISTORICAL: EndpointRule(
            path="/insights/engagement/historical",
            tweets_per_request=25,
            dimensions=_SERIES,
            auths=(Auth.USER,),
            time_range="``start`` to ``end`` of the request: at most 28 days, at most 365 days ago",
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
                counted=Counted.ORGANIC,
                endpoints=_EVERYWHERE,
                totals_age_limit=ENGAGEMENT_AGE_LIMIT,
            ),
            Metric(
                name="engagements",
                meaning="clicks and interactions of any kind, including some without a metric",
                counted=Counted.ALL,
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
                    "with the video, elsewhere of this Tweet alone"
                ),
                endpoints=_EVERYWHERE,
                public=True,
                totals_age_limit=VIDEO_AGE_LIMIT,
                series_age_limit=VIDEO_AGE_LIMIT,
            ),
            Metric(name="media_views", meaning="views of videos, GIFs and images, played automatically or by a click"),
            Metric(name="media_engagements", meaning="clicks on media"),
            Metric(name="url_clicks", meaning="clicks on URLs and some other links, such as hashtags"),
            Metric(name="hashtag_clicks", meaning="clicks on hashtags"),
            Metric(name="detail_expands", meaning="clicks that show the Tweet's details"),
            Metric(name="permalink_clicks", meaning="clicks on the permanent link to the Tweet"),
            Metric(name="app_install_attempts", meaning="attempts to install an app from the Tweet"),
            Metric(name="app_opens", meaning="apps opened from the Tweet"),
            Metric(name="email_tweet", meaning="times the Tweet was shared by email"),
            Metric(name="user_follows", meaning="follows of the Tweet's author from the Tweet"),
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

OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "like": ("favorites",),
        "favorite": ("favorites",),
        "view": ("video_views", "impressions"),
        "video_view": ("video_views",),
        "impression": ("impressions",),
        "replie": ("replies",),
        "reply": ("replies",),
        "comment": ("replies",),
        "quote": ("quote_tweets",),
        "quote_tweet": ("quote_tweets",),
        "repost": ("retweets",),
        "share": ("retweets",),
        "retweet": ("retweets",),
        "engagement": ("engagements",),
        "click": ("url_clicks",),
        "link_click": ("url_clicks",),
        "url_link_click": ("url_clicks",),
        "profile_click": ("user_profile_clicks",),
        "user_profile_click": ("user_profile_clicks",),
        "follow": ("user_follows",),
    }
)
"""What X's website and API v2 call the metrics, in lower case and without a plural or ``_count``."""

_TOTALS = frozenset({Endpoint.TOTALS})
_HOURLY = frozenset({Endpoint.LAST_28_HOURS, Endpoint.HISTORICAL})

METRIC_CHANGES: Final = (
    MetricChange(
        on=date(2017, 10, 9),
        metric=None,
        endpoints=_EVERYWHERE,
        what="The API aggregates counts as analytics.twitter.com does.",
        effect="Any metric may differ before and after. Do not compare counts across that day.",
        source="changes, October 2017; changelog",
    ),
    MetricChange(
        on=date(2017, 10, 9),
        metric="engagements",
        endpoints=_EVERYWHERE,
        what="Media views are no longer counted as engagements.",
        effect="Engagement rates of Tweets with media fall on that day. Do not compare rates across it.",
        source="changes, October 2017",
    ),
    MetricChange(
        on=date(2017, 10, 9),
        metric="media_engagements",
        endpoints=_HOURLY,
        what="Replaces media_clicks.",
        effect="One series has two names. Clicks on media continue under the new name.",
        source="changes, October 2017",
    ),
    MetricChange(
        on=date(2017, 10, 9),
        metric="media_views",
        endpoints=_HOURLY,
        what="New: views of videos, GIFs and images, played automatically or by a click.",
        effect="No values before that day. Tweets with images have values, which the platform does not show.",
        source="changes, October 2017",
    ),
    MetricChange(
        on=date(2018, 7, 6),
        metric="video_views",
        endpoints=_TOTALS,
        what="On totals for Tweets of other users, too.",
        effect="Before, only the user's own Tweets had values.",
        source="changes, July 2018",
    ),
    MetricChange(
        on=date(2020, 7, 7),
        metric="quote_tweets",
        endpoints=_TOTALS,
        what="On totals for Tweets of other users.",
        effect="Totals count since the creation of a Tweet, also before that day. Whether the user's own Tweets had "
        "values before is not said.",
        source="changes, July 2020; changelog",
    ),
    MetricChange(
        on=date(2021, 8, 16),
        metric="video_views",
        endpoints=_EVERYWHERE,
        what="Tweets more than 1,800 days old are listed as unsupported. Before, they had the value 0.",
        effect="A zero that was stored before that day may mean that there was no value.",
        source="changelog, August 2021",
    ),
)


def changes_between(
    start: datetime, end: datetime, *, metrics: Collection[str], endpoints: Collection[Endpoint]
) -> tuple[MetricChange, ...]:
    """Return the changes on the days of an interval that concern some metrics on some endpoints.

    :param start: the start of the interval, aware.
    :param end: the end of the interval, aware and exclusive.
    :param metrics: the metrics.
    :param endpoints: the endpoints.
    """
    return tuple(
        change
        for change in METRIC_CHANGES
        if (change.metric is None or change.metric in metrics)
        and not change.endpoints.isdisjoint(endpoints)
        and start < _midnight(change.on) + timedelta(days=1)
        and _midnight(change.on) < end
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def metrics_of(endpoint: Endpoint, auth: Auth) -> tuple[str, ...]:
    """Return the names of the metrics that an endpoint has for a kind of credentials, in the order of the catalogue.

    :param endpoint: the endpoint.
    :param auth: the kind of credentials.
    """
    if auth not in ENDPOINTS[endpoint].auths:
        return ()
    return tuple(
        metric.name
        for metric in METRICS.values()
        if endpoint in metric.endpoints and (metric.public or auth is Auth.USER)
    )
