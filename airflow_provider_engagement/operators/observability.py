"""Metrics of a pull, through Airflow's stats. They do nothing unless you configure them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from airflow.sdk.observability.stats import Stats

from airflow_provider_engagement.pull.attempt import AttemptTotals


class Stat(NamedTuple):
    """One of the stats that a pull emits.

    :param kind: ``counter`` or ``timer``.
    :param tags: the names of its tags.
    :param meaning: what it counts.
    """

    kind: str
    tags: tuple[str, ...]
    meaning: str


STATS: Mapping[str, Stat] = MappingProxyType(
    {
        "engagement.requests": Stat("counter", ("endpoint",), "requests sent, with repetitions"),
        "engagement.requests.rate_limited": Stat("counter", ("endpoint",), "requests that got HTTP 429"),
        "engagement.requests.reused": Stat("counter", ("endpoint",), "requests not sent, because a response is stored"),
        "engagement.requests.failed": Stat("counter", ("endpoint",), "requests that failed after all repetitions"),
        "engagement.waits": Stat("counter", ("endpoint",), "times that a task released its worker slot to wait"),
        "engagement.waited": Stat("timer", ("endpoint",), "time spent waiting in place, summed over the threads"),
        "engagement.tweets": Stat("counter", ("endpoint", "outcome"), "Tweets, by outcome"),
        "engagement.rows": Stat("counter", ("endpoint", "table"), "rows written, by table"),
    }
)


def count_requests(endpoint: str, totals: AttemptTotals) -> None:
    """Count the requests that a client has sent, whether they succeeded or not."""
    _count("engagement.requests", totals.sent, endpoint=endpoint)
    _count("engagement.requests.rate_limited", totals.rate_limited, endpoint=endpoint)
    Stats.timing("engagement.waited", timedelta(seconds=totals.waited_seconds), tags={"endpoint": endpoint})


def count_wait(endpoint: str) -> None:
    """Count one release of the worker slot."""
    _count("engagement.waits", 1, endpoint=endpoint)


def count_manifest(manifest: Mapping[str, Any]) -> None:
    """Count what the manifest of a pull reports."""
    endpoint = manifest["endpoint"]
    _count("engagement.requests.reused", manifest["requests"]["reused"], endpoint=endpoint)
    _count("engagement.requests.failed", manifest["requests"]["failed"], endpoint=endpoint)
    for outcome, number in manifest["outcomes"].items():
        _count("engagement.tweets", number, endpoint=endpoint, outcome=outcome)
    for table, number in manifest["rows"].items():
        _count("engagement.rows", number, endpoint=endpoint, table=table)


def _count(name: str, number: int, **tags: str) -> None:
    if number:
        Stats.incr(name, number, tags=tags)
