"""Metrics and spans of pulls, as Airflow sends them to a backend."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.observability.stats import Stats
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from airflow_provider_engagement.operators import observability
from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.pull import tracing
from airflow_provider_engagement.simulator import Handle, Simulator, World

TOTALS = {"endpoint": "totals"}


class Backend(NoStatsLogger):
    """Records the metrics of this package."""

    def __init__(self) -> None:
        self.counts: list[tuple[str, int, dict[str, str]]] = []
        self.timings: list[tuple[str, Any, dict[str, str]]] = []

    def incr(self, stat: str, count: int = 1, rate: float = 1, *, tags: Any = None) -> None:  # type: ignore[override]
        if stat.startswith("engagement."):
            self.counts.append((stat, count, {name: str(value) for name, value in tags.items()}))

    def timing(self, stat: str, dt: Any, *, tags: Any = None) -> None:  # type: ignore[override]
        if stat.startswith("engagement."):
            self.timings.append((stat, dt, {name: str(value) for name, value in tags.items()}))

    def counted(self, name: str) -> list[tuple[int, dict[str, str]]]:
        return [(count, tags) for stat, count, tags in self.counts if stat == name]


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend of Airflow's metrics that records them."""
    options = {"export_legacy_names": False}
    known = {name: value for name, value in options.items() if name in inspect.signature(Stats.initialize).parameters}
    recorder = Backend()
    Stats.initialize(factory=lambda: recorder, **known)
    yield recorder
    Stats.initialize(factory=NoStatsLogger, **known)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    return exporter


@pytest.fixture
def pull(
    connect: Callable[..., str], author: Handle, world: World, tmp_path: Path
) -> Callable[..., EngagementTotalsOperator]:
    connect(author)

    def pulled(**parameters: Any) -> EngagementTotalsOperator:
        tweet_ids = " ".join(world.tweets_of(author.user_id))
        return EngagementTotalsOperator(
            **{"task_id": "totals", "tweets": tweet_ids, "dataset_path": str(tmp_path)} | parameters
        )

    return pulled


def test_a_pull_counts_its_requests_tweets_and_rows(
    backend: Backend, pull: Callable[..., Any], execute: Callable[..., Any], simulator: Simulator
) -> None:
    report = execute(pull())
    assert backend.counted("engagement.requests") == [(len(simulator.journal), TOTALS)]
    tweets = {tags["outcome"]: count for count, tags in backend.counted("engagement.tweets")}
    assert tweets == {name: number for name, number in report["outcomes"].items() if number}
    rows = {tags["table"]: count for count, tags in backend.counted("engagement.rows")}
    assert rows == report["rows"]
    assert all(tags["endpoint"] == "totals" for _, _, tags in backend.counts)
    ((name, waited, tags),) = backend.timings
    assert (name, tags) == ("engagement.waited", TOTALS)
    assert isinstance(waited, timedelta)


def test_a_rerun_counts_reused_responses_and_no_requests(
    backend: Backend, pull: Callable[..., Any], execute: Callable[..., Any]
) -> None:
    report = execute(pull())
    backend.counts.clear()
    execute(pull())
    assert backend.counted("engagement.requests") == []
    assert backend.counted("engagement.requests.reused") == [(report["requests"]["sent"], TOTALS)]


def test_a_wait_and_its_http_429_are_counted_although_the_pull_is_not_complete(
    backend: Backend, pull: Callable[..., Any], execute: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.rate_clock.freeze()
    simulator.quotas.close(simulator.rate_clock.now() + timedelta(seconds=50))
    with pytest.raises(TaskDeferred):
        execute(pull(deferrable=True))
    assert backend.counted("engagement.requests.rate_limited") == [(1, TOTALS)]
    assert backend.counted("engagement.waits") == [(1, TOTALS)]
    assert backend.counted("engagement.rows") == []


def test_every_metric_is_documented(backend: Backend, pull: Callable[..., Any], execute: Callable[..., Any]) -> None:
    execute(pull())
    execute(pull())
    names = {name for name, *_ in backend.counts} | {name for name, *_ in backend.timings}
    assert names <= set(observability.STATS)


def test_a_pull_has_a_span_for_fetching_and_one_for_assembling(
    spans: InMemorySpanExporter, pull: Callable[..., Any], execute: Callable[..., Any]
) -> None:
    report = execute(pull())
    attributes = {span.name: dict(span.attributes or {}) for span in spans.get_finished_spans()}
    assert attributes == {
        "engagement.fetch": {
            "engagement.endpoint": "totals",
            "engagement.requests": report["requests"]["planned"],
        },
        "engagement.assemble": {"engagement.endpoint": "totals", "engagement.tweets": report["requested"]},
    }


def test_nothing_is_sent_without_a_configured_backend(
    pull: Callable[..., Any], execute: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    sent: list[Any] = []
    monkeypatch.setattr(socket.socket, "sendto", lambda *arguments: sent.append(arguments))
    execute(pull())
    assert sent == []
    with tracing._tracer.start_as_current_span("engagement.nothing") as span:
        assert not span.is_recording()
