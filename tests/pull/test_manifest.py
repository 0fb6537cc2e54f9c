"""The manifest is small, and its numbers add up."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_engagement.engagement_api.response import Outcome, TweetStatus
from airflow_provider_engagement.pull.completeness import OutcomeSummary
from airflow_provider_engagement.pull.manifest import Manifest

OK = TweetStatus(Outcome.OK)
DELETED = TweetStatus(Outcome.UNAVAILABLE, ("favorites",), "deleted or no longer public")
OLD = TweetStatus(Outcome.UNSUPPORTED_90D, ("impressions",), "the Tweet is more than 90 days old")


def outcomes(*numbers: tuple[int, TweetStatus]) -> OutcomeSummary:
    summary = OutcomeSummary()
    first = 10**18
    for number, status in numbers:
        summary.add((str(first + index), status) for index in range(number))
        first += number
    return summary


def manifest(summary: OutcomeSummary, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "endpoint": "totals",
        "auth": "user",
        "owners": {"requested": 1, "rejected": {}},
        "run_id": "manual__2026-01-12",
        "task": "dag.task",
        "metrics": ("favorites", "impressions"),
        "requested": summary.numbers.total(),
        "outcomes": summary,
        "requests": {"planned": 1, "sent": 1},
        "rows": {"tweet_totals": 1},
        "outputs": {},
        "versions": {},
        "seconds": {"elapsed": 0.1},
        "rate_limit": {},
        "snapshot_at": "2026-01-12T00:00:00+00:00",
    }
    return Manifest(**{**values, **changes}).to_dict()


def test_every_tweet_is_counted_under_one_outcome() -> None:
    found = manifest(outcomes((5, OK), (3, DELETED), (2, OLD)))
    assert found["outcomes"] == {"unavailable": 3, "unsupported_90d": 2, "ok": 5}
    assert sum(found["outcomes"].values()) == found["requested"] == 10
    assert found["complete"] == 5


def test_missing_tweets_have_a_reason_and_examples() -> None:
    assert manifest(outcomes((1, OK), (2, DELETED)))["missing"] == {
        "unavailable": {
            "tweets": 2,
            "reason": "deleted or no longer public",
            "examples": ["1000000000000000001", "1000000000000000002"],
        }
    }


def test_the_most_frequent_reason_of_an_outcome_is_given() -> None:
    rare, frequent = (TweetStatus(Outcome.FAILED, (), reason) for reason in ("HTTP 500", "timeout"))
    assert manifest(outcomes((1, rare), (2, frequent)))["missing"]["failed"]["reason"] == "timeout"


def test_a_complete_pull_misses_nothing() -> None:
    found = manifest(outcomes((4, OK)))
    assert (found["missing"], found["complete"]) == ({}, 4)


def test_the_size_does_not_depend_on_the_number_of_tweets() -> None:
    small = manifest(outcomes((10, OK), (20, DELETED), (20, OLD)))
    large = manifest(outcomes((10, OK), (50_000, DELETED), (50_000, OLD)))
    assert large["missing"]["unavailable"]["tweets"] == 50_000
    assert len(large["missing"]["unavailable"]["examples"]) == 10
    assert len(json.dumps(large)) < len(json.dumps(small)) + 50 < 3_000


def test_the_manifest_is_json() -> None:
    found = manifest(outcomes((1, DELETED)), interval=("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"))
    assert json.loads(json.dumps(found)) == found
    assert found["interval"] == ["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"]
