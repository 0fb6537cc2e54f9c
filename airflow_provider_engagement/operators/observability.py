"""Metrics and traces of a pull, through Airflow's stats and OpenTelemetry. Both do nothing unless you configure them.

The spans ``engagement.fetch`` and ``engagement.assemble`` are children of the task's span.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace

if TYPE_CHECKING:
    from airflow_provider_engagement.engagement_api.client import EngagementClient

_tracer = trace.get_tracer(__name__)


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


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[None]:
    """Open a span around a block.

    :param name: the name of the span, without the prefix ``engagement.``.
    :param attributes: attributes of the span, without the prefix.
    """
    prefixed = {f"engagement.{key}": value for key, value in attributes.items()}
    with _tracer.start_as_current_span(f"engagement.{name}", attributes=prefixed):
        yield


def count_requests(endpoint: str, client: EngagementClient) -> None:
    """Count the requests of a client, whether they succeeded or not."""
    _count("engagement.requests", client.requests_sent, endpoint=endpoint)
    _count("engagement.requests.rate_limited", client.limiter.rate_limited_requests, endpoint=endpoint)
    waited = timedelta(seconds=client.limiter.waited_seconds)
    _stats().timing("engagement.waited", waited, tags={"endpoint": endpoint})


def count_wait(endpoint: str) -> None:
    """Count one release of the worker slot."""
    _count("engagement.waits", 1, endpoint=endpoint)


def count_manifest(manifest: dict[str, Any]) -> None:
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
        _stats().incr(name, number, tags=tags)


def _stats() -> Any:
    from airflow.sdk.observability.stats import Stats

    return Stats
