"""The documented examples, and what the tests of a client share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.time_range import TimeRange

from ..engagement_client import connect, historical, internet, make_client, on_the_wire, totals, wire, world

__all__ = ["connect", "historical", "internet", "make_client", "on_the_wire", "totals", "wire", "world"]

GOLDEN = Path(__file__).parent.parent / "golden" / "engagement_api"


@pytest.fixture
def golden() -> Callable[[str], dict[str, Any]]:
    """Read one of the documented examples."""
    return lambda name: json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.fixture
def request_of() -> Callable[..., Request]:
    """Return the request of a documented example. Its groupings are requested beside the rows."""

    def made(exchange: Mapping[str, Any], auth: str) -> Request:
        body = exchange["body"]
        window = None
        if "start" in body:
            edges = (datetime.fromisoformat(body[edge]) for edge in ("start", "end"))
            window = TimeRange(*(edge if edge.tzinfo else edge.replace(tzinfo=UTC) for edge in edges))
        query = Query(
            endpoint=Endpoint(exchange["path"].rpartition("/")[2]),
            auth=Auth(auth),
            tweet_ids=tuple(body["tweet_ids"]),
            metrics=tuple(body["engagement_types"]),
            groupings={
                name: tuple(map(Dimension, grouping["group_by"])) for name, grouping in body["groupings"].items()
            },
            interval=window,
        )
        return Request(query, query.tweet_ids, window)

    return made
