"""Set up an Airflow installation for the tests alone, before any test imports Airflow."""

from __future__ import annotations

import os
import shutil
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
    # The tests only send requests to this machine.
    NO_PROXY="127.0.0.1,localhost,::1",
    no_proxy="127.0.0.1,localhost,::1",
)

settings.register_profile("developer", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


def pytest_unconfigure() -> None:
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def secrets_of_this_test_only() -> None:
    """Make Airflow forget the secrets of earlier tests.

    Airflow masks them all with one regular expression, and compiles it again for each new secret. With the connections
    of a thousand tests, that takes longer than the tests.
    """
    for name in ("airflow.sdk._shared.secrets_masker", "airflow._shared.secrets_masker"):
        if masker := sys.modules.get(name):
            masker.reset_secrets_masker()


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Create Airflow's database, for tests that run a DAG."""
    (AIRFLOW_HOME / "dags").mkdir(exist_ok=True)
    from airflow.utils.db import initdb

    initdb()
