"""Seconds for which a waiting task holds its worker slot, for each hour of waiting, deferred and rescheduled.

The operator runs without Airflow's processes. When it releases its slot, the simulator's clock advances to the time at
which it resumes. The time that the pull takes without a limit is subtracted. Airflow's time to start a task is not
measured.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import operators
from figures import figure
from simulators import Simulation, simulation

from airflow_provider_engagement.storage.layout import RATE_LIMIT_FOLDER as SAVED_RATE_LIMITS


def main(requests: int = 60, limit: int = 6) -> None:
    """Pull with many waits.

    :param requests: the number of requests.
    :param limit: requests per minute.
    """
    with simulation(tweets=requests * 250, limit=limit) as simulated:
        operators.connect("engagement_default", simulated.connection())
        for way, deferrable in (("deferred", True), ("rescheduled", False)):
            simulated.control("limits", {"requests_per_minute": 60_000})
            work, _, _ = _pull(simulated, deferrable)
            simulated.control("limits", {"requests_per_minute": limit})
            held, waited, starts = _pull(simulated, deferrable)
            hours = waited / 3600
            figure(f"{way}: held beyond the work", max(0.0, held - work) / hours, "s/h", "<= 36")
            figure(f"{way}: held with the work", held / hours, "s/h")
            figure(f"{way}: starts", starts / hours, "starts/h")
            figure(f"{way}: waited", waited, "s")


def _pull(simulated: Simulation, deferrable: bool) -> tuple[float, float, int]:
    """Return seconds with a worker slot, seconds of waiting without one, and how often the task was started."""
    from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred

    from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

    held = waited = 0.0
    starts = 0
    context = operators.context()
    with tempfile.TemporaryDirectory() as folder:
        simulated.begin_minute()
        while True:
            pull = EngagementTotalsOperator(
                max_delay="unlimited",
                task_id="pull",
                tweets=simulated.tweet_ids,
                auth="app",
                dataset_path=f"file://{folder}",
                deferrable=deferrable,
                accepted_outcomes=["unavailable", "unsupported_video", "unsupported_90d"],
            )
            starts += 1
            began = time.perf_counter()
            resume_at: Any = None
            try:
                pull.execute(context)
            except TaskDeferred as deferred:
                resume_at = deferred.trigger.moment
            except AirflowRescheduleException as rescheduled:
                resume_at = rescheduled.reschedule_date
            held += time.perf_counter() - began
            if resume_at is None:
                return held, waited, starts
            seconds = (resume_at - datetime.now(UTC)).total_seconds()
            waited += seconds
            simulated.control("clock", {"rate": {"advance": seconds}})
            # A saved rate limit expires during the wait, but here only the simulator's clock advances.
            shutil.rmtree(Path(folder, SAVED_RATE_LIMITS), ignore_errors=True)
