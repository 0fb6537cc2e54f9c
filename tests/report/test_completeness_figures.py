"""The figures of outcomes with every outcome that a pull can have."""

from __future__ import annotations

import pyarrow

from airflow_provider_engagement.api.response import Outcome
from airflow_provider_engagement.report.charts import OUTCOME_COLORS
from airflow_provider_engagement.report.completeness_figures import gaps_figure, outcomes_figure, tweets_figure

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
