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
        Granularity.HOUR: "partition_date=%Y-%m-%d",
        Granularity.DAY: "partition_date=%Y-%m-01",
        Granularity.TOTAL: "partition_date=%Y-%m-01",
        Granularity.HOUR_OF_DAY: "partition_date=%Y-%m-01",
    }
)


def partition_of(granularity: Granularity, period_start: datetime) -> str:
    """Return the name of a row's partition: the day or month, in UTC, of the period's first instant.

    The name is the same for all granularities, and a month is the date of its first day. So readers of all
    granularities find one partition column of one type.
    """
    return f"{period_start:{_PARTITIONS[granularity]}}"
