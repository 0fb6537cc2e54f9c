"""Pull a month of one handle's history twice, at once and day by day, and compare the requests and the rows.

``scripts/demo`` runs this program with the simulator's connections in its environment. The daily runs are those of a
backfill: the operator is executed once for each day, in a run of type ``backfill``. ``tests/system`` runs such a
backfill with Airflow's scheduler. The program prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow.dataset

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.simulator import World

DAYS, TWEETS = 30, 500
METRICS = ("impressions", "engagements", "url_clicks")


def main(screen_name: str, tweet_ids: str, output: str, seed: int, handles: int, tweets: int, now: datetime) -> None:
    """Pull, compare, and print the result."""
    world = World.generate(seed=seed, handles=handles, tweets=tweets, end=now)
    ids = Path(tweet_ids).read_text(encoding="utf-8").split()[-TWEETS:]
    today = now.replace(hour=0)
    first = today - timedelta(days=DAYS)
    at_once = pull(screen_name, ids, f"{output}/at_once", first, today, "manual")
    daily = [
        pull(
            screen_name,
            ids,
            f"{output}/daily",
            first + timedelta(days=day),
            first + timedelta(days=day + 1),
            "backfill",
        )
        for day in range(DAYS)
    ]
    rows = {name: days(f"{output}/{name}") for name in ("at_once", "daily")}
    wrong = sum(
        count != world.count(tweet_id, metric, start, start + timedelta(days=1))
        for (tweet_id, start), counts in rows["at_once"].items()
        for metric, count in zip(METRICS, counts, strict=True)
    )
    print(
        json.dumps(
            {
                "days": DAYS,
                "tweets": len(ids),
                "rows": len(rows["at_once"]),
                "counts": len(rows["at_once"]) * len(METRICS),
                "differences": wrong + len(dict(rows["at_once"].items() ^ rows["daily"].items())),
                "requests": {
                    "one pull": at_once["requests"]["sent"],
                    "daily runs": sum(manifest["requests"]["sent"] for manifest in daily),
                    "daily runs that share no requests": -(-len(ids) // 25) * DAYS,
                },
            }
        )
    )


def pull(
    screen_name: str, ids: list[str], output: str, start: datetime, end: datetime, run_type: str
) -> dict[str, Any]:
    """Execute the operator for one run, and return its manifest."""
    task_instance = SimpleNamespace(
        dag_id="history",
        task_id="pull",
        map_index=-1,
        run_id=f"{run_type}__{start:%Y-%m-%d}",
        try_number=1,
        start_date=datetime.now(UTC),
        get_first_reschedule_date=lambda context: None,
    )
    context = {
        "ti": task_instance,
        "run_id": task_instance.run_id,
        "dag_run": SimpleNamespace(run_type=run_type, run_after=end),
        "data_interval_start": start,
        "data_interval_end": end,
        "logical_date": start,
    }
    operator = EngagementHistoricalOperator(
        task_id="pull",
        engagement_conn_id=f"engagement_{screen_name}",
        tweets=ids,
        metrics=METRICS,
        granularity="day",
        dataset_path=output,
    )
    return operator.execute(cast(Any, context))


def days(output: str) -> dict[tuple[str, datetime], tuple[int | None, ...]]:
    """Return the counts of each Tweet and day."""
    table = pyarrow.dataset.dataset(f"{output}/tweet_metrics/day", format="parquet").to_table()
    return {
        (row["tweet_id"], row["period_start"]): tuple(row[metric] for metric in METRICS) for row in table.to_pylist()
    }


if __name__ == "__main__":
    name, ids_file, folder, seed, handles, tweets, now = sys.argv[1:]
    main(name, ids_file, folder, int(seed), int(handles), int(tweets), datetime.fromisoformat(now))
