"""Granularities: what one row of a table covers, and which partition it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType


class Granularity(StrEnum):
    """What one row of a table covers."""

    HOUR = "hour"
    DAY = "day"
    TOTAL = "total"
    HOUR_OF_DAY = "hour_of_day"


_PARTITIONS: Mapping[Granularity, str] = MappingProxyType(
    {
        Granularity.HOUR: "period_date=%Y-%m-%d",
        Granularity.DAY: "period_month=%Y-%m",
        Granularity.TOTAL: "period_month=%Y-%m",
        Granularity.HOUR_OF_DAY: "period_month=%Y-%m",
    }
)


def partition_of(granularity: Granularity, period_start: datetime) -> str:
    """Return the name of a row's partition: the day or month, in UTC, of the period's first instant."""
    return f"{period_start:{_PARTITIONS[granularity]}}"
