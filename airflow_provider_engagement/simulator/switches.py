"""The switches of the Engagement API: one for each behavior that the documentation leaves open or contradicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from airflow_provider_engagement.simulator.switch_set import SwitchSet


@dataclass(frozen=True, kw_only=True, slots=True)
class Switches(SwitchSet):
    """The choices for the behaviors that the documentation leaves open. The defaults are the most likely ones.

    A correct client works under every combination.

    :param hour_without_day: a grouping by hour without day sums each hour of the day, or includes the days anyway.
    :param errors_in_partial: a partial response has ``errors`` in addition to its lists of ids.
    :param all_unavailable_status: the status when no Tweet of a request is available.
    :param protected_tweets: Tweets of protected accounts are listed like deleted ones, or the whole request that names
        one is rejected with the number of unavailable Tweets, or with a text that has neither number nor list.
    :param old_impressions: impressions and engagements of Tweets past the age limit are left out, or are zero.
    :param old_impressions_scope: the endpoints with that age limit: only ``totals``, or all.
    :param age_boundary: ages are compared to the second, or by UTC day.
    :param values: counts are strings, numbers, or a mixture of both.
    :param forbidden_format: Tweets of other authors are listed in one error per author, or in a single error.
    :param history_floor: ``historical`` reaches back 365 days, or to 2014-09-01.
    :param running_hour: the window of ``28hr`` ends with the running hour, or now with the counts of that hour so far,
        or now without them.
    :param length_limit: the limit of 28 days applies to the window after it is rounded to whole hours, or before.
    :param start_alone: ``historical`` with a start but no end ends now, or is rejected.
    :param require_gzip: a request without ``Accept-Encoding: gzip`` is rejected.
    :param extra_metrics: responses contain a metric that was not requested.
    :param key_order: the keys of a response are shuffled, always in the same way, or sorted.
    :param entitlement_status: the status for an app that is not allowed to use the Engagement API.
    :param app_on_series: a bearer token on ``28hr`` or ``historical`` is rejected for the metrics, for its type, or
        with code 220.
    :param forbidden_metrics_status: the status for metrics that the credentials cannot read.
    :param unsupported_grouping_status: the status for a grouping by a dimension that the endpoint does not have.
    :param auth_errors: authentication errors are sentences, or objects with a code.
    :param quota_scope: each app has one quota, or one for each endpoint, or one for each access token.
    :param rate_headers: the rate limit headers describe the minute, the minute and the second, or are missing.
    :param reset_header: the rate limit headers include the time of the reset.
    :param rate_body: the body of a 429 has sentences, objects with a code, or is empty.
    :param retry_after: a 429 has no ``Retry-After`` header, or has it in seconds or as an HTTP date.
    :param media_clicks_alias: ``media_clicks``, the former name of ``media_engagements``, is accepted.
    :param negative_counts: withdrawn likes and follows make some hours negative.
    :param restatement: the counts of the last 48 hours are incomplete and still grow.
    """

    hour_without_day: Literal["hour_of_day", "dated"] = "hour_of_day"
    errors_in_partial: bool = True
    all_unavailable_status: Literal[400, 200] = 400
    protected_tweets: Literal["listed", "counted", "unnamed"] = "listed"
    old_impressions: Literal["omit", "zero"] = "omit"
    old_impressions_scope: Literal["totals", "all"] = "totals"
    age_boundary: Literal["second", "day"] = "second"
    values: Literal["string", "int", "mixed"] = "string"
    forbidden_format: Literal["by_author", "plain"] = "by_author"
    history_floor: Literal["365d", "2014"] = "365d"
    running_hour: Literal["rounded", "unaligned", "without_counts"] = "rounded"
    length_limit: Literal["rounded", "requested"] = "rounded"
    start_alone: Literal["now", "rejected"] = "now"
    require_gzip: bool = True
    extra_metrics: bool = False
    key_order: Literal["shuffled", "sorted"] = "shuffled"
    entitlement_status: Literal[403, 401] = 403
    app_on_series: Literal["metrics", "type", "code"] = "metrics"
    forbidden_metrics_status: Literal[403, 400] = 403
    unsupported_grouping_status: Literal[400, 403] = 400
    auth_errors: Literal["strings", "objects"] = "strings"
    quota_scope: Literal["app", "endpoint", "token"] = "app"
    rate_headers: Literal["minute", "minute+second", "none"] = "minute"
    reset_header: bool = True
    rate_body: Literal["strings", "objects", "empty"] = "strings"
    retry_after: Literal["off", "seconds", "date"] = "off"
    media_clicks_alias: bool = False
    negative_counts: bool = False
    restatement: bool = False
