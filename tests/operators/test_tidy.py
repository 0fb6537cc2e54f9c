"""The operator that tidies up a dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.operators.tidy import EngagementTidyOperator


def test_the_task_returns_what_it_did(execute: Callable[..., Any], tmp_path: Path) -> None:
    tidy = EngagementTidyOperator(
        task_id="tidy", dataset_path="{{ params.folder }}", retention_hours="{{ params.hours }}"
    )
    params = {"folder": str(tmp_path / "dataset"), "hours": 24}
    assert execute(tidy, params=params) == {"tables": {}}


@pytest.mark.parametrize("hours", [0, 23.9, -1, "soon"])
def test_the_retention_covers_pulls_in_progress(execute: Callable[..., Any], tmp_path: Path, hours: object) -> None:
    tidy = EngagementTidyOperator(task_id="tidy", dataset_path=str(tmp_path), retention_hours=hours)
    with pytest.raises(AirflowFailException, match=r"retention_hours: .*Pass a number of at least 24\."):
        execute(tidy)
