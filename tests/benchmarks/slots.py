"""Worker-slot seconds that a task holds for each hour of waiting, deferred and rescheduled.

The operator runs alone; where it leaves its worker, the simulator's clock is set forward to when it comes back. What
the pull takes when nothing limits it is its work, and not counted; what Airflow takes to start a task is not measured.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from typing import Any

import operators
from figures import figure
from simulators import Simulation, simulation


def main(requests: int = 60, limit: int = 6) -> None:
    """Pull with many waits.

    :param requests: how many requests, of one minute each ``limit``.
    :param limit: requests a minute.
    """
    with simulation(tweets=requests * 250, limit=limit) as simulated:
        operators.connect("engagement_default", simulated.connection())
        for way, deferrable in (("deferred", True), ("rescheduled", False)):
            simulated.ask("limits", {"requests_per_minute": 60_000})
            work, _, _ = _pull(simulated, deferrable)
            simulated.ask("limits", {"requests_per_minute": limit})
            held, waited, starts = _pull(simulated, deferrable)
            hours = waited / 3600
            figure(f"{way}: held beyond the work", max(0.0, held - work) / hours, "s/h", "<= 36")
            figure(f"{way}: held with the work", held / hours, "s/h")
            figure(f"{way}: starts", starts / hours, "starts/h")
            figure(f"{way}: waited", waited, "s")


def _pull(simulated: Simulation, deferrable: bool) -> tuple[float, float, int]:
    """Return seconds on the worker, seconds of waiting off it, and how often the task was started."""
    from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred

    from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

    held = waited = 0.0
    starts = 0
    context = operators.context()
    with tempfile.TemporaryDirectory() as folder:
        simulated.begin_window()
        while True:
            pull = EngagementTotalsOperator(
                task_id="pull",
                tweet_ids=simulated.tweet_ids,
                auth="app",
                output_path=f"file://{folder}",
                deferrable=deferrable,
                accepted_outcomes=["unavailable", "unsupported_video", "unsupported_90d"],
            )
            starts += 1
            began = time.perf_counter()
            wake: Any = None
            try:
                pull.execute(context)
            except TaskDeferred as deferred:
                wake = deferred.trigger.moment
            except AirflowRescheduleException as rescheduled:
                wake = rescheduled.reschedule_date
            held += time.perf_counter() - began
            if wake is None:
                return held, waited, starts
            seconds = (wake - datetime.now(UTC)).total_seconds()
            waited += seconds
            simulated.ask("clock", {"rate": {"advance": seconds}})
