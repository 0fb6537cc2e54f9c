"""Totals of 100,000 public Tweets in 400 requests, at 300 a minute: share of the quota used, time, peak memory.

The operator runs without Airflow's processes, in real time, from the start of a minute of the simulator. Each response
takes 200 ms.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta

import operators
from figures import MEGABYTE, figure, peak_memory, timed
from simulators import simulation

from airflow_provider_engagement.parameters import Limits


def main(tweets: int = 100_000, limit: int = 300) -> None:
    """Pull totals.

    :param tweets: the number of Tweets. A request names 250.
    :param limit: requests per minute.
    """
    requests = -(-tweets // 250)
    with simulation(tweets=tweets, limit=limit) as simulated, tempfile.TemporaryDirectory() as folder:
        operators.connect("engagement_default", simulated.connection())
        from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

        pull = EngagementTotalsOperator(
            max_delay="unlimited",
            task_id="pull",
            tweets=simulated.tweet_ids,
            auth="app",
            dataset_path=f"file://{folder}",
            limits=Limits(wait_on_worker=timedelta(seconds=120)),
            accepted_outcomes=["unavailable", "unsupported_video", "unsupported_90d"],
        )
        before = peak_memory()
        simulated.begin_minute()
        with timed() as spent:
            manifest = pull.execute(operators.context())
        found = simulated.requests()
    full_minutes = (requests - 1) // limit
    figure("requests", manifest["requests"]["sent"], "requests", f"== {requests}")
    figure("rate-limited", found.rate_limited(), "requests", "== 0")
    if full_minutes:
        figure("share of the quota used", found.share_used(limit, full_minutes), "share", ">= 0.98")
    figure("time", spent.seconds, "s")
    figure("shortest time that the quota allows", full_minutes * 60, "s")
    figure("processor time", spent.processor_seconds, "s")
    figure("peak memory", peak_memory() / MEGABYTE, "MB")
    figure("peak memory above that of Airflow and the ids", (peak_memory() - before) / MEGABYTE, "MB")
