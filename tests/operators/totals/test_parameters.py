"""What cannot be requested fails the task before any request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.exceptions import (
    InvalidConnectionError,
    InvalidQueryError,
)
from airflow_provider_engagement.parameters import Limits
from airflow_provider_engagement.simulator import Handle, Simulator

from .conftest import Connect, Execute, Pull, files


def test_an_invalid_parameter_fails_the_task_with_its_name_before_any_request(
    pull: Pull, execute: Execute, simulator: Simulator, tmp_path: Path
) -> None:
    """The tests of ``inputs`` have more values. One of each parameter shows that the operator checks it in time."""
    for field, arguments in (
        ("tweets", {"tweets": None}),
        ("tweets", {"tweets": ["20", "abc"]}),
        ("tweets", {"tweets": "/nowhere/ids.txt"}),
        ("metrics", {"metrics": ["likes"]}),
        ("metrics", {"metrics": ["url_clicks"]}),
        ("metrics", {"metrics": ["impressions"], "auth": "app"}),
        ("auth", {"auth": "owner"}),
        ("groupings", {"groupings": "by day"}),
        ("groupings", {"groupings": {"daily": ["engagement.type", "engagement.day"]}}),
        ("groupings", {"groupings": {name: ["engagement.type"] for name in "abc"}}),
        ("dataset_format", {"dataset_format": "xlsx"}),
        ("accepted_outcomes", {"accepted_outcomes": ["gone"]}),
        ("snapshot_at", {"snapshot_at": "yesterday"}),
        ("limits.concurrent_requests", {"limits": Limits(concurrent_requests=0)}),
        ("limits.wait_on_worker", {"limits": Limits(wait_on_worker="half a minute")}),
        ("limits.wait", {"limits": Limits(wait="an hour")}),
    ):
        with pytest.raises(AirflowFailException, match=f"^{field}: ") as raised:
            execute(pull(**arguments))
        assert isinstance(raised.value.__cause__, InvalidQueryError), arguments
        assert len(simulator.journal) == 0, arguments
        assert files(tmp_path) == [], arguments


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"access_token_secret": None}, {}, "access_token_secret"),
        ({"api_key_secret": None}, {}, "api_key_secret"),
        ({"api_key": None, "api_key_secret": None}, {}, "api_key"),
        ({"access_token": None, "access_token_secret": None}, {"auth": "user"}, "access"),
        ({"access_token": None, "access_token_secret": None}, {"metrics": "impressions"}, "access"),
        ({"token_url": "http://example.com/oauth2/token"}, {}, "token_url"),
        ({"read_timeout": "soon"}, {}, "read_timeout"),
    ],
)
def test_an_unsuitable_connection_fails_the_task_before_any_request(
    pull: Pull,
    connect: Connect,
    execute: Execute,
    simulator: Simulator,
    author: Handle,
    changes: dict[str, Any],
    arguments: dict[str, Any],
    message: str,
) -> None:
    connect(author, **changes)
    with pytest.raises(AirflowFailException, match=message) as raised:
        execute(pull(**arguments))
    assert isinstance(raised.value.__cause__, (InvalidConnectionError, InvalidQueryError))
    assert len(simulator.journal) == 0


@pytest.mark.parametrize("field", ["dataset_path", "tweets"])
def test_a_secret_in_a_path_fails_the_task_before_any_request_and_is_in_no_log(
    pull: Pull, execute: Execute, simulator: Simulator, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    arguments: dict[str, Any] = {field: "s3://key:canary@bucket/file.txt"}
    with (
        caplog.at_level("DEBUG"),
        pytest.raises(AirflowFailException, match=f"^{field}: .*Keep secrets in an Airflow connection") as raised,
    ):
        execute(pull(**arguments))
    assert "canary" not in f"{raised.value} {raised.value.__cause__!r} {caplog.text}"
    assert len(simulator.journal) == 0
