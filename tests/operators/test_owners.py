"""Pulls for many owners: each Tweet with its owner's token, and no owner keeps the others from their rows."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.exceptions import (
    BoundExceededError,
    ForbiddenTweetsError,
    InvalidQueryError,
    UnacceptedGapsError,
)
from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.parameters import FromFile, Limits, Owners
from airflow_provider_engagement.simulator import Clock, Handle, Simulator, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
START, END = datetime(2026, 1, 9, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC)
OWNERS = 5

Execute = Callable[..., Any]
Pulled = Callable[..., dict[str, Any]]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Five users with Tweets of the last 60 days."""
    world = World.generate(
        seed=11,
        handles=OWNERS,
        tweets=200,
        start=NOW - timedelta(days=60),
        end=NOW - timedelta(days=4),
        deleted=0,
        old=0,
    )
    with Simulator(world, clock=Clock(NOW)) as running:
        yield running


@pytest.fixture
def handles(simulator: Simulator) -> list[Handle]:
    return list(simulator.world.handles.values())


def accounts_of(handles: list[Handle]) -> dict[str, dict[str, str]]:
    return {
        handle.user_id: {"access_token": handle.access_token, "access_token_secret": handle.access_token_secret}
        for handle in handles
    }


def listed(simulator: Simulator, handles: list[Handle], per_owner: int = 3) -> list[tuple[str, str]]:
    """Return Tweets of each user, with the user."""
    return [
        (tweet_id, handle.user_id)
        for handle in handles
        for tweet_id in simulator.world.tweets_of(handle.user_id)[:per_owner]
    ]


@pytest.fixture
def pull(
    present: Any, connect: Callable[..., str], execute: Execute, short_waits: None, handles: list[Handle], dataset: Any
) -> Pulled:
    """Pull with the app's keys and the tokens of all owners, and return the manifest."""

    def pulled(operator: Any = EngagementTotalsOperator, **parameters: Any) -> dict[str, Any]:
        connect(None, account_tokens=accounts_of(parameters.pop("with_tokens_of", handles)))
        if operator is EngagementHistoricalOperator:
            parameters = {"start": START, "end": END, **parameters}
        defaults = {"task_id": "pull", "dataset_path": str(dataset.folder), "auth": "user"}
        if operator is not EngagementTotalsOperator:
            del defaults["auth"]
        result: dict[str, Any] = execute(operator(**{**defaults, **parameters}))
        return result

    return pulled


def expected_rows(simulator: Simulator, tweets: list[tuple[str, str]]) -> dict[str, tuple[str, int, int]]:
    """Return the owner, the impressions and the favorites of each Tweet."""
    return {
        tweet_id: (owner, simulator.total(tweet_id, "impressions"), simulator.total(tweet_id, "favorites"))
        for tweet_id, owner in tweets
    }


def rows_of(dataset: Any) -> dict[str, tuple[str, int, int]]:
    return {
        row["tweet_id"]: (row["owner"], row["impressions"], row["favorites"]) for row in dataset.rows("tweet_totals")
    }


