"""The names of the views. Imports nothing of dlt."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from airflow_provider_engagement.tables.tables import (
    COVERAGE,
    TWEET_METRICS,
    TWEET_STATUS,
    TWEET_TOTALS,
    Table,
)


class View(StrEnum):
    """A view. Its value is its name in the database."""

    ENGAGEMENT_BY_DAY = "engagement_by_day"
    ENGAGEMENT_BY_HOUR = "engagement_by_hour"
    ENGAGEMENT_RATES = "engagement_rates"
    NEWEST_TOTALS = "newest_totals"
    TOTALS_CHANGES = "tweet_totals_changes"
    NEWEST_STATUS = "newest_status"
    MISSING_HOURS = "missing_hours"
    DAYS_NOT_FINAL = "days_not_final"
    DAY_TIME_ZONES = "day_time_zones"
    RECONCILIATION = "engagement_reconciliation"
    METRICS_LONG = "tweet_metrics_long"
    ORGANIC_TWEET_REPORT = "organic_tweet_report"
    TWEET = "tweet"
    ACCOUNT_HISTORY = "account_history"
    TWITTER_USER_HISTORY = "twitter_user_history"


TABLES_OF: Mapping[View, tuple[Table, ...]] = MappingProxyType(
    {
        View.ENGAGEMENT_BY_DAY: (TWEET_METRICS,),
        View.ENGAGEMENT_BY_HOUR: (TWEET_METRICS,),
        View.ENGAGEMENT_RATES: (TWEET_METRICS,),
        View.NEWEST_TOTALS: (TWEET_TOTALS,),
        View.TOTALS_CHANGES: (TWEET_TOTALS,),
        View.NEWEST_STATUS: (TWEET_STATUS,),
        View.MISSING_HOURS: (COVERAGE, TWEET_METRICS, TWEET_STATUS),
        View.DAYS_NOT_FINAL: (TWEET_METRICS,),
        View.DAY_TIME_ZONES: (TWEET_METRICS,),
        View.RECONCILIATION: (TWEET_METRICS, TWEET_TOTALS),
        View.METRICS_LONG: (TWEET_METRICS,),
        View.ORGANIC_TWEET_REPORT: (TWEET_METRICS,),
        View.TWEET: (TWEET_METRICS,),
        View.ACCOUNT_HISTORY: (TWEET_METRICS,),
        View.TWITTER_USER_HISTORY: (TWEET_METRICS,),
    }
)
"""The tables that each view reads."""
