"""A million Tweet ids from their texts to the requests of a pull: parsed, divided by owner, and planned."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

from figures import MEGABYTE, figure, in_own_process, peak_memory, timed
from histories import END, spread_tweets

from airflow_provider_engagement.parameters import Interval

HOURS = 28 * 24
CONNECTION = {
    "conn_type": "engagement",
    "extra": {
        "api_key": "key-of-the-app",
        "api_key_secret": "secret-of-the-app",
        "access_token": "7-token-of-the-user",
        "access_token_secret": "secret-of-the-user",
    },
}
"""The benchmark sends nothing."""


def main(tweets: int = 1_000_000, days: int = 365) -> None:
    """Plan a pull of totals, and one of 28 days.

    :param tweets: the number of Tweets, created evenly over the days.
    :param days: the days.
    """
    for kind in ("totals", "historical"):
        for name, value, unit in in_own_process(_measure, kind, tweets, days):
            figure(f"{tweets} Tweets, {kind}: {name}", value, unit)


def _measure(kind: str, tweets: int, days: int) -> list[tuple[str, float, str]]:
    os.environ["AIRFLOW_CONN_ENGAGEMENT_DEFAULT"] = json.dumps(CONNECTION)
    from airflow_provider_engagement.connections.engagement import EngagementConnection
    from airflow_provider_engagement.connections.listed_tweets import read_tweets
    from airflow_provider_engagement.inputs.settings import parse_settings
    from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
    from airflow_provider_engagement.operators.rendered_parameters import parameter_values
    from airflow_provider_engagement.pull.make_pull import make_pull
    from airflow_provider_engagement.pull.task_run import RunContext

    texts = list(spread_tweets(tweets, days))
    if kind == "totals":
        operator = EngagementTotalsOperator(task_id="ids", tweets=texts, dataset_format="parquet")
    else:
        interval = {"start": END - timedelta(hours=HOURS), "end": END, "interval": Interval(max_age="unlimited")}
        operator = EngagementHistoricalOperator(task_id="ids", tweets=texts, dataset_format="parquet", **interval)
    now = datetime.now(UTC)
    run = RunContext(
        run_id="benchmark",
        task="benchmark",
        time=now,
        partition_key=None,
        data_interval=None,
        is_shared=False,
        attempt_start=now,
        start=now,
    )
    with timed() as reading:
        settings = parse_settings(operator.endpoint, parameter_values(operator))
        owners = read_tweets(settings.tweets)
    with timed() as making:
        pull = make_pull(settings, owners, run, EngagementConnection(settings.conn_id))
    with timed() as planning:
        requests = pull.requests()
    steps = {"reading": reading, "dividing by owner": making, "planning": planning}
    return [
        ("requests", len(requests), "requests"),
        *((name, step.processor_seconds, "s") for name, step in steps.items()),
        ("text to requests", sum(step.processor_seconds for step in steps.values()), "s"),
        ("memory", peak_memory() / MEGABYTE, "MB"),
    ]
