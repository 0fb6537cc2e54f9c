"""What the Engagement API can do wrong, through the control API of the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from cluster.simulator import SimulatedApi

ApiFault = Callable[[SimulatedApi, float], AbstractContextManager[None]]
"""Disturbs the API for some seconds, or for some responses."""


def _responses(*faults: dict[str, Any]) -> ApiFault:
    @contextmanager
    def installed(api: SimulatedApi, seconds: float) -> Iterator[None]:
        api.control("faults", [{"times": 1, **fault} for fault in faults])
        try:
            yield
        finally:
            api.control("faults", None, "DELETE")

    return installed


@contextmanager
def _paused(api: SimulatedApi, seconds: float) -> Iterator[None]:
    api.control("faults", [{"times": 1, "delay": seconds}] * 4)
    try:
        yield
    finally:
        api.control("faults", None, "DELETE")


@contextmanager
def _closed(api: SimulatedApi, seconds: float) -> Iterator[None]:
    api.control("limits", {"closed_until": (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()})
    try:
        yield
    finally:
        api.control("limits", {"closed_until": None})


_DEEP = "[" * 5000
_REPEATED_KEY = '{"start": "2026-01-01T00:00:00Z", "start": "2026-01-02T00:00:00Z"}'

CLOSED = "API closed"

API_FAULTS: Mapping[str, ApiFault] = {
    "API paused": _paused,
    CLOSED: _closed,
    "API fails": _responses(*[{"status": status} for status in (500, 502, 503, 504, 503, 500)]),
    "API answers garbage": _responses(
        {"status": 200, "body": "<html>Bad Gateway</html>"},
        {"status": 200, "body": _DEEP},
        {"status": 200, "body": _REPEATED_KEY},
        {"truncate_gzip": True},
    ),
    "connection breaks": _responses(*[{"drop": place} for place in ("before_headers", "after_headers")] * 2),
}
"""The faults, by name."""
