"""The names of the views. Imports nothing of dlt."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from airflow_provider_engagement.dataset.schema import TWEET_METRICS, TWEET_TOTALS, Table


class View(StrEnum):
    """A view. Its value is its name in the database."""

    METRICS_LONG = "tweet_metrics_long"
    ORGANIC_TWEET_REPORT = "organic_tweet_report"
    METRICS_RATES = "tweet_metrics_rates"
    TOTALS_RATES = "tweet_totals_rates"
    TOTALS_CHANGES = "tweet_totals_changes"


TABLE_OF: Mapping[View, Table] = MappingProxyType(
    {
        View.METRICS_LONG: TWEET_METRICS,
        View.ORGANIC_TWEET_REPORT: TWEET_METRICS,
        View.METRICS_RATES: TWEET_METRICS,
        View.TOTALS_RATES: TWEET_TOTALS,
        View.TOTALS_CHANGES: TWEET_TOTALS,
    }
)
"""The table that each view reads."""
