"""The examples of the documentation, replayed over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.simulator import Clock, Switches, World

EXAMPLES = sorted((Path(__file__).parent.parent / "golden" / "engagement_api").glob("*.json"))


def test_there_are_fifteen_examples() -> None:
    assert len(EXAMPLES) == 15


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_documented_request_gets_the_documented_response(path: Path, start: Callable[..., Any]) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    rate_clock = example.get("rate_clock")
    client = start(
        World.from_json(example["world"]),
        now=datetime.fromisoformat(example["clock"]),
        switches=Switches(**example["switches"]),
        rate_clock=Clock(datetime.fromisoformat(rate_clock) if rate_clock else None),
    )
    client.simulator.set_limit(per_minute=example.get("requests_per_minute"))
    for exchange in example["exchanges"]:
        response = client.post(
            exchange["path"].rpartition("/")[2],
            exchange["body"],
            user=example["auth"].get("user_id"),
            headers=exchange.get("headers"),
        )
        body = response.json()
        for key in exchange.get("not_printed", ()):
            assert body.pop(key)
        assert (response.status_code, body) == (exchange["status"], exchange["response"])
        for name, value in exchange.get("response_headers", {}).items():
            assert response.headers[name] == value
