"""The operators for X API v2 read what the world has, from one connection, and wait as the others do."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, TaskDeferred

from airflow_provider_engagement.exceptions import BoundExceededError, InvalidQueryError, UnacceptedGapsError
from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.http.credentials import Auth
from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.operators.tweets import TweetLookupOperator, UserTweetsOperator
from airflow_provider_engagement.parameters import FromFile
from airflow_provider_engagement.simulator import Handle, Simulator, World
from airflow_provider_engagement.x_api.planner import plan_public
from airflow_provider_engagement.x_api.response import parse_tweets

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)


@pytest.fixture
def x_connect(connect: Callable[..., str], simulator: Simulator) -> Callable[..., str]:
    """Define a connection whose two addresses are those of the simulator."""
    return lambda handle, **changes: connect(handle, x_base_url=simulator.base_url, **changes)


def rows(path: Path, table: str) -> list[dict[str, Any]]:
    files = sorted((path / table).rglob("*.parquet"))
    return [row for file in files for row in pyarrow.parquet.ParquetFile(file).read().to_pylist()]


def test_a_lookup_writes_text_and_counts(
    x_connect: Callable[..., str], author: Handle, world: World, simulator: Simulator, execute: Any, tmp_path: Path
) -> None:
    x_connect(author)
    ids = world.tweets_of(author.user_id)[:40]

    manifest = execute(TweetLookupOperator(task_id="look_up", tweets=ids, dataset_path=str(tmp_path)))

    written = {row["tweet_id"]: row for row in rows(tmp_path, "tweets")}
    assert written.keys() == set(ids)
    counts = {row["tweet_id"]: row["public_like_count"] for row in rows(tmp_path, "tweet_snapshots")}
    assert counts == {
        tweet_id: simulator.figures.public(world.tweets[tweet_id])["like_count"]
        for tweet_id in ids
        if not world.tweets[tweet_id].deleted
    }
    assert manifest["requested"] == 40
    assert manifest["cost"]["dollars"] == float(simulator.ledger.cost(world.app))
    assert "list them with UserTweetsOperator" not in str(manifest["cheaper"])


def test_the_cheaper_way_is_named_if_the_tweets_are_listed_with_their_owner(
    x_connect: Callable[..., str], author: Handle, world: World, execute: Any, tmp_path: Path
) -> None:
    x_connect(author)
    tweets = [{"tweet_id": tweet_id, "owner": author.user_id} for tweet_id in world.tweets_of(author.user_id)[:10]]

    estimate = execute(
        TweetLookupOperator(task_id="look_up", tweets=tweets, dataset_path=str(tmp_path), estimate_only=True)
    )

    assert estimate["requests"] == 1
    assert estimate["cost"]["dollars"] == 0.05
    assert "To list them with UserTweetsOperator costs $0.010" in estimate["cheaper"]


def test_app_credentials_suffice_for_public_metrics(
    x_connect: Callable[..., str], world: World, execute: Any, tmp_path: Path
) -> None:
    x_connect(None)
    ids = list(world.tweets)[:20]

    manifest = execute(TweetLookupOperator(task_id="look_up", tweets=ids, dataset_path=str(tmp_path)))

    assert manifest["auth"] == "app"
    assert {row["auth"] for row in rows(tmp_path, "tweet_snapshots")} == {"app"}


def test_a_listing_covers_the_data_interval_of_its_run(
    x_connect: Callable[..., str], author: Handle, world: World, execute: Any, tmp_path: Path
) -> None:
    x_connect(author)
    start, end = NOW - timedelta(days=40), NOW - timedelta(days=5)
    operator = UserTweetsOperator(task_id="list", users="{{ params.handle }}", dataset_path=str(tmp_path))

    manifest = execute(
        operator, params={"handle": f"@{author.screen_name}"}, data_interval_start=start, data_interval_end=end
    )

    expected = {
        tweet_id
        for tweet_id in world.tweets_of(author.user_id, deleted=False)
        if (created := world.tweets[tweet_id].created_at) is not None and start <= created < end
    }
    assert expected
    assert {row["tweet_id"] for row in rows(tmp_path, "tweet_snapshots")} == expected
    assert manifest["users"][author.screen_name]["listed"] == len(expected)
    assert manifest["users"][author.screen_name]["complete_from"] == start.isoformat()


def test_the_engagement_operators_read_the_table_of_a_listing(
    x_connect: Callable[..., str], author: Handle, world: World, execute: Any, tmp_path: Path
) -> None:
    x_connect(author)
    execute(
        UserTweetsOperator(
            task_id="list", users=[author.screen_name], start=NOW - timedelta(days=40), dataset_path=str(tmp_path)
        )
    )
    listed = {row["tweet_id"] for row in rows(tmp_path, "tweets")}

    manifest = execute(
        EngagementTotalsOperator(
            task_id="totals",
            tweets=FromFile(str(tmp_path / "tweets"), owner_column="author_id"),
            dataset_path=str(tmp_path),
        )
    )

    assert manifest["complete"] == len(listed) > 0
    totals = {row["tweet_id"]: row for row in rows(tmp_path, "tweet_totals")}
    snapshots = {row["tweet_id"]: row for row in rows(tmp_path, "tweet_snapshots")}
    young = [row for row in snapshots.values() if row["organic_like_count"] is not None]
    assert young
    for row in young:
        assert totals[row["tweet_id"]]["favorites"] == row["organic_like_count"]


@pytest.mark.parametrize(("deferrable", "raised"), [(True, TaskDeferred), (False, AirflowRescheduleException)])
def test_a_used_up_window_releases_the_worker_and_nothing_is_sent_twice(
    x_connect: Callable[..., str],
    author: Handle,
    world: World,
    simulator: Simulator,
    execute: Any,
    tmp_path: Path,
    deferrable: bool,
    raised: type[BaseException],
) -> None:
    x_connect(author)
    simulator.windows.set_limit("user_tweets", "user", 2)

    def operator() -> UserTweetsOperator:
        return UserTweetsOperator(
            task_id="list",
            users=[author.screen_name],
            start=NOW - timedelta(days=390),
            private_metrics=False,
            dataset_path=str(tmp_path),
            deferrable=deferrable,
            max_inline_wait=0,
        )

    with pytest.raises(raised):
        execute(operator())
    assert len(simulator.journal.to(f"/2/users/{author.user_id}/tweets")) == 2
    simulator.windows.set_limit("user_tweets", "user", 900)

    manifest = execute(operator())

    assert manifest["requests"]["reused"] == 3
    listed = len(rows(tmp_path, "tweet_snapshots"))
    assert len(simulator.journal.to(f"/2/users/{author.user_id}/tweets")) == math.ceil(listed / 100)


def test_an_unknown_user_fails_the_task_without_a_retry(
    x_connect: Callable[..., str], author: Handle, execute: Any, tmp_path: Path
) -> None:
    x_connect(author)
    operator = UserTweetsOperator(
        task_id="list", users=[author.screen_name, "nobody_at_all"], start="2d", dataset_path=str(tmp_path)
    )

    with pytest.raises(AirflowFailException) as raised:
        execute(operator)

    assert isinstance(raised.value.__cause__, UnacceptedGapsError)
    assert {row["user"]: row["outcome"] for row in rows(tmp_path, "user_status")} == {
        author.screen_name: "ok",
        "nobody_at_all": "deleted",
    }


def test_a_pull_beyond_its_price_sends_nothing(
    x_connect: Callable[..., str], author: Handle, world: World, simulator: Simulator, execute: Any, tmp_path: Path
) -> None:
    x_connect(author)
    operator = TweetLookupOperator(
        task_id="look_up", tweets=list(world.tweets)[:300], dataset_path=str(tmp_path), max_dollars=1
    )

    with pytest.raises(AirflowFailException) as raised:
        execute(operator)

    assert isinstance(raised.value.__cause__, BoundExceededError)
    assert len(simulator.journal) == 0


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"users": []}, "users: is empty"),
        ({"users": ["a b"]}, "users: 'a b' is not a handle"),
        ({"users": ["acme"], "end": "2d"}, "start: is not set, but end is"),
        ({"users": ["acme"], "dataset_path": None}, "dataset_path: is not set"),
        ({"users": ["acme"], "auth": "both"}, "auth: "),
    ],
)
def test_an_invalid_parameter_fails_before_a_request(
    x_connect: Callable[..., str],
    author: Handle,
    simulator: Simulator,
    execute: Any,
    tmp_path: Path,
    parameters: dict[str, Any],
    problem: str,
) -> None:
    x_connect(author)

    with pytest.raises(AirflowFailException) as raised:
        execute(UserTweetsOperator(**{"task_id": "list", "dataset_path": str(tmp_path), **parameters}))

    assert isinstance(raised.value.__cause__, InvalidQueryError)
    assert str(raised.value.__cause__).startswith(problem)
    assert len(simulator.journal) == 0


def test_the_hook_opens_both_apis_with_one_connection(
    x_connect: Callable[..., str], author: Handle, world: World
) -> None:
    x_connect(author)
    tweet_id = world.tweets_of(author.user_id, deleted=False)[0]
    (request,) = plan_public([tweet_id], auth=Auth.USER)

    with EngagementHook().get_x_conn() as client:
        body, _ = client.send(request)

    assert list(parse_tweets(body, groups=request.query.groups).tweets) == [tweet_id]
