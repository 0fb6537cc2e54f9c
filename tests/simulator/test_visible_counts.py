"""Withdrawn and restated counts."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.simulator import SeededCounts, Tweet
from airflow_provider_engagement.simulator.counts import hours_since_1970
from airflow_provider_engagement.simulator.visible_counts import WITHDRAWABLE, VisibleCounts

CREATED = datetime(2025, 12, 14, 0, 28, 52, tzinfo=UTC)
FIRST_HOUR = round(hours_since_1970(CREATED.replace(minute=0, second=0)))
HOUR = timedelta(hours=1)
TWEET = Tweet(id="2000000000000000001", author_id="1")


def differences(cumulative: list[int]) -> list[int]:
    return [after - before for before, after in itertools.pairwise(cumulative)]


@pytest.mark.parametrize("metric", ["favorites", "impressions"])
def test_withdrawals_make_some_hours_negative_but_no_total(metric: str) -> None:
    visible = VisibleCounts(source=SeededCounts(seed=10), now=CREATED + 600 * HOUR, withdrawals=True)
    cumulative = visible.cumulative(TWEET, [metric], range(FIRST_HOUR, FIRST_HOUR + 600))[metric]
    assert min(cumulative) >= 0
    assert (min(differences(cumulative)) < 0) is (metric in WITHDRAWABLE)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), hours=st.integers(1, 60), minutes=st.integers(0, 59))
def test_restated_hours_grow_to_their_final_counts_and_add_up(seed: int, hours: int, minutes: int) -> None:
    source = SeededCounts(seed)
    edges = range(FIRST_HOUR, FIRST_HOUR + 200)
    earlier = CREATED + 20 * HOUR
    later = earlier + timedelta(hours=hours, minutes=minutes)

    def impressions(now: datetime) -> list[int]:
        visible = VisibleCounts(source=source, now=now, restatement=True)
        return differences(visible.cumulative(TWEET, ["impressions"], edges)["impressions"])

    before, after, final = impressions(earlier), impressions(later), impressions(CREATED + 1000 * HOUR)
    assert all(a <= b <= c for a, b, c in zip(before, after, final, strict=True))
    assert final == differences(source.cumulative(TWEET, ["impressions"], edges)["impressions"])
    assert VisibleCounts(source=source, now=earlier, restatement=True).total(TWEET, "impressions") == sum(before)
