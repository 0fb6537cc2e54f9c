"""Tweets of other users fail the task, or are left out if that is accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.exceptions import (
    ForbiddenTweetsError,
)
from airflow_provider_engagement.simulator import Handle, Simulator, Switches, World

from .conftest import OWNED, Execute, Pull, counted, table, tables, truths


@pytest.fixture
def others(world: World, author: Handle) -> list[str]:
    """Tweets of another user, none of them deleted."""
    other = next(handle for handle in world.handles.values() if handle.user_id != author.user_id)
    return world.tweets_of(other.user_id, deleted=False)


@pytest.mark.parametrize("forbidden_format", ["by_author", "plain"])
def test_tweets_of_other_users_fail_the_task_and_other_responses_stay_stored(
    pull: Pull,
    execute: Execute,
    simulator: Simulator,
    mine: list[str],
    others: list[str],
    author: Handle,
    world: World,
    tmp_path: Path,
    forbidden_format: Any,
) -> None:
    simulator.switches = Switches(forbidden_format=forbidden_format)
    foreign = [others[0], others[-1]]
    with pytest.raises(AirflowFailException) as raised:
        execute(pull(tweets=[*mine, *foreign]))
    cause = raised.value.__cause__
    assert isinstance(cause, ForbiddenTweetsError)
    key = world.tweets[foreign[0]].author_id if forbidden_format == "by_author" else None
    assert {one: sorted(ids) for one, ids in cause.tweet_ids_by_author.items()} == {key: sorted(foreign)}
    for tweet_id in foreign:
        assert tweet_id in str(raised.value)
    assert "'forbidden'" in str(raised.value)
    assert [path.partition("/")[0] for path in tables(tmp_path)] == ["tweet_status"]

    # A rerun repeats only the requests that failed.
    succeeded = [entry.body["tweet_ids"] for entry in simulator.journal.to("totals") if entry.status == 200]
    assert succeeded
    simulator.journal.clear()
    with pytest.raises(AirflowFailException):
        execute(pull(tweets=[*mine, *foreign]))
    assert {entry.status for entry in simulator.journal} == {403}


@pytest.mark.parametrize("forbidden_format", ["by_author", "plain"])
def test_tweets_of_other_users_are_left_out_and_reported_if_forbidden_is_accepted(
    pull: Pull,
    execute: Execute,
    simulator: Simulator,
    mine: list[str],
    others: list[str],
    world: World,
    forbidden_format: Any,
) -> None:
    simulator.switches = Switches(forbidden_format=forbidden_format)
    foreign = others[:20]
    report = execute(
        pull(tweets=[*mine, *foreign], accepted_outcomes="unavailable unsupported_90d unsupported_video forbidden")
    )
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(simulator, mine, OWNED)
    statuses = {row["tweet_id"]: row for row in table(report["outputs"]["tweet_status"])}
    named = world.tweets[foreign[0]].author_id if forbidden_format == "by_author" else None
    for tweet_id in foreign:
        status = statuses[tweet_id]
        assert (status["outcome"], status["owner"], status["author"]) == ("forbidden", None, named)
    assert report["missing"]["forbidden"]["tweets"] == 20
    assert len(report["missing"]["forbidden"]["examples"]) == 10


def test_a_pull_of_only_other_users_tweets_succeeds_if_forbidden_is_accepted(
    pull: Pull, execute: Execute, others: list[str]
) -> None:
    report = execute(pull(tweets=others[:5], accepted_outcomes=["forbidden"]))
    assert (report["complete"], report["outcomes"], report["rows"]["tweet_totals"]) == (0, {"forbidden": 5}, 0)
