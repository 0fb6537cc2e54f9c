"""What retries and reruns send, and what they replace."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.exceptions import (
    IncompletePullError,
    PermanentError,
)
from airflow_provider_engagement.parameters import Limits
from airflow_provider_engagement.simulator import Fault, Simulator

from .conftest import OWNED, Execute, Pull, counted, files, requested_ids, table, tables, truths


def test_a_rerun_sends_nothing_and_replaces_the_files(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    first = execute(pull())
    before = {path: (tmp_path / path).read_bytes() for path in tables(tmp_path)}
    assert len(before) == 2
    simulator.journal.clear()
    second = execute(pull())
    assert {path: (tmp_path / path).read_bytes() for path in tables(tmp_path)} == before
    assert second["outputs"] == first["outputs"]
    assert len(simulator.journal) == 0
    assert second["requests"] == {**first["requests"], "sent": 0, "succeeded": 0, "reused": len(mine) // 250 + 1}
    (manifest,) = files(tmp_path / "_manifests", "*.json")
    assert json.loads((tmp_path / "_manifests" / manifest).read_text())["requests"]["sent"] == 0


def test_another_snapshot_sends_its_own_requests_and_keeps_the_first(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    execute(pull(tweets=mine[-5:]))
    noon = datetime(2026, 1, 11, 12, tzinfo=UTC)
    report = execute(pull(tweets=mine[-5:]), data_interval_end=noon)
    assert len(simulator.journal) == 2
    assert report["snapshot_at"] == "2026-01-11T12:00:00+00:00"
    assert len(files(tmp_path / "tweet_totals")) == 2
    assert {row["snapshot_at"] for row in table(report["outputs"]["tweet_totals"])} == {noon}


def test_a_rerun_with_one_more_tweet_sends_one_request(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    by_age = sorted(mine, key=int)
    execute(pull(tweets=by_age[:-1]))
    simulator.journal.clear()
    execute(pull(tweets=by_age))
    assert len(simulator.journal) == 1


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, "2026-01-12T00:00:00+00:00"),
        ({"data_interval_end": None}, "2026-01-11T12:00:00+00:00"),
        ({"data_interval_end": None, "logical_date": None}, "2026-01-12T00:00:00+00:00"),
    ],
)
def test_the_default_time_of_a_snapshot_is_the_time_of_the_run(
    pull: Pull, execute: Execute, mine: list[str], context: dict[str, Any], expected: str
) -> None:
    context = {"logical_date": datetime(2026, 1, 11, 12, tzinfo=UTC), **context}
    assert execute(pull(tweets=mine[-1:]), **context)["snapshot_at"] == expected


def test_snapshot_at_sets_the_time_of_a_snapshot(pull: Pull, execute: Execute, mine: list[str]) -> None:
    report = execute(pull(tweets=mine[-1:], snapshot_at="{{ logical_date.year }}-01-05T06:00:00+02:00"))
    assert report["snapshot_at"] == "2026-01-05T04:00:00+00:00"


@pytest.mark.usefixtures("short_waits")
def test_a_retry_of_an_incomplete_pull_sends_only_the_missing_requests(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    # The second request gets no response in any of its attempts. All other requests succeed.
    simulator.faults.add(*[Fault(drop="before_headers", nth=number) for number in range(2, 8)])
    with pytest.raises(IncompletePullError, match=r"no response from http://127\.0\.0\.1") as raised:
        execute(pull(limits=Limits(concurrent_requests=1)))
    assert not isinstance(raised.value, PermanentError)
    assert [path.partition("/")[0] for path in tables(tmp_path)] == ["tweet_status"]
    statuses = [entry.status for entry in simulator.journal]
    assert statuses == [200, *[None] * 6, *[200] * (len(mine) // 250 - 1)]

    lost = simulator.journal.entries[1].body["tweet_ids"]
    simulator.journal.clear()
    report = execute(pull(limits=Limits(concurrent_requests=1)))
    assert requested_ids(simulator) == lost
    assert report["requests"]["reused"] == len(mine) // 250
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(simulator, mine, OWNED)


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize(
    "fault",
    [
        Fault.html(status=502),
        Fault.text(status=503),
        Fault(status=500, body=b""),
        Fault(truncate_gzip=True),
        Fault(drop="before_headers"),
        Fault(drop="after_headers"),
        Fault(status=200, body="<html>login</html>", headers={"Content-Type": "text/html"}),
        Fault(status=200, body={"errors": ["internal server error"]}),
        Fault(status=200, body=b""),
    ],
    ids=lambda fault: f"{fault.status}-{fault.drop}-{fault.truncate_gzip}-{len(fault.body)}",
)
def test_a_transient_fault_costs_one_more_request(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], fault: Fault
) -> None:
    simulator.faults.add(fault)
    some = mine[-260:]
    report = execute(pull(tweets=some))
    assert (report["requests"]["planned"], report["requests"]["sent"]) == (2, 3)
    assert len(simulator.journal) == 3
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(simulator, some, OWNED)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=401, body={"errors": ["Your account could not be authenticated. Reason: revoked"]}),
        Fault(status=403, body={"errors": ["Client application id is not authorized."]}),
        Fault(status=404, body={"errors": [{"message": "Sorry, that page does not exist", "code": 34}]}),
        Fault(status=410, body=b""),
        Fault.redirect("http://127.0.0.1:9/"),
    ],
    ids=lambda fault: str(fault.status),
)
def test_an_error_of_every_request_fails_the_task_after_one_request(
    pull: Pull, execute: Execute, simulator: Simulator, fault: Fault
) -> None:
    simulator.faults.add(fault)
    with pytest.raises(AirflowFailException, match=f"totals: HTTP {fault.status}"):
        execute(pull(limits=Limits(concurrent_requests=1)))
    assert len(simulator.journal) == 1


def test_an_outcome_that_is_not_accepted_fails_the_task_without_retries(
    pull: Pull, execute: Execute, simulator: Simulator, tmp_path: Path
) -> None:
    with pytest.raises(AirflowFailException, match="unavailable"):
        execute(pull(accepted_outcomes=["unsupported_90d", "unsupported_video"]))
    assert [path.partition("/")[0] for path in tables(tmp_path)] == ["tweet_status"]
    simulator.journal.clear()
    execute(pull())
    assert len(simulator.journal) == 0