def test_each_tweet_is_read_with_the_token_of_its_owner(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    tweets = listed(simulator, handles)

    manifest = pull(tweets=tweets)

    assert rows_of(dataset) == expected_rows(simulator, tweets)
    assert manifest["owners"] == {"requested": OWNERS, "rejected": {}}
    assert manifest["requests"]["sent"] == OWNERS


def test_owners_come_from_a_column_of_a_file(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any, tmp_path: Path
) -> None:
    tweets = listed(simulator, handles)
    path = tmp_path / "ids.csv"
    path.write_text("id,account\n" + "".join(f"{tweet_id},{owner}\n" for tweet_id, owner in tweets))

    pull(tweets=FromFile(str(path), owner_column="account"))

    assert rows_of(dataset) == expected_rows(simulator, tweets)


def test_a_column_owner_of_other_people_is_an_error_that_says_so(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any, tmp_path: Path
) -> None:
    tweets = listed(simulator, handles[:1])
    path = tmp_path / "ids.csv"
    path.write_text("tweet_id,owner\n" + "".join(f"{tweet_id},Anna\n" for tweet_id, _ in tweets))

    with pytest.raises(AirflowFailException, match=r"the column owner was read as the owners.*'Anna'.*=False"):
        pull(tweets=str(path))
    assert len(simulator.journal) == 0

    pull(tweets=FromFile(str(path), owner_column=False), owners=Owners(default=handles[0].user_id))
    assert rows_of(dataset) == expected_rows(simulator, tweets)


def test_a_mapped_task_has_one_owner(pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any) -> None:
    tweets = listed(simulator, handles[2:3])

    pull(tweets=[tweet_id for tweet_id, _ in tweets], owners=Owners(default=handles[2].user_id))

    assert rows_of(dataset) == expected_rows(simulator, tweets)


def test_an_owner_has_a_connection_of_its_own(
    connect: Callable[..., str],
    present: Any,
    execute: Execute,
    simulator: Simulator,
    handles: list[Handle],
    dataset: Any,
) -> None:
    connect(None)
    for handle in handles:
        connect(handle, f"brand_{handle.user_id}")
    tweets = listed(simulator, handles)

    execute(
        EngagementTotalsOperator(
            task_id="pull", tweets=tweets, dataset_path=str(dataset.folder), owners=Owners(conn_id="brand_{owner}")
        )
    )

    assert rows_of(dataset) == expected_rows(simulator, tweets)


def revoke(simulator: Simulator, *handles: Handle) -> None:
    for handle in handles:
        simulator.world.change_handle(handle.user_id, revoked=True)


def test_a_revoked_owner_is_named_and_the_rows_of_the_others_are_written(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    tweets = listed(simulator, handles)
    revoke(simulator, handles[1])

    with pytest.raises(AirflowFailException) as raised:
        pull(tweets=tweets)

    error = raised.value.__cause__
    assert isinstance(error, UnacceptedGapsError)
    assert f"owner {handles[1].user_id}: totals: HTTP 401" in str(error)
    others = [tweet for tweet in tweets if tweet[1] != handles[1].user_id]
    assert rows_of(dataset) == expected_rows(simulator, others)
    statuses = dataset.statuses()
    assert {statuses[tweet_id]["outcome"] for tweet_id, owner in tweets if owner == handles[1].user_id} == {
        "unauthorized"
    }
    (manifest,) = (dataset.folder / "_manifests").glob("*.json")
    assert list(json.loads(manifest.read_text())["owners"]["rejected"]) == [handles[1].user_id]


def test_the_task_succeeds_if_it_accepts_owners_without_a_valid_token(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    tweets = listed(simulator, handles)
    revoke(simulator, handles[0])

    manifest = pull(tweets=tweets, accepted_outcomes=["unauthorized"], with_tokens_of=[handles[0], *handles[2:]])

    assert rows_of(dataset) == expected_rows(simulator, tweets[6:])
    assert manifest["owners"]["requested"] == OWNERS
    assert manifest["owners"]["rejected"].keys() == {handles[0].user_id, handles[1].user_id}
    assert "there is no access token" in manifest["owners"]["rejected"][handles[1].user_id]
    assert manifest["outcomes"] == {"unauthorized": 6, "ok": 9}


def test_the_error_of_a_pull_whose_only_owner_is_revoked_is_that_of_the_api(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    revoke(simulator, handles[0])

    with pytest.raises(AirflowFailException, match="HTTP 401"):
        pull(tweets=listed(simulator, handles[:1]))

    assert dataset.rows("tweet_totals") == []
    assert {row["outcome"] for row in dataset.rows("tweet_status")} == {"unauthorized"}


def test_tweets_without_an_owner_need_an_access_token_of_the_connection(
    pull: Pulled, simulator: Simulator, handles: list[Handle]
) -> None:
    with pytest.raises(
        AirflowFailException, match=r"owners\.default: no Tweet has an owner, and the connection has no"
    ):
        pull(tweets=[tweet_id for tweet_id, _ in listed(simulator, handles)])


def test_a_rerun_with_a_new_token_sends_only_the_requests_of_that_owner(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    tweets = listed(simulator, handles)
    with pytest.raises(AirflowFailException):
        pull(tweets=tweets, with_tokens_of=handles[1:])
    before = len(simulator.journal)

    manifest = pull(tweets=tweets)

    assert len(simulator.journal) - before == 1
    assert manifest["requests"]["reused"] == OWNERS - 1
    assert rows_of(dataset) == expected_rows(simulator, tweets)


def test_a_tweet_of_another_author_is_requested_again_with_the_token_of_the_author(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    tweets = listed(simulator, handles)
    wrong = [(tweets[0][0], handles[1].user_id), *tweets[1:]]

    manifest = pull(tweets=wrong)

    assert rows_of(dataset) == expected_rows(simulator, tweets)
    assert manifest["complete"] == len(tweets)
    assert dataset.statuses()[tweets[0][0]]["owner"] == handles[0].user_id


def test_hours_of_a_tweet_of_another_author_are_requested_again_with_the_token_of_the_author(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    tweets = listed(simulator, handles[:2])
    wrong = [(tweets[0][0], handles[1].user_id), *tweets[1:]]

    pull(EngagementHistoricalOperator, tweets=wrong, metrics=["impressions"])

    assert {(tweet_id, hour): counts for (tweet_id, hour), counts in dataset.counts(["impressions"]).items()} == {
        (tweet_id, hour): (simulator.count(tweet_id, "impressions", hour, hour + timedelta(hours=1)),)
        for tweet_id, _ in tweets
        for hour in (START + timedelta(hours=number) for number in range(48))
    }
    owners = {row["tweet_id"]: row["owner"] for row in dataset.rows("tweet_metrics/hour")}
    assert owners == dict(tweets)
    covered = [(row["tweet_id"], row["outcome"]) for row in dataset.rows("coverage")]
    assert sorted(covered) == sorted((tweet_id, "ok") for tweet_id, _ in tweets)


@pytest.mark.parametrize("granularity", ["day", "total", "hour_of_day"])
def test_sums_have_the_owner_of_each_tweet(
    granularity: str, pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    tweets = listed(simulator, handles)

    pull(EngagementHistoricalOperator, tweets=tweets, metrics=["impressions"], granularity=granularity)

    table = "tweet_hours_of_day" if granularity == "hour_of_day" else f"tweet_metrics/{granularity}"
    assert {row["tweet_id"]: row["owner"] for row in dataset.rows(table)} == dict(tweets)


def test_the_author_of_a_tweet_without_a_known_token_is_named(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    tweets = listed(simulator, handles[:2])
    wrong = [(tweets[0][0], handles[1].user_id), *tweets[1:]]

    manifest = pull(tweets=wrong, with_tokens_of=[handles[1]], accepted_outcomes=["forbidden", "unauthorized"])

    assert dataset.statuses()[tweets[0][0]]["author"] == handles[0].user_id
    assert manifest["missing"]["forbidden"]["examples"] == [tweets[0][0]]


def test_a_tweet_that_is_listed_with_two_owners_is_read_once(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tweets = listed(simulator, handles[:2])

    with caplog.at_level(logging.WARNING):
        pull(tweets=[(tweets[0][0], handles[1].user_id), *tweets])

    assert rows_of(dataset) == expected_rows(simulator, tweets)
    assert f"Tweet {tweets[0][0]} is listed with the owners {handles[1].user_id} and" in caplog.text


def test_without_accounts_a_tweet_of_another_user_fails_the_task(
    connect: Callable[..., str], present: Any, execute: Execute, simulator: Simulator, handles: list[Handle]
) -> None:
    connect(handles[0])
    (tweet_id, _), *_ = listed(simulator, handles[1:])

    with pytest.raises(AirflowFailException) as raised:
        execute(EngagementTotalsOperator(task_id="pull", tweets=[tweet_id], auth="user"))

    assert isinstance(raised.value.__cause__, ForbiddenTweetsError)


def test_the_ledger_counts_the_owners_of_a_month(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    pull(tweets=listed(simulator, handles[:2]), extra_tables=["owner_ledger"])
    pull(
        tweets=listed(simulator, handles[1:4]), extra_tables=["owner_ledger"], task_id="other", limits=Limits(owners=4)
    )

    rows = dataset.rows("owner_ledger/month=2026-01")
    assert sorted((row["task"], row["owner"], row["tweets"]) for row in rows) == sorted(
        [("engagement.pull", handle.user_id, 3) for handle in handles[:2]]
        + [("engagement.other", handle.user_id, 3) for handle in handles[1:4]]
    )
    with pytest.raises(AirflowFailException, match=r"limits.owners is 4, but there are 5 owners, 1 of them new"):
        pull(tweets=listed(simulator, handles), extra_tables=["owner_ledger"], task_id="third", limits=Limits(owners=4))


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ({"limits": Limits(owners=4)}, "limits.owners is 4, but there are 5 owners"),
        ({"limits": Limits(requests=4)}, "limits.requests is 4, but the pull sends 5 requests"),
        ({"limits": Limits(tweets="14")}, "limits.tweets is 14, but the pull requests 15 Tweets"),
    ],
)
def test_a_bound_stops_the_task_before_the_first_request(
    bound: dict[str, Any], message: str, pull: Pulled, simulator: Simulator, handles: list[Handle]
) -> None:
    with pytest.raises(AirflowFailException, match=message) as raised:
        pull(tweets=listed(simulator, handles), **bound)

    assert isinstance(raised.value.__cause__, BoundExceededError)
    assert len(simulator.journal) == 0


def test_requests_with_a_stored_response_do_not_count_against_the_bound(
    pull: Pulled, simulator: Simulator, handles: list[Handle]
) -> None:
    tweets = listed(simulator, handles)
    pull(tweets=tweets)

    assert pull(tweets=tweets, limits=Limits(requests=0))["requests"]["reused"] == OWNERS


def test_the_ledger_requires_a_dataset(pull: Pulled, simulator: Simulator, handles: list[Handle]) -> None:
    with pytest.raises(AirflowFailException, match="extra_tables: there is no dataset") as raised:
        pull(tweets=listed(simulator, handles), dataset_path=None, extra_tables=["owner_ledger"])

    assert isinstance(raised.value.__cause__, InvalidQueryError)


def test_the_estimate_counts_owners_and_requests(pull: Pulled, simulator: Simulator, handles: list[Handle]) -> None:
    estimate = pull(tweets=listed(simulator, handles), estimate_only=True)

    assert (estimate["owners"], estimate["requests"], estimate["lower_bound"]) == (OWNERS, OWNERS, OWNERS)


def test_no_secret_is_in_the_log_the_manifest_or_the_dataset(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any, caplog: pytest.LogCaptureFixture
) -> None:
    revoke(simulator, handles[1])

    with caplog.at_level(logging.DEBUG):
        manifest = pull(tweets=listed(simulator, handles), accepted_outcomes=["unauthorized"])

    written = b"".join(path.read_bytes() for path in dataset.folder.rglob("*") if path.is_file())
    for handle in handles:
        for secret in (handle.access_token, handle.access_token_secret):
            assert secret not in caplog.text
            assert secret not in json.dumps(manifest)
            assert secret.encode() not in written


@pytest.fixture
def old_simulator() -> Iterator[Simulator]:
    """Four users with Tweets that are older than 90 days."""
    world = World.generate(
        seed=12,
        handles=4,
        tweets=40,
        start=NOW - timedelta(days=300),
        end=NOW - timedelta(days=100),
        deleted=0,
        old=0,
        video=0,
    )
    with Simulator(world, clock=Clock(NOW)) as running:
        yield running


def test_old_tweets_of_all_owners_share_a_request_and_have_a_reason_for_their_nulls(
    present: Any, monkeypatch: pytest.MonkeyPatch, execute: Execute, old_simulator: Simulator, dataset: Any
) -> None:
    handles = list(old_simulator.world.handles.values())
    tweets = listed(old_simulator, handles)
    connection = {
        "conn_type": "engagement",
        "host": old_simulator.base_url,
        "extra": {
            "api_key": old_simulator.world.app.consumer_key,
            "api_key_secret": old_simulator.world.app.consumer_secret,
            "bearer_token": old_simulator.world.app.bearer_token,
            "account_tokens": accounts_of(handles),
        },
    }
    monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(connection))

    manifest = execute(
        EngagementTotalsOperator(
            task_id="pull",
            tweets=tweets,
            dataset_path=str(dataset.folder),
            auth="user",
            metrics=["impressions", "favorites"],
        )
    )

    assert (manifest["requests"]["sent"], manifest["auth"]) == (1, "app")
    assert {
        row["tweet_id"]: (row["auth"], row["owner"], row["impressions"], row["favorites"])
        for row in dataset.rows("tweet_totals")
    } == {tweet_id: ("app", None, None, old_simulator.total(tweet_id, "favorites")) for tweet_id, _ in tweets}
    assert {(row["outcome"], row["metrics_affected"]) for row in dataset.rows("tweet_status")} == {
        ("unsupported_90d", "impressions")
    }


def test_ten_revoked_owners_of_a_hundred_are_named_and_cost_one_rejected_request_each(
    present: Any, monkeypatch: pytest.MonkeyPatch, execute: Execute, dataset: Any
) -> None:
    world = World.generate(seed=13, handles=100, tweets=100, end=NOW, start=NOW - timedelta(days=30), deleted=0, old=0)
    handles = list(world.handles.values())
    tweets = [(tweet.id, tweet.author_id) for tweet in world.tweets.values()]
    owners = {owner for _, owner in tweets}
    revoked = sorted(owners)[:10]
    for owner in revoked:
        world.change_handle(owner, revoked=True)
    with Simulator(world, clock=Clock(NOW)) as simulator:
        connection = {
            "conn_type": "engagement",
            "host": simulator.base_url,
            "extra": {
                "api_key": world.app.consumer_key,
                "api_key_secret": world.app.consumer_secret,
                "account_tokens": accounts_of(handles),
            },
        }
        monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(connection))
        manifest = execute(
            EngagementTotalsOperator(
                task_id="pull",
                tweets=tweets,
                auth="user",
                dataset_path=str(dataset.folder),
                accepted_outcomes=["unauthorized"],
                limits=Limits(concurrent_requests=1),
            )
        )
        expected = expected_rows(simulator, [tweet for tweet in tweets if tweet[1] not in revoked])
        sent = len(simulator.journal)

    assert sorted(manifest["owners"]["rejected"]) == revoked
    assert rows_of(dataset) == expected
    assert sent == len(owners)


def test_max_requests_also_limits_the_requests_for_tweets_of_other_authors(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    tweets = listed(simulator, handles[:2])
    wrong = [(tweets[0][0], handles[1].user_id), *tweets[1:]]

    manifest = pull(tweets=wrong, limits=Limits(requests=2), accepted_outcomes=["forbidden"])

    assert manifest["outcomes"] == {"forbidden": 1, "ok": 5}
    assert rows_of(dataset) == expected_rows(simulator, tweets[1:])


def delete_one_tweet(simulator: Simulator, tweets: list[tuple[str, str]]) -> None:
    simulator.world.change_tweet(tweets[0][0], deleted=True)


def test_no_row_of_an_owner_is_written_if_the_outcome_of_one_tweet_is_not_accepted(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    tweets = listed(simulator, handles)
    delete_one_tweet(simulator, tweets)

    with pytest.raises(AirflowFailException, match="1 unavailable"):
        pull(tweets=tweets, accepted_outcomes=[])

    assert rows_of(dataset) == expected_rows(simulator, tweets[3:])


def test_no_hour_of_an_owner_is_written_if_the_outcome_of_one_tweet_is_not_accepted(
    pull: Pulled, simulator: Simulator, handles: list[Handle], dataset: Any
) -> None:
    tweets = listed(simulator, handles)
    delete_one_tweet(simulator, tweets)

    with pytest.raises(AirflowFailException, match="1 unavailable"):
        pull(EngagementHistoricalOperator, tweets=tweets, metrics=["impressions"], accepted_outcomes=[])

    assert {tweet_id for tweet_id, _ in dataset.counts(["impressions"])} == {tweet_id for tweet_id, _ in tweets[3:]}
    assert {row["tweet_id"] for row in dataset.rows("coverage")} == {tweet_id for tweet_id, _ in tweets[3:]}
