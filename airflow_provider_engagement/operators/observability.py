"""Metrics and spans of a pull, through Airflow's stats and OpenTelemetry; both do nothing unless they are configured.

=================================  =======  ======================  ==============================================
metric                             kind     tags                    meaning
=================================  =======  ======================  ==============================================
``engagement.requests``            counter  ``endpoint``            requests sent, repetitions included
``engagement.requests.refused``    counter  ``endpoint``            of these, those refused for their rate
``engagement.requests.reused``     counter  ``endpoint``            requests not sent, as their answers were kept
``engagement.requests.failed``     counter  ``endpoint``            requests that brought no answer in the end
``engagement.waits``               counter  ``endpoint``            times that a task gave its worker up to wait
``engagement.waited``              timer    ``endpoint``            waited in place, in milliseconds, over all threads
``engagement.tweets``              counter  ``endpoint``,           Tweets, by what became of them
                                            ``outcome``
``engagement.rows``                counter  ``endpoint``,           rows, by table
                                            ``table``
=================================  =======  ======================  ==============================================

Spans: ``engagement.fetch`` and ``engagement.assemble``, below the span of the task.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

if TYPE_CHECKING:
    from airflow_provider_engagement.api.client import EngagementClient

_tracer = trace.get_tracer(__name__)


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[None]:
    """Open a span around a block.

    :param name: what is done, without the leading ``engagement.``.
    :param attributes: what the span is to tell.
    """
    with _tracer.start_as_current_span(
        f"engagement.{name}", attributes={f"engagement.{key}": value for key, value in attributes.items()}
    ):
        yield


def count_requests(endpoint: str, client: EngagementClient) -> None:
    """Count what a client sent, however that ended."""
    tags = {"endpoint": endpoint}
    _count("engagement.requests", client.requests_sent, tags)
    _count("engagement.requests.refused", client.pace.refused_requests, tags)
    _stats().timing("engagement.waited", timedelta(seconds=client.pace.waited_seconds), tags=tags)


def count_wait(endpoint: str) -> None:
    """Count a time that a task gave its worker up."""
    _count("engagement.waits", 1, {"endpoint": endpoint})


def count_report(report: dict[str, Any]) -> None:
    """Count what a finished pull reports."""
    endpoint = report["endpoint"]
    for kind in ("reused", "failed"):
        _count(f"engagement.requests.{kind}", report["requests"][kind], {"endpoint": endpoint})
    for outcome, number in report["outcomes"].items():
        _count("engagement.tweets", number, {"endpoint": endpoint, "outcome": outcome})
    for table, number in report["rows"].items():
        _count("engagement.rows", number, {"endpoint": endpoint, "table": table})


def _count(name: str, number: int, tags: dict[str, str]) -> None:
    if number:
        _stats().incr(name, number, tags=tags)


def _stats() -> Any:
    from airflow.sdk.observability.stats import Stats

    return Stats
