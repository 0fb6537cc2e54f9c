"""The figures of outcomes with every outcome that a pull can have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow

from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.report.charts import OUTCOME_COLORS
from airflow_provider_engagement.report.completeness_figures import (
    gaps_figure,
    outcomes_figure,
    snapshots_figure,
    tweets_figure,
)
from airflow_provider_engagement.report.period_sums import KnownSum
from airflow_provider_engagement.report.selection import Selection
from airflow_provider_engagement.report.snapshots import Snapshot

STATUSES = pyarrow.Table.from_pylist(
    [
        {
            "tweet_id": str(number),
            "task": "pull",
            "outcome": str(outcome),
            "metrics_affected": None,
            "message": None,
            "checked_at": None,
        }
        for number, outcome in enumerate(Outcome)
    ]
)


def test_each_outcome_has_a_bar_of_its_own_color() -> None:
    figure = outcomes_figure(STATUSES)

    bars = figure.plots[0]["data"]["values"]
    assert [bar["outcome"] for bar in bars] == [str(outcome) for outcome in reversed(Outcome)]
    assert [row[1:3] for row in figure.rows] == [(str(outcome), 1) for outcome in reversed(Outcome)]
    assert len(set(OUTCOME_COLORS.values())) == len(Outcome)


def test_the_colors_are_in_the_order_of_the_outcomes() -> None:
    assert list(OUTCOME_COLORS) == list(reversed(Outcome))


def test_the_tables_of_tweets_have_each_outcome() -> None:
    assert [row[1] for row in tweets_figure(STATUSES).rows] == [str(outcome) for outcome in Outcome]
    assert [row[1] for row in gaps_figure(STATUSES).rows] == [str(o) for o in Outcome if o is not Outcome.OK]


NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def snapshot(days: int, auth: str, favorites: int | None) -> Snapshot:
    known = KnownSum(favorites or 0, 0 if favorites is None else 1, 1)
    return Snapshot(NOON + days * DAY, auth, 1, {"favorites": known})


def points(*snapshots: Snapshot) -> dict[str, list[int]]:
    """Return the plotted values by the title of their axis."""
    selection = Selection(interval=TimeRange(NOON, NOON + 30 * DAY), metrics=("favorites",))
    figure = snapshots_figure(selection, snapshots, ["favorites"], [])
    assert len(figure.rows) == len(snapshots)
    return {
        plot["layer"][0]["encoding"]["y"]["title"]: [point["value"] for point in plot["data"]["values"]]
        for plot in figure.plots
    }


def test_the_snapshots_of_each_kind_of_credentials_have_a_plot_of_their_own() -> None:
    found = points(snapshot(0, "app", 10), snapshot(0, "user", 1), snapshot(1, "app", 20), snapshot(1, "user", 2))
    assert found == {"favorites, app": [10, 20], "favorites, user": [1, 2]}


def test_a_snapshot_without_a_known_count_is_not_plotted() -> None:
    assert points(snapshot(0, "user", 1), snapshot(1, "user", None), snapshot(2, "user", 3)) == {"favorites": [1, 3]}
    assert points(snapshot(0, "user", 1), snapshot(1, "user", None)) == {}
