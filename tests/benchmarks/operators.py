"""Executes operators without Airflow's processes, with a minimal context and a temporary home.

Import this module before Airflow.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

_HOME = tempfile.mkdtemp(prefix="airflow-provider-engagement-bench-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ |= {
    "AIRFLOW_HOME": _HOME,
    "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}

SNAPSHOT_AT = datetime(2026, 1, 12, tzinfo=UTC)


@dataclass(kw_only=True)
class TaskInstance:
    """The attributes of a task instance that an operator reads."""

    task_id: str = "pull"
    dag_id: str = "benchmark"
    run_id: str = "benchmark"
    map_index: int = -1
    try_number: int = 1
    start_date: datetime = field(default_factory=lambda: datetime.now(UTC))

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        """Return the time of the first reschedule, of which there is none."""
        return None


def context() -> dict[str, Any]:
    """Return the context of a run that is due at :data:`SNAPSHOT_AT`."""
    return {
        "ti": TaskInstance(),
        "run_id": "benchmark",
        "data_interval_start": SNAPSHOT_AT,
        "data_interval_end": SNAPSHOT_AT,
        "dag_run": SimpleNamespace(run_type="manual", run_after=SNAPSHOT_AT),
    }


def connect(name: str, connection: str) -> None:
    """Define an Airflow connection by an environment variable."""
    os.environ[f"AIRFLOW_CONN_{name.upper()}"] = connection
