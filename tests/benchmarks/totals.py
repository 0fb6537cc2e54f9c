"""100,000 public Tweets, 400 requests, at 300 a minute and 200 ms: share of the contract used, time, peak memory.

The operator runs alone, in real time, from the beginning of a minute of the simulator.
"""

from __future__ import annotations

import tempfile

import operators
from figures import MEGABYTE, figure, peak_memory, timed
from simulators import simulation


def main(tweets: int = 100_000, limit: int = 300) -> None:
    """Pull totals.

    :param tweets: how many Tweets; 250 go into a request.
    :param limit: requests a minute.
    """
    requests = -(-tweets // 250)
    with simulation(tweets=tweets, limit=limit) as simulated, tempfile.TemporaryDirectory() as folder:
        operators.connect("engagement_default", simulated.connection())
        from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

        pull = EngagementTotalsOperator(
            task_id="pull",
            tweet_ids=simulated.tweet_ids,
            auth="app",
            output_path=f"file://{folder}",
            max_inline_wait=120,
            accepted_outcomes=["unavailable", "unsupported_video", "unsupported_90d"],
        )
        before = peak_memory()
        simulated.begin_window()
        with timed() as spent:
            report = pull.execute(operators.context())
        found = simulated.requests()
    full_windows = (requests - 1) // limit
    figure("requests", report["requests"]["sent"], "requests", f"== {requests}")
    figure("refused", found.refused(), "requests", "== 0")
    if full_windows:
        figure("share of the contract used", found.share_used(limit, full_windows), "share", ">= 0.98")
    figure("time", spent.seconds, "s")
    figure("time that the contract alone takes", full_windows * 60, "s")
    figure("processor time", spent.processor_seconds, "s")
    figure("peak memory", peak_memory() / MEGABYTE, "MB")
    figure("peak memory over that of Airflow and the ids", (peak_memory() - before) / MEGABYTE, "MB")
