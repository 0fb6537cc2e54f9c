"""What every test runs in: an Airflow of its own, with nothing of the machine's, set up before Airflow is imported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="airflow-provider-engagement-"))

for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ.update(
    AIRFLOW_HOME=str(AIRFLOW_HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(AIRFLOW_HOME / "dags"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
    # Proxies are for the world outside, and tests reach nothing but this machine.
    NO_PROXY="127.0.0.1,localhost,::1",
    no_proxy="127.0.0.1,localhost,::1",
)

settings.register_profile("developer", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that need Airflow's database in one process, so that it is made once."""
    for item in items:
        if "airflow_database" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("airflow_database"))


def pytest_unconfigure() -> None:
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's database, empty and migrated: for tests that run a DAG."""
    (AIRFLOW_HOME / "dags").mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
