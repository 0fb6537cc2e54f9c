"""The report of a run stays small and adds up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_engagement.api.response import Outcome, TweetStatus
from airflow_provider_engagement.dataset.manifest import (
    ACCEPTED_BY_DEFAULT,
    Manifest,
    Outcomes,
    parse_accepted_outcomes,
)
from airflow_provider_engagement.exceptions import InvalidQueryError

OK = TweetStatus(Outcome.OK)
GONE = TweetStatus(Outcome.UNAVAILABLE, ("favorites",), "deleted, or not public any more")
OLD = TweetStatus(Outcome.UNSUPPORTED_90D, ("impressions",), "the Tweet is more than 90 days old")


def outcomes(**numbers: tuple[int, TweetStatus]) -> Outcomes:
    found = Outcomes()
    first = 10**18
    for number, status in numbers.values():
        found.add((str(first + index), status) for index in range(number))
        first += number
    return found


def manifest(found: Outcomes, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "endpoint": "totals",
        "auth": "user",
        "owner": "7",
        "run": "manual__2026-01-12",
        "metrics": ("favorites", "impressions"),
        "asked": found.numbers.total(),
        "outcomes": found,
        "requests": {"planned": 1, "sent": 1},
        "rows": {"tweet_totals": 1},
        "outputs": {},
        "seconds": {"elapsed": 0.1},
        "budget": {},
        "snapshot_at": "2026-01-12T00:00:00+00:00",
    }
    return Manifest(**{**values, **changes}).to_dict()


def test_every_tweet_is_counted_once_under_its_outcome() -> None:
    report = manifest(outcomes(fine=(5, OK), gone=(3, GONE), old=(2, OLD)))
    assert report["outcomes"] == {"unavailable": 3, "unsupported_90d": 2, "ok": 5}
    assert sum(report["outcomes"].values()) == report["asked"] == 10
    assert report["got"] == 5


def test_what_is_missing_is_told_with_the_reason_and_examples() -> None:
    report = manifest(outcomes(fine=(1, OK), gone=(2, GONE)))
    assert report["missing"] == {
        "unavailable": {
            "tweets": 2,
            "why": "deleted, or not public any more",
            "examples": ["1000000000000000001", "1000000000000000002"],
        }
    }


def test_a_pull_without_a_gap_misses_nothing() -> None:
    report = manifest(outcomes(fine=(4, OK)))
    assert (report["missing"], report["got"]) == ({}, 4)


def test_the_report_is_small_whatever_the_size_of_the_pull() -> None:
    small = manifest(outcomes(fine=(10, OK), gone=(20, GONE), old=(20, OLD)))
    large = manifest(outcomes(fine=(10, OK), gone=(50_000, GONE), old=(50_000, OLD)))
    assert large["missing"]["unavailable"]["tweets"] == 50_000
    assert len(large["missing"]["unavailable"]["examples"]) == 10
    assert len(json.dumps(large)) < len(json.dumps(small)) + 50 < 3_000


def test_the_report_is_plain_data() -> None:
    report = manifest(outcomes(gone=(1, GONE)), window=("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"))
    assert json.loads(json.dumps(report)) == report
    assert report["window"] == ["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"]


def test_deleted_and_unsupported_tweets_are_accepted_by_default() -> None:
    found = outcomes(gone=(3, GONE), old=(2, OLD), video=(1, TweetStatus(Outcome.UNSUPPORTED_VIDEO)), fine=(1, OK))
    assert found.not_accepted(ACCEPTED_BY_DEFAULT) == {}
    assert found.not_accepted(()) == {
        Outcome.UNAVAILABLE: 3,
        Outcome.UNSUPPORTED_90D: 2,
        Outcome.UNSUPPORTED_VIDEO: 1,
    }


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.FORBIDDEN, Outcome.NO_DATA])
def test_nothing_else_is_accepted_by_default(outcome: Outcome) -> None:
    assert outcomes(one=(1, TweetStatus(outcome))).not_accepted(ACCEPTED_BY_DEFAULT) == {outcome: 1}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ACCEPTED_BY_DEFAULT),
        ([], ()),
        ("", ()),
        ("unavailable", (Outcome.UNAVAILABLE,)),
        ("unavailable, forbidden", (Outcome.UNAVAILABLE, Outcome.FORBIDDEN)),
        (["forbidden"], (Outcome.FORBIDDEN,)),
        ((Outcome.NO_DATA, "unavailable"), (Outcome.NO_DATA, Outcome.UNAVAILABLE)),
    ],
)
def test_a_completeness_rule_is_a_list_of_outcomes(value: object, expected: tuple[Outcome, ...]) -> None:
    assert parse_accepted_outcomes(value) == expected


@pytest.mark.parametrize("value", ["deleted", ["unavailable", "gone"], 5, [5], [None], {"unavailable": 1, "no": 2}])
def test_an_unknown_outcome_is_named_and_those_that_exist_are_listed(value: object) -> None:
    with pytest.raises(InvalidQueryError, match="accepted_outcomes"):
        parse_accepted_outcomes(value)
