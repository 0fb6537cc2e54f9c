"""Parse of a DAG file: the time that its tasks take, compared with those of a stock operator, and that of the import.

Airflow parses DAG files every few seconds: it constructs the tasks of a file and serializes them. Each parse is in this
process, one after the other, and the ratio is the median of the ratios of neighbors.
"""

from __future__ import annotations

import importlib
import statistics
import tempfile
import time
from pathlib import Path

import operators  # noqa: F401  # sets the home of Airflow before it is imported
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from figures import figure

_FILE = """
from airflow.sdk import DAG
{imports}

with DAG("tasks", schedule=None):
    for number in range({tasks}):
        {operator}
"""

_OWN = (
    "from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator",
    """EngagementHistoricalOperator(
            task_id=f"task_{number}",
            tweets="s3://marketing/tweet_ids.csv",
            start="{{ data_interval_start }}",
            end="{{ data_interval_end }}",
            metrics=["impressions", "favorites"],
            dataset_path="s3://warehouse/engagement",
            granularity="day",
            time_zone="Europe/Prague",
        )""",
)
_STOCK = {
    "HttpOperator": (
        "from airflow.providers.http.operators.http import HttpOperator",
        """HttpOperator(
            task_id=f"task_{number}",
            http_conn_id="engagement",
            endpoint="insights/engagement/historical",
            method="POST",
            data='{"start": "{{ data_interval_start }}", "end": "{{ data_interval_end }}"}',
            headers={"Content-Type": "application/json"},
            log_response=True,
        )""",
    ),
    "BashOperator": (
        "from airflow.providers.standard.operators.bash import BashOperator",
        """BashOperator(
            task_id=f"task_{number}",
            bash_command="pull {{ data_interval_start }} {{ data_interval_end }}",
            env={"METRICS": "impressions,favorites", "ZONE": "Europe/Prague"},
            append_env=True,
        )""",
    ),
}


def main(tasks: int = 1_000, rounds: int = 7) -> None:
    """Parse DAG files with many tasks.

    :param tasks: the number of tasks in each file.
    :param rounds: how many times each file is parsed.
    """
    with tempfile.TemporaryDirectory() as folder:
        own = _write(Path(folder, "own.py"), tasks, *_OWN)
        stock = {
            name: _write(Path(folder, f"{name}.py"), tasks, *source)
            for name, source in _STOCK.items()
            if _is_installed(source[0])
        }
        for path in (own, *stock.values()):
            _seconds(path)  # The first parse imports the operators.
        times: dict[str, list[float]] = {"own": [], **{name: [] for name in stock}}
        for _ in range(rounds):
            times["own"].append(_seconds(own))
            for name, path in stock.items():
                times[name].append(_seconds(path))
        figure(f"{tasks:,} tasks", statistics.median(times["own"]), "s")
        for name in stock:
            figure(f"{tasks:,} tasks of {name}", statistics.median(times[name]), "s")
            ratios = [ours / theirs for ours, theirs in zip(times["own"], times[name], strict=True)]
            figure(f"compared with {name}", statistics.median(ratios), "times", "<= 1.1")


def _is_installed(line: str) -> bool:
    try:
        importlib.import_module(line.split()[1])
    except ModuleNotFoundError:
        return False
    return True


def _write(path: Path, tasks: int, imports: str, operator: str) -> Path:
    source = _FILE.replace("{imports}", imports).replace("{tasks}", str(tasks)).replace("{operator}", operator)
    path.write_text(source, encoding="utf-8")
    return path


def _seconds(path: Path) -> float:
    """Return the processor time of a parse, as Airflow's DAG processor does it."""
    began = time.process_time()
    bag = DagBag(path, safe_mode=False)
    if bag.import_errors:
        raise RuntimeError(str(bag.import_errors))
    for dag in bag.dags.values():
        DagSerialization.to_dict(dag)
    return time.process_time() - began
