"""No secret leaves the connection."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.simulator import Fault, Handle, Simulator, World

from .conftest import Connect, Execute


def test_no_secret_is_in_logs_manifests_files_exceptions_or_representations(
    connect: Connect,
    execute: Execute,
    simulator: Simulator,
    author: Handle,
    mine: list[str],
    world: World,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    app = world.app
    secrets = {
        app.consumer_key,
        app.consumer_secret,
        app.bearer_token,
        author.access_token,
        author.access_token_secret,
    }
    seen: list[str] = []

    def run(**arguments: Any) -> None:
        operator = EngagementTotalsOperator(task_id="totals", tweets=mine[-3:], dataset_path=str(tmp_path), **arguments)
        try:
            seen.append(repr(execute(operator)))
        except Exception as error:
            chain: BaseException | None = error
            while chain is not None:
                seen.extend((repr(chain), str(chain), repr(vars(chain))))
                chain = chain.__cause__ or chain.__context__
        hook = EngagementHook()
        client = hook.get_conn()
        fields = {name: getattr(operator, name) for name in operator.template_fields}
        seen.extend((repr(operator), repr(hook), repr(client), repr(fields)))

    connect(author)
    run()
    run(auth="app")
    connect(None, bearer_token=None)
    run(auth="app", snapshot_at="2026-01-11")
    connect(author, access_token_secret="canaryOfTheTokenSecret")
    run(snapshot_at="2026-01-10")
    connect(None, bearer_token="canaryOfTheBearer%2FToken", api_key=None, api_key_secret=None)
    run(snapshot_at="2026-01-09", auth="app")
    # Error responses that repeat secrets.
    connect(author)
    simulator.faults.add(
        Fault(status=400, body={"errors": [f"bad signature {author.access_token} {app.consumer_key}"]}),
        Fault(status=403, body={"errors": [{"message": f"token {app.bearer_token}"}]}),
    )
    run(snapshot_at="2026-01-08")
    run(snapshot_at="2026-01-07", auth="app")

    secrets |= {"canaryOfTheTokenSecret", "canaryOfTheBearer%2FToken"}
    logged = [record.getMessage() for record in caplog.records] + list(capsys.readouterr())
    assert any("Pulling totals" in line for line in logged)
    assert any("urllib3" in record.name for record in caplog.records)
    written = [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(seen) > 30
    assert len(written) > 5
    for secret in secrets:
        for text in (*seen, *written, *logged):
            assert secret not in text
