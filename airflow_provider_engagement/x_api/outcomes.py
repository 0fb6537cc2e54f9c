"""Why a Tweet or one of its counts is missing: every null in a table has a reason, and every reason has words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from airflow_provider_engagement.x_api.catalogue import X_METRICS, FieldGroup, TweetKind, metrics_in
from airflow_provider_engagement.x_api.planner import has_private_metrics
from airflow_provider_engagement.x_api.problems import Problem, ProblemType
from airflow_provider_engagement.x_api.query import PRIVATE
from airflow_provider_engagement.x_api.response import TweetObject, TweetsAnswer


class XOutcome(StrEnum):
    """What a pull found out about a Tweet, from the most to the least severe."""

    FAILED = "failed"
    UNAUTHORIZED = "unauthorized"
    DELETED = "deleted"
    PROTECTED = "protected"
    WITHHELD = "withheld"
    FORBIDDEN = "forbidden"
    NO_DATA = "no_data"
    LEFT_OUT = "left_out"
    TOO_OLD = "too_old"
    RETWEET = "retweet"
    NO_TOKEN = "no_token"
    OK = "ok"


X_OUTCOME_MEANINGS: Final[Mapping[XOutcome, tuple[str, str]]] = MappingProxyType(
    {
        XOutcome.FAILED: ("The request that names the Tweet has no answer", "all counts of the request"),
        XOutcome.UNAUTHORIZED: ("The API rejects the owner's access token", "private counts"),
        XOutcome.DELETED: ("The Tweet does not exist, or no longer", "text, media and all counts"),
        XOutcome.PROTECTED: ("The credentials cannot see the Tweet: its account is protected", "text and all counts"),
        XOutcome.WITHHELD: ("X shows the Tweet to nobody, for example because its account is suspended", "all counts"),
        XOutcome.FORBIDDEN: ("The credentials cannot read a group of metrics of the Tweet", "private counts"),
        XOutcome.NO_DATA: ("The API said nothing about the Tweet", "all counts of the request"),
        XOutcome.LEFT_OUT: (
            "The API returned the Tweet without some counts, and gave no reason",
            "the counts in ``metrics_affected``",
        ),
        XOutcome.TOO_OLD: ("The Tweet is so old that it has no private metrics", "private counts"),
        XOutcome.RETWEET: (
            "The Tweet is a Retweet, whose private metrics are those of another Tweet",
            "private counts",
        ),
        XOutcome.NO_TOKEN: ("There is no access token of the Tweet's author", "private counts"),
        XOutcome.OK: ("All requested counts are there", "nothing"),
    }
)
"""For each outcome, what it means, and what is null or missing."""

GONE: Final = (XOutcome.DELETED, XOutcome.PROTECTED, XOutcome.WITHHELD)
"""Outcomes after which a Tweet is no longer shown. Its text and media are not kept."""

X_ACCEPTED_BY_DEFAULT: Final = (
    *GONE,
    XOutcome.LEFT_OUT,
    XOutcome.TOO_OLD,
    XOutcome.RETWEET,
    XOutcome.NO_TOKEN,
)
"""The outcomes that say all that can be known. The others fail a task, unless it accepts them."""

_BY_SEVERITY: Final = tuple(XOutcome)

_OF_PROBLEMS: Final[Mapping[ProblemType, XOutcome]] = MappingProxyType(
    {
        ProblemType.NOT_FOUND: XOutcome.DELETED,
        ProblemType.NOT_AUTHORIZED_FOR_RESOURCE: XOutcome.PROTECTED,
        ProblemType.RESOURCE_UNAVAILABLE: XOutcome.WITHHELD,
        ProblemType.DISALLOWED_RESOURCE: XOutcome.WITHHELD,
        ProblemType.NOT_AUTHORIZED_FOR_FIELD: XOutcome.FORBIDDEN,
        ProblemType.FIELD_UNAUTHORIZED: XOutcome.FORBIDDEN,
    }
)

_LEFT_OUT: Final = "the API returned no value"
_TOO_OLD: Final = "the Tweet is too old for private metrics"
_RETWEET: Final = "a Retweet has no private metrics of its own"
_NO_TOKEN: Final = "there is no access token of the author"


@dataclass(frozen=True, slots=True)
class XStatus:
    """The outcome of one Tweet, and why some of its counts are null.

    :param outcome: the most severe outcome.
    :param metrics_affected: the columns that are null.
    :param message: the reason.
    """

    outcome: XOutcome
    metrics_affected: tuple[str, ...] = ()
    message: str = ""

    def joined(self, other: XStatus) -> XStatus:
        """Return the status with the more severe outcome, and the metrics and reasons of both."""
        first, second = sorted((self, other), key=lambda status: _BY_SEVERITY.index(status.outcome))
        affected = {*self.metrics_affected, *other.metrics_affected}
        messages = dict.fromkeys(message for message in (first.message, second.message) if message)
        return XStatus(
            first.outcome,
            tuple(metric.column for metric in X_METRICS if metric.column in affected),
            "; ".join(messages),
        )


X_OK: Final = XStatus(XOutcome.OK)


def statuses_of_lookup(
    tweet_ids: Iterable[str],
    answer: TweetsAnswer,
    *,
    groups: Sequence[FieldGroup],
    shown: Callable[[str], str] = str,
) -> dict[str, XStatus]:
    """Return one status for each Tweet of a request.

    :param tweet_ids: the Tweets that the request names.
    :param answer: its answer.
    :param groups: the groups of metrics that it asks for.
    :param shown: returns words of X as a status shows them.
    """
    columns = tuple(metric.column for metric in metrics_in(*groups))
    reasons = _reasons(answer.problems, columns, shown)
    statuses = {}
    for tweet_id in tweet_ids:
        tweet = answer.tweets.get(tweet_id)
        reason = reasons.get(tweet_id)
        if tweet is None:
            statuses[tweet_id] = reason or XStatus(XOutcome.NO_DATA, columns, "the API said nothing about the Tweet")
        else:
            statuses[tweet_id] = _status_of(tweet, columns, reason)
    return statuses


def statuses_of_page(answer: TweetsAnswer, *, groups: Sequence[FieldGroup]) -> dict[str, XStatus]:
    """Return one status for each Tweet of a page.

    :param answer: the page.
    :param groups: the groups of metrics that the request asks for.
    """
    columns = tuple(metric.column for metric in metrics_in(*groups))
    return {tweet_id: _status_of(tweet, columns, None) for tweet_id, tweet in answer.tweets.items()}


def status_of_tweet(tweet: TweetObject, *, groups: Sequence[FieldGroup]) -> XStatus:
    """Return the status of a Tweet that the API returned.

    :param tweet: the Tweet.
    :param groups: the groups of metrics that the request asks for.
    """
    return _status_of(tweet, tuple(metric.column for metric in metrics_in(*groups)), None)


def outcome_of_user(problems: Iterable[Problem]) -> XStatus | None:
    """Return why the API does not return a user or the Tweets of a user, or ``None`` if it does not say so.

    :param problems: the problems of its answer.
    """
    for problem in problems:
        if problem.resource_type == "user":
            return XStatus(_OF_PROBLEMS.get(problem.type, XOutcome.NO_DATA), (), problem.message)
    return None


def status_without_private(tweet: TweetObject, *, has_token: bool, now: datetime) -> XStatus:
    """Return why a pull that wants private metrics does not ask for those of a Tweet, or has no answer about them.

    :param tweet: the Tweet.
    :param has_token: whether there is an access token of its author.
    :param now: the time of the plan.
    """
    columns = tuple(metric.column for metric in metrics_in(*PRIVATE))
    if not has_token:
        return XStatus(XOutcome.NO_TOKEN, columns, _NO_TOKEN)
    if not has_private_metrics(tweet.id, now=now):
        return XStatus(XOutcome.TOO_OLD, columns, _TOO_OLD)
    if tweet.kind is TweetKind.RETWEET:
        return XStatus(XOutcome.RETWEET, columns, _RETWEET)
    return XStatus(XOutcome.LEFT_OUT, columns, _LEFT_OUT)


def _status_of(tweet: TweetObject, columns: Sequence[str], reason: XStatus | None) -> XStatus:
    missing = tuple(column for column in columns if tweet.counts.get(column) is None)
    if not missing:
        return X_OK
    if reason is not None:
        return XStatus(reason.outcome, missing, reason.message)
    return XStatus(XOutcome.LEFT_OUT, missing, _LEFT_OUT)


def _reasons(problems: Iterable[Problem], columns: tuple[str, ...], shown: Callable[[str], str]) -> dict[str, XStatus]:
    """Return the most severe reason of each Tweet. The API reports each field of a Tweet alone."""
    reasons: dict[str, XStatus] = {}
    for problem in problems:
        # A problem about a handle or an author names no Tweet of the request.
        tweet_id = problem.resource_id or problem.value
        if tweet_id is None or problem.is_included or problem.resource_type not in (None, "tweet", "post"):
            continue
        outcome = _OF_PROBLEMS.get(problem.type, XOutcome.NO_DATA)
        known = reasons.get(tweet_id)
        if known is None or _BY_SEVERITY.index(outcome) < _BY_SEVERITY.index(known.outcome):
            reasons[tweet_id] = XStatus(outcome, columns, shown(problem.message))
    return reasons
