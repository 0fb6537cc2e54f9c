"""Import of the operators: the milliseconds and modules that it adds to ``airflow.sdk``.

Airflow parses DAG files every few seconds, so an import must be quick. The times are medians over new processes, which
run one after the other.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile

from figures import figure

HEAVY = ("requests", "oauthlib", "pyarrow")

_CODE = """
import json, sys, time
import airflow.sdk
from airflow.sdk import DAG, BaseHook, BaseOperator
before, began, busy = set(sys.modules), time.perf_counter(), time.process_time()
import airflow_provider_engagement.operators.engagement
took, worked = time.perf_counter() - began, time.process_time() - busy
print(json.dumps([took, worked, sorted(set(sys.modules) - before)]))
"""


def main(processes: int = 15) -> None:
    """Import the operators in new processes.

    :param processes: the number of processes, after a first one that compiles the modules.
    """
    with tempfile.TemporaryDirectory() as home:
        runs = [_run(home) for _ in range(processes + 1)][1:]
    added = runs[0][2]
    own = [name for name in added if name.startswith("airflow_provider_engagement")]
    figure("time added", statistics.median(took for took, _, _ in runs) * 1000, "ms", "<= 30")
    figure("processor time added", statistics.median(worked for _, worked, _ in runs) * 1000, "ms", "<= 30")
    figure("modules added", len(added), "modules")
    figure("modules added, of other packages", len(added) - len(own), "modules")
    for name in HEAVY:
        loaded = sum(module == name or module.startswith(f"{name}.") for module in added)
        figure(f"modules added, of {name}", loaded, "modules", "== 0")


def _run(home: str) -> tuple[float, float, list[str]]:
    completed = subprocess.run(
        [sys.executable, "-c", _CODE],
        check=True,
        capture_output=True,
        text=True,
        # Python keeps compiled modules, as it does where Airflow parses DAGs.
        env=os.environ | {"AIRFLOW_HOME": home, "AIRFLOW__CORE__UNIT_TEST_MODE": "True", "PYTHONDONTWRITEBYTECODE": ""},
    )
    took, worked, added = json.loads(completed.stdout.splitlines()[-1])
    return took, worked, added
