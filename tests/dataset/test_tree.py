"""Counts in the API's nesting, merged over requests."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.dataset.tree import merged

counts = st.none() | st.integers(-(2**63), 2**63 - 1)
keys = st.sampled_from(["favorites", "2026-01-10", "13"])


def nestings_of_depth(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(keys, counts if depth == 1 else nestings_of_depth(depth - 1))


# All answers to the same groupings are of the same depth.
pairs = st.integers(1, 4).flatmap(lambda depth: st.tuples(*[nestings_of_depth(depth)] * 2))
triples = st.integers(1, 4).flatmap(lambda depth: st.tuples(*[nestings_of_depth(depth)] * 3))


def leaves(nesting: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], int | None]:
    found: dict[tuple[str, ...], int | None] = {}
    for key, value in nesting.items():
        found |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
    return found


@given(triples)
def test_merging_is_associative(nestings: tuple[dict[str, Any], ...]) -> None:
    first, second, third = nestings
    assert merged(merged(first, second), third) == merged(first, merged(second, third))


@given(pairs)
def test_merging_is_commutative(nestings: tuple[dict[str, Any], ...]) -> None:
    first, second = nestings
    assert merged(first, second) == merged(second, first)


@given(pairs)
def test_a_count_is_the_sum_of_what_is_known_and_null_if_a_part_of_it_is(nestings: tuple[dict[str, Any], ...]) -> None:
    parts = [leaves(nesting) for nesting in nestings]
    expected = {}
    for path in parts[0].keys() | parts[1].keys():
        values = [part[path] for part in parts if path in part]
        expected[path] = None if None in values else sum(value for value in values if value is not None)
    assert leaves(merged(*nestings)) == expected


@given(pairs)
def test_nothing_merged_changes_nothing(nestings: tuple[dict[str, Any], ...]) -> None:
    first, _ = nestings
    assert merged(first, {}) == first
    assert merged({}, first) == first


@given(triples)
def test_what_is_merged_is_left_as_it_was(nestings: tuple[dict[str, Any], ...]) -> None:
    before = copy.deepcopy(nestings)
    first, second, third = nestings
    merged(merged(first, second), third)
    assert nestings == before


def test_groupings_of_two_requests_are_joined() -> None:
    first = {"by_day": {"101": {"favorites": {"2026-01-01": 3, "2026-01-02": None}}}}
    second = {"by_day": {"101": {"favorites": {"2026-01-01": -1, "2026-01-02": 5}}, "102": {"favorites": {}}}}
    assert merged(first, second) == {
        "by_day": {"101": {"favorites": {"2026-01-01": 2, "2026-01-02": None}}, "102": {"favorites": {}}}
    }


@given(nestings_of_depth(2))
def test_null_in_place_of_a_whole_branch_dominates_too(branch: dict[str, Any]) -> None:
    assert merged({"favorites": branch}, {"favorites": None}) == {"favorites": None}
    assert merged({"favorites": None}, {"favorites": branch}) == {"favorites": None}
