"""Parse of a DAG file: the time that 1,000 pulls take, compared with tasks of other operators.

Airflow parses DAG files every few seconds: it constructs the tasks of a file and serializes them. Most of the time goes
by the number of parameters. The goal is the time of BashOperator, a stock operator. A plain operator that has the
parameters of the pulls and only assigns them shows how much of the difference is their number. Each parse is in this
process, one after the other, and a ratio is the median of the ratios of neighbors. The benchmark ``import`` measures
what the import of the operators adds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import operators  # noqa: F401  # sets the home of Airflow before it is imported
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseOperator
from airflow.serialization.serialized_objects import DagSerialization
from figures import figure

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator

_FILE = """
from airflow.sdk import DAG
{imports}

with DAG("tasks", schedule=None):
    for number in range({tasks}):
        {operator}
"""

_ARGUMENTS = """(
            task_id=f"task_{number}",
            tweets="s3://marketing/tweet_ids.csv",
            start="{{ data_interval_start }}",
            end="{{ data_interval_end }}",
            metrics=["impressions", "favorites"],
            dataset_path="s3://warehouse/engagement",
            granularity="day",
            time_zone="Europe/Prague",
        )"""
_OWN = (
    "from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator",
    f"EngagementHistoricalOperator{_ARGUMENTS}",
)
_STOCK = {
    "a plain operator": ("from dags import PlainOperator", f"PlainOperator{_ARGUMENTS}"),
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


class _PullParameters(BaseOperator):
    """The parameters that all pulls have, as an operator without any behavior assigns them."""

    def __init__(
        self,
        *,
        tweets: Any,
        metrics: Any = None,
        groupings: Any = None,
        dataset_path: Any = None,
        dataset_format: Any = None,
        extra_tables: Any = None,
        owners: Any = None,
        accepted_outcomes: Any = None,
        limits: Any = None,
        asset_events: Any = None,
        estimate_only: bool = False,
        engagement_conn_id: str = "engagement_default",
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in locals().items():
            if name not in ("self", "kwargs", "__class__"):
                setattr(self, name, value)


class PlainOperator(_PullParameters):
    """The parameters of EngagementHistoricalOperator, as an operator without any behavior assigns them."""

    template_fields = EngagementHistoricalOperator.template_fields
    template_fields_renderers: ClassVar[dict[str, str]] = EngagementHistoricalOperator.template_fields_renderers

    def __init__(
        self,
        *,
        start: Any = None,
        end: Any = None,
        interval: Any = None,
        granularity: str = "hour",
        time_zone: str = "UTC",
        freshness: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.end = end
        self.interval = interval
        self.granularity = granularity
        self.time_zone = time_zone
        self.freshness = freshness

    def execute(self, context: Any) -> None:
        """Do nothing."""


def main(tasks: int = 1_000, rounds: int = 7) -> None:
    """Parse DAG files with many tasks.

    :param tasks: the number of tasks in each file.
    :param rounds: how many times each file is parsed.
    """
    with tempfile.TemporaryDirectory() as folder:
        own = _write(Path(folder, "own.py"), tasks, *_OWN)
        stock = {name: _write(Path(folder, f"{name}.py"), tasks, *source) for name, source in _STOCK.items()}
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
            goal = "<= 1.1" if name == "BashOperator" else None
            figure(f"compared with {name}", statistics.median(ratios), "times", goal)


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
