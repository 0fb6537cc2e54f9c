"""The examples of the documentation of X API v2, and captured responses, replayed over HTTP with invented ids."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.simulator import Clock, World
from airflow_provider_engagement.simulator.x_api.usage import account_id

from .conftest import XClient

EXAMPLES = sorted((Path(__file__).parents[2] / "golden" / "x_api").glob("*.json"))
ACCOUNT = "ACCOUNT"


def test_there_are_fifteen_examples() -> None:
    assert len(EXAMPLES) == 15


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_documented_request_gets_the_documented_response(path: Path, start: Callable[..., XClient]) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    now = datetime.fromisoformat(example["clock"])
    x = start(World.from_json(example["world"]), now=now, rate_clock=Clock(now), **example["switches"])
    for limit in example.get("limits", ()):
        x.simulator.windows.set_limit(*limit)
    for exchange in example["exchanges"]:
        credentials: dict[str, Any] = {"none": {"headers": {}}}.get(exchange["auth"]["mode"], {})
        user = exchange["auth"].get("user_id")
        response = x.get(exchange["path"].removeprefix("/2/"), user=user, **credentials, **exchange["query"])
        body = json.loads(response.text.replace(account_id(x.simulator.world.app), ACCOUNT))
        if "next_token" in body.get("meta", {}):
            body["meta"]["next_token"] = "opaque"
        assert (response.status_code, body) == (exchange["status"], exchange["response"])
        for name, value in exchange.get("response_headers", {}).items():
            assert response.headers[name] == value
