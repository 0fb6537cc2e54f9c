"""Counts of several responses are added without losing a count, and without inventing one."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.groupings import merge_groupings

counts = st.none() | st.integers(-(2**63), 2**63 - 1)
keys = st.sampled_from(["favorites", "2026-01-10", "13"])


def nested_counts(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(keys, counts if depth == 1 else nested_counts(depth - 1))


# All responses with the same groupings have the same depth.
pairs = st.integers(1, 4).flatmap(lambda depth: st.tuples(*[nested_counts(depth)] * 2))
triples = st.integers(1, 4).flatmap(lambda depth: st.tuples(*[nested_counts(depth)] * 3))
few = settings(max_examples=50, deadline=None)


def leaves(nested: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], int | None]:
    found: dict[tuple[str, ...], int | None] = {}
    for key, value in nested.items():
        found |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
    return found


@few
@given(triples)
def test_merging_is_associative(nested: tuple[dict[str, Any], ...]) -> None:
    first, second, third = nested
    left = merge_groupings(merge_groupings(first, second), third)
    assert left == merge_groupings(first, merge_groupings(second, third))


@few
@given(pairs)
def test_merging_is_commutative(nested: tuple[dict[str, Any], ...]) -> None:
    first, second = nested
    assert merge_groupings(first, second) == merge_groupings(second, first)


@few
@given(pairs)
def test_a_merged_count_is_the_sum_or_null_if_one_count_is_null(nested: tuple[dict[str, Any], ...]) -> None:
    both = [leaves(one) for one in nested]
    expected = {}
    for path in both[0].keys() | both[1].keys():
        values = [one[path] for one in both if path in one]
        expected[path] = None if None in values else sum(value for value in values if value is not None)
    assert leaves(merge_groupings(*nested)) == expected


@few
@given(triples)
def test_merging_does_not_change_its_arguments(nested: tuple[dict[str, Any], ...]) -> None:
    before = copy.deepcopy(nested)
    first, second, third = nested
    merge_groupings(merge_groupings(first, second), third)
    assert nested == before
    assert merge_groupings(first, {}) == merge_groupings({}, first) == first


def test_groupings_of_two_responses_are_merged() -> None:
    first = {"by_day": {"101": {"favorites": {"2026-01-01": 3, "2026-01-02": None}}}}
    second = {"by_day": {"101": {"favorites": {"2026-01-01": -1, "2026-01-02": 5}}, "102": {"favorites": {}}}}
    assert merge_groupings(first, second) == {
        "by_day": {"101": {"favorites": {"2026-01-01": 2, "2026-01-02": None}}, "102": {"favorites": {}}}
    }


@few
@given(nested_counts(2))
def test_null_in_place_of_an_object_has_precedence(nested: dict[str, Any]) -> None:
    assert merge_groupings({"favorites": nested}, {"favorites": None}) == {"favorites": None}
    assert merge_groupings({"favorites": None}, {"favorites": nested}) == {"favorites": None}
