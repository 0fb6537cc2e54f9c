"""Pulls of totals: every count is true, every gap has a reason, and no request is wasted."""

from __future__ import annotations

import csv
import json
import logging
import re
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, TaskDeferred
from pyarrow import parquet

from airflow_provider_engagement.exceptions import (
    ForbiddenTweetsError,
    IncompletePullError,
    InvalidConnectionError,
    InvalidQueryError,
    PermanentError,
)
from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.operators.waiting import SPREAD_SECONDS
from airflow_provider_engagement.parameters import FromFile, Limits
from airflow_provider_engagement.simulator import Fault, Handle, Simulator, Switches, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
OWNED = ("impressions", "engagements", "favorites", "retweets", "replies", "quote_tweets", "video_views")
PUBLIC = ("favorites", "retweets", "replies", "quote_tweets", "video_views")
AGE_LIMITS = {
    "impressions": timedelta(days=90),
    "engagements": timedelta(days=90),
    "video_views": timedelta(days=1800),
}

Connect = Callable[..., str]
Execute = Callable[..., Any]
Row = dict[str, Any]


def truth(simulator: Simulator, tweet_id: str, metrics: tuple[str, ...]) -> dict[str, int | None] | None:
    """Return the counts of a Tweet that the API can return; ``None`` for a Tweet that it cannot return."""
    world = simulator.world
    tweet = world.tweets[tweet_id]
    if tweet.deleted or world.handles[tweet.author_id].protected:
        return None
    age = timedelta.max if tweet.created_at is None else NOW - tweet.created_at
    return {
        metric: None if age > AGE_LIMITS.get(metric, timedelta.max) else simulator.total(tweet_id, metric)
        for metric in metrics
    }


def truths(simulator: Simulator, tweet_ids: list[str], metrics: tuple[str, ...]) -> dict[str, dict[str, int | None]]:
    known = {tweet_id: truth(simulator, tweet_id, metrics) for tweet_id in tweet_ids}
    return {tweet_id: counts for tweet_id, counts in known.items() if counts is not None}


def table(path: str) -> list[Row]:
    rows: list[Row] = parquet.ParquetFile(path).read().to_pylist()
    return rows


def counted(rows: list[Row], metrics: tuple[str, ...]) -> dict[str, dict[str, int | None]]:
    assert len({row["tweet_id"] for row in rows}) == len(rows)
    return {row["tweet_id"]: {metric: row[metric] for metric in metrics} for row in rows}


def files(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(pattern) if path.is_file())


def tables(folder: Path) -> list[str]:
    return [path for path in files(folder) if path.startswith("tweet_")]


def requested_ids(simulator: Simulator) -> list[str]:
    """Return the ids of all requests in one list."""
    return [tweet_id for entry in simulator.journal.to("totals") for tweet_id in entry.body["tweet_ids"]]


@pytest.fixture
def mine(world: World, author: Handle) -> list[str]:
    return world.tweets_of(author.user_id)


@pytest.fixture
def pull(tmp_path: Path, connect: Connect, author: Handle, mine: list[str]) -> Callable[..., EngagementTotalsOperator]:
    """Return an operator that pulls the author's Tweets into a folder, with further arguments."""
    connect(author)

    def made(**arguments: Any) -> EngagementTotalsOperator:
        # Airflow would render each id of a list.
        arguments.setdefault("tweets", " ".join(mine))
        return EngagementTotalsOperator(**{"task_id": "totals", "dataset_path": str(tmp_path), **arguments})

    return made


Pull = Callable[..., EngagementTotalsOperator]


# Counts


def test_a_pull_without_an_available_tweet_warns_of_its_ids(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    rounded = [f"{tweet_id[:-4]}0000" for tweet_id in mine if len(tweet_id) == 19][:5]
    assert execute(pull(tweets=rounded))["outcomes"] == {"unavailable": 5}
    assert "Nearly all ids end in zeros, and no such Tweet is available, as if a spreadsheet" in caplog.text

    deleted = [tweet_id for tweet_id in mine if truth(simulator, tweet_id, OWNED) is None][:2]
    execute(pull(tweets=deleted, task_id="deleted"))
    assert "All 2 Tweets are unavailable" in caplog.text

    caplog.clear()
    execute(pull(tweets=[*mine[-5:], *deleted], task_id="mixed"))
    assert "unavailable, as if" not in caplog.text


def test_totals_with_user_credentials_are_true_for_every_tweet(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    report = execute(pull())
    expected = truths(simulator, mine, OWNED)
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == expected
    # The world has Tweets of each kind: deleted, and too old for impressions or for video views.
    kinds = Counter(
        "deleted"
        if tweet_id not in expected
        else "too old for video"
        if expected[tweet_id]["video_views"] is None
        else "too old"
        if expected[tweet_id]["impressions"] is None
        else "complete"
        for tweet_id in mine
    )
    assert min(kinds[kind] for kind in ("deleted", "too old for video", "too old", "complete")) > 10
    assert any(int(tweet_id) < 29700859247 for tweet_id in expected)
    assert sum(counts["video_views"] or 0 for counts in expected.values()) > 0

    statuses = Counter(row["outcome"] for row in table(report["outputs"]["tweet_status"]))
    assert report["outcomes"] == statuses
    assert statuses["unavailable"] == kinds["deleted"]
    assert statuses["ok"] == report["complete"] == kinds["complete"]
    assert statuses["unsupported_90d"] == kinds["too old"] + kinds["too old for video"]
    assert report["requested"] == statuses.total() == len(mine)


def test_public_totals_are_true_for_the_tweets_of_every_user(
    pull: Pull, execute: Execute, simulator: Simulator, world: World
) -> None:
    everything = list(world.tweets)
    report = execute(pull(tweets=everything, metrics=PUBLIC))
    assert counted(table(report["outputs"]["tweet_totals"]), PUBLIC) == truths(simulator, everything, PUBLIC)
    protected = [tweet_id for tweet_id, tweet in world.tweets.items() if world.handles[tweet.author_id].protected]
    unavailable = {
        row["tweet_id"] for row in table(report["outputs"]["tweet_status"]) if row["outcome"] == "unavailable"
    }
    assert len(protected) > 100
    assert unavailable > set(protected)
    assert (report["auth"], report["owners"]) == ("app", {"requested": 0, "rejected": {}})
    assert {entry.auth for entry in simulator.journal.to("totals")} == {"app"}


def test_each_tweet_is_requested_once_in_the_fewest_requests(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    twice = [*mine, *reversed(mine), f" {mine[0]}\n"]
    report = execute(pull(tweets=twice))
    assert len(simulator.journal) == -(-len(mine) // 250) == report["requests"]["sent"]
    assert sorted(requested_ids(simulator)) == sorted(mine)


def test_a_changed_count_of_the_api_changes_one_cell_of_the_table(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tweet_id = max(truths(simulator, mine, OWNED), key=int)
    expected = truths(simulator, mine, OWNED)
    true_total = simulator.world.visible_total
    monkeypatch.setattr(
        simulator.world,
        "visible_total",
        lambda one, metric, sight: true_total(one, metric, sight) + (one == tweet_id and metric == "replies"),
    )
    report = execute(pull())
    found = counted(table(report["outputs"]["tweet_totals"]), OWNED)
    assert found[tweet_id]["replies"] == (expected[tweet_id]["replies"] or 0) + 1
    found[tweet_id]["replies"] = expected[tweet_id]["replies"]
    assert found == expected


@pytest.mark.parametrize(
    ("arguments", "auth", "metrics"),
    [
        ({}, "user", OWNED),
        ({"metrics": ["impressions"]}, "user", ("impressions",)),
        ({"metrics": "favorites, retweets"}, "app", ("favorites", "retweets")),
        ({"metrics": "favorites", "auth": "user"}, "user", ("favorites",)),
        ({"auth": "app"}, "app", PUBLIC),
        ({"metrics": '["replies", "favorites"]'}, "app", ("replies", "favorites")),
    ],
)
def test_the_metrics_select_the_credentials_unless_auth_is_set(
    pull: Pull,
    execute: Execute,
    simulator: Simulator,
    mine: list[str],
    arguments: dict[str, Any],
    auth: str,
    metrics: tuple[str, ...],
) -> None:
    report = execute(pull(tweets=mine[-5:], **arguments))
    (entry,) = simulator.journal.to("totals")
    assert entry.auth == report["auth"] == auth
    assert sorted(entry.body["engagement_types"]) == sorted(metrics) == sorted(report["metrics"])


def test_the_old_name_of_a_metric_becomes_its_new_name(pull: Pull, execute: Execute) -> None:
    # media_clicks became media_engagements, which is not available on totals. The message has the new name.
    with pytest.raises(AirflowFailException, match="media_engagements"):
        execute(pull(metrics=["media_clicks"]))


@pytest.mark.parametrize("values", ["string", "mixed"])
def test_totals_are_true_for_every_undocumented_form_of_the_response(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], values: Any
) -> None:
    simulator.switches = Switches(
        values=values,
        errors_in_partial=False,
        all_unavailable_status=200,
        old_impressions="zero",
        extra_metrics=True,
        negative_counts=True,
    )
    report = execute(pull(dataset_format="parquet"))
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(simulator, mine, OWNED)


# Tweet ids


def test_tweet_ids_have_many_forms(pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]) -> None:
    ids = mine[-7:]
    forms: dict[str, Any] = {
        "list": ids,
        "list of integers": [int(tweet_id) for tweet_id in ids],
        "string": "\n".join(ids) + "\n",
        "string of a list": repr(ids),
        "template": "{{ params.ids }}",
    }
    for number, (name, tweet_ids) in enumerate(forms.items()):
        simulator.journal.clear()
        # A snapshot of its own, because a stored response would be reused.
        snapshot_at = f"2026-01-{number + 1:02}"
        report = execute(pull(tweets=tweet_ids, snapshot_at=snapshot_at), params={"ids": ids})
        assert sorted(requested_ids(simulator)) == sorted(ids), name
        assert report["requested"] == 7, name


def test_the_path_of_a_file_of_ids_is_templated(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    (tmp_path / "ids-2026.csv").write_text("day,post\n" + "".join(f"2026-01-12,{one}\n" for one in mine[-3:]))
    execute(
        pull(tweets=FromFile(f"{tmp_path}/ids-{{{{ logical_date.year }}}}.csv", column="{{ params.column }}")),
        params={"column": "post"},
    )
    assert sorted(requested_ids(simulator)) == sorted(mine[-3:])


# Tweets of other users


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


# Retries and reruns


def test_a_rerun_sends_nothing_and_replaces_the_files(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    first = execute(pull())
    before = {path: (tmp_path / path).read_bytes() for path in tables(tmp_path)}
    assert len(before) == 2
    simulator.journal.clear()
    second = execute(pull())
    assert {path: (tmp_path / path).read_bytes() for path in tables(tmp_path)} == before
    assert second["outputs"] == first["outputs"]
    assert len(simulator.journal) == 0
    assert second["requests"] == {**first["requests"], "sent": 0, "succeeded": 0, "reused": len(mine) // 250 + 1}
    (manifest,) = files(tmp_path / "_manifests", "*.json")
    assert json.loads((tmp_path / "_manifests" / manifest).read_text())["requests"]["sent"] == 0


def test_another_snapshot_sends_its_own_requests_and_keeps_the_first(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    execute(pull(tweets=mine[-5:]))
    noon = datetime(2026, 1, 11, 12, tzinfo=UTC)
    report = execute(pull(tweets=mine[-5:]), data_interval_end=noon)
    assert len(simulator.journal) == 2
    assert report["snapshot_at"] == "2026-01-11T12:00:00+00:00"
    assert len(files(tmp_path / "tweet_totals")) == 2
    assert {row["snapshot_at"] for row in table(report["outputs"]["tweet_totals"])} == {noon}


def test_a_rerun_with_one_more_tweet_sends_one_request(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    by_age = sorted(mine, key=int)
    execute(pull(tweets=by_age[:-1]))
    simulator.journal.clear()
    execute(pull(tweets=by_age))
    assert len(simulator.journal) == 1


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, "2026-01-12T00:00:00+00:00"),
        ({"data_interval_end": None}, "2026-01-11T12:00:00+00:00"),
        ({"data_interval_end": None, "logical_date": None}, "2026-01-12T00:00:00+00:00"),
    ],
)
def test_the_default_time_of_a_snapshot_is_the_time_of_the_run(
    pull: Pull, execute: Execute, mine: list[str], context: dict[str, Any], expected: str
) -> None:
    context = {"logical_date": datetime(2026, 1, 11, 12, tzinfo=UTC), **context}
    assert execute(pull(tweets=mine[-1:]), **context)["snapshot_at"] == expected


def test_snapshot_at_sets_the_time_of_a_snapshot(pull: Pull, execute: Execute, mine: list[str]) -> None:
    report = execute(pull(tweets=mine[-1:], snapshot_at="{{ logical_date.year }}-01-05T06:00:00+02:00"))
    assert report["snapshot_at"] == "2026-01-05T04:00:00+00:00"


@pytest.mark.usefixtures("short_waits")
def test_a_retry_of_an_incomplete_pull_sends_only_the_missing_requests(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    # The second request gets no response in any of its attempts. All other requests succeed.
    simulator.faults.add(*[Fault(drop="before_headers", nth=number) for number in range(2, 8)])
    with pytest.raises(IncompletePullError, match=r"no response from http://127\.0\.0\.1") as raised:
        execute(pull(limits=Limits(concurrent_requests=1)))
    assert not isinstance(raised.value, PermanentError)
    assert [path.partition("/")[0] for path in tables(tmp_path)] == ["tweet_status"]
    statuses = [entry.status for entry in simulator.journal]
    assert statuses == [200, *[None] * 6, *[200] * (len(mine) // 250 - 1)]

    lost = simulator.journal.entries[1].body["tweet_ids"]
    simulator.journal.clear()
    report = execute(pull(limits=Limits(concurrent_requests=1)))
    assert requested_ids(simulator) == lost
    assert report["requests"]["reused"] == len(mine) // 250
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(simulator, mine, OWNED)


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize(
    "fault",
    [
        Fault.html(status=502),
        Fault.text(status=503),
        Fault(status=500, body=b""),
        Fault(truncate_gzip=True),
        Fault(drop="before_headers"),
        Fault(drop="after_headers"),
        Fault(status=200, body="<html>login</html>", headers={"Content-Type": "text/html"}),
        Fault(status=200, body={"errors": ["internal server error"]}),
        Fault(status=200, body=b""),
    ],
    ids=lambda fault: f"{fault.status}-{fault.drop}-{fault.truncate_gzip}-{len(fault.body)}",
)
def test_a_transient_fault_costs_one_more_request(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], fault: Fault
) -> None:
    simulator.faults.add(fault)
    some = mine[-260:]
    report = execute(pull(tweets=some))
    assert (report["requests"]["planned"], report["requests"]["sent"]) == (2, 3)
    assert len(simulator.journal) == 3
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(simulator, some, OWNED)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=401, body={"errors": ["Your account could not be authenticated. Reason: revoked"]}),
        Fault(status=403, body={"errors": ["Client application id is not authorized."]}),
        Fault(status=404, body={"errors": [{"message": "Sorry, that page does not exist", "code": 34}]}),
        Fault(status=410, body=b""),
        Fault.redirect("http://127.0.0.1:9/"),
    ],
    ids=lambda fault: str(fault.status),
)
def test_an_error_of_every_request_fails_the_task_after_one_request(
    pull: Pull, execute: Execute, simulator: Simulator, fault: Fault
) -> None:
    simulator.faults.add(fault)
    with pytest.raises(AirflowFailException, match=f"totals: HTTP {fault.status}"):
        execute(pull(limits=Limits(concurrent_requests=1)))
    assert len(simulator.journal) == 1


def test_an_outcome_that_is_not_accepted_fails_the_task_without_retries(
    pull: Pull, execute: Execute, simulator: Simulator, tmp_path: Path
) -> None:
    with pytest.raises(AirflowFailException, match="unavailable"):
        execute(pull(accepted_outcomes=["unsupported_90d", "unsupported_video"]))
    assert [path.partition("/")[0] for path in tables(tmp_path)] == ["tweet_status"]
    simulator.journal.clear()
    execute(pull())
    assert len(simulator.journal) == 0


# Output


def test_groupings_are_summed_over_all_requests(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    report = execute(
        pull(
            metrics=["favorites", "replies"],
            groupings={"grand": ["engagement.type"], "turned": {"group_by": ["engagement.type", "tweet.id"]}},
        )
    )
    written = json.loads(Path(report["outputs"]["groupings"]).read_text())
    expected = truths(simulator, mine, ("favorites", "replies"))
    assert written["grand"] == {
        metric: sum(counts[metric] or 0 for counts in expected.values()) for metric in ("favorites", "replies")
    }
    assert written["turned"] == {
        metric: {tweet_id: counts[metric] for tweet_id, counts in expected.items()}
        for metric in ("favorites", "replies")
    }
    assert "groupings" not in report


def test_without_dataset_path_the_rows_are_returned(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    some = mine[-260:]
    report = execute(pull(tweets=some, dataset_path=None, groupings={"grand": ["engagement.type"]}))
    assert counted(report["tweet_totals"], OWNED) == truths(simulator, some, OWNED)
    assert len(report["tweet_status"]) == 260
    assert set(report["groupings"]["grand"]) == set(OWNED)
    assert report["outputs"] == {}
    assert json.loads(json.dumps(report)) == report


def test_too_many_rows_for_xcom_are_an_error_before_any_request(
    pull: Pull, execute: Execute, simulator: Simulator
) -> None:
    ids = [str(2 * 10**18 + number) for number in range(1001)]
    with pytest.raises(AirflowFailException, match=r"dataset_path.*1001"):
        execute(pull(tweets=ids, dataset_path=None))
    assert len(simulator.journal) == 0


def test_every_format_has_the_same_rows(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    reports = {
        name: execute(pull(dataset_format=name, dataset_path=f"{tmp_path}/{name}"))
        for name in ("parquet", "csv", "jsonl")
    }
    expected = truths(simulator, mine, OWNED)
    with open(reports["csv"]["outputs"]["tweet_totals"], newline="") as file:
        from_csv = [
            {name: (int(value) if value else None) if name in OWNED else value for name, value in row.items()}
            for row in csv.DictReader(file)
        ]
    lines = Path(reports["jsonl"]["outputs"]["tweet_totals"]).read_text().splitlines()
    assert counted(from_csv, OWNED) == counted([json.loads(line) for line in lines], OWNED) == expected
    assert {row["snapshot_at"][:10] for row in from_csv} == {"2026-01-12"}


def test_the_manifest_is_small_and_json_compatible(pull: Pull, execute: Execute) -> None:
    report = execute(pull())
    assert json.loads(json.dumps(report)) == report
    assert len(json.dumps(report)) < 5_000


def test_the_log_has_one_line_at_the_start_and_one_at_the_end(
    pull: Pull, execute: Execute, mine: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    report = execute(pull())
    lines = [record.getMessage() for record in caplog.records if "airflow_provider_engagement.pull" in record.name]
    planned = len(mine) // 250 + 1
    assert len(lines) == 2
    assert f"Pulling totals of {len(mine)} Tweets with user credentials: {planned} requests planned." in lines[0]
    for part in (
        f"Done: {report['complete']} of {len(mine)} Tweets complete",
        f"{report['outcomes']['unavailable']} unavailable",
        f"{planned} requests sent",
        "0 reused",
    ):
        assert part in lines[1]


def test_one_tweet_and_one_request_are_logged_in_the_singular(
    pull: Pull, execute: Execute, mine: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    execute(pull(tweets=mine[:1], dataset_path=None))

    logged = caplog.text
    for part in (
        "Pulling totals of 1 Tweet with user credentials: 1 request planned.",
        "of 1 Tweet complete",
        "; 1 request sent, 0 reused;",
    ):
        assert part in logged


# Secrets


def test_no_secret_is_in_logs_manifests_files_exceptions_or_representations(
    connect: Connect,
    execute: Execute,
    simulator: Simulator,
    author: Handle,
    mine: list[str],
    world: World,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    app = world.app
    secrets = {
        app.consumer_key,
        app.consumer_secret,
        app.bearer_token,
        author.access_token,
        author.access_token_secret,
    }
    seen: list[str] = []

    def run(**arguments: Any) -> None:
        operator = EngagementTotalsOperator(task_id="totals", tweets=mine[-3:], dataset_path=str(tmp_path), **arguments)
        try:
            seen.append(repr(execute(operator)))
        except Exception as error:
            chain: BaseException | None = error
            while chain is not None:
                seen.extend((repr(chain), str(chain), repr(vars(chain))))
                chain = chain.__cause__ or chain.__context__
        hook = EngagementHook()
        client = hook.get_conn()
        fields = {name: getattr(operator, name) for name in operator.template_fields}
        seen.extend((repr(operator), repr(hook), repr(client), repr(fields)))

    connect(author)
    run()
    run(auth="app")
    connect(None, bearer_token=None)
    run(auth="app", snapshot_at="2026-01-11")
    connect(author, access_token_secret="canaryOfTheTokenSecret")
    run(snapshot_at="2026-01-10")
    connect(None, bearer_token="canaryOfTheBearer%2FToken", api_key=None, api_key_secret=None)
    run(snapshot_at="2026-01-09", auth="app")
    # Error responses that repeat secrets.
    connect(author)
    simulator.faults.add(
        Fault(status=400, body={"errors": [f"bad signature {author.access_token} {app.consumer_key}"]}),
        Fault(status=403, body={"errors": [{"message": f"token {app.bearer_token}"}]}),
    )
    run(snapshot_at="2026-01-08")
    run(snapshot_at="2026-01-07", auth="app")

    secrets |= {"canaryOfTheTokenSecret", "canaryOfTheBearer%2FToken"}
    logged = [record.getMessage() for record in caplog.records] + list(capsys.readouterr())
    assert any("Pulling totals" in line for line in logged)
    assert any("urllib3" in record.name for record in caplog.records)
    written = [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(seen) > 30
    assert len(written) > 5
    for secret in secrets:
        for text in (*seen, *written, *logged):
            assert secret not in text


# Invalid parameters


def test_an_invalid_parameter_fails_the_task_with_its_name_before_any_request(
    pull: Pull, execute: Execute, simulator: Simulator, tmp_path: Path
) -> None:
    """The tests of ``inputs`` have more values. One of each parameter shows that the operator checks it in time."""
    for field, arguments in (
        ("tweets", {"tweets": None}),
        ("tweets", {"tweets": ["20", "abc"]}),
        ("tweets", {"tweets": "/nowhere/ids.txt"}),
        ("metrics", {"metrics": ["likes"]}),
        ("metrics", {"metrics": ["url_clicks"]}),
        ("metrics", {"metrics": ["impressions"], "auth": "app"}),
        ("auth", {"auth": "owner"}),
        ("groupings", {"groupings": "by day"}),
        ("groupings", {"groupings": {"daily": ["engagement.type", "engagement.day"]}}),
        ("groupings", {"groupings": {name: ["engagement.type"] for name in "abc"}}),
        ("dataset_format", {"dataset_format": "xlsx"}),
        ("accepted_outcomes", {"accepted_outcomes": ["gone"]}),
        ("snapshot_at", {"snapshot_at": "yesterday"}),
        ("limits.concurrent_requests", {"limits": Limits(concurrent_requests=0)}),
        ("limits.wait_on_worker", {"limits": Limits(wait_on_worker="half a minute")}),
        ("limits.wait", {"limits": Limits(wait="an hour")}),
    ):
        with pytest.raises(AirflowFailException, match=f"^{field}: ") as raised:
            execute(pull(**arguments))
        assert isinstance(raised.value.__cause__, InvalidQueryError), arguments
        assert len(simulator.journal) == 0, arguments
        assert files(tmp_path) == [], arguments


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"access_token_secret": None}, {}, "access_token_secret"),
        ({"api_key_secret": None}, {}, "api_key_secret"),
        ({"api_key": None, "api_key_secret": None}, {}, "api_key"),
        ({"access_token": None, "access_token_secret": None}, {"auth": "user"}, "access"),
        ({"access_token": None, "access_token_secret": None}, {"metrics": "impressions"}, "access"),
        ({"token_url": "http://example.com/oauth2/token"}, {}, "token_url"),
        ({"read_timeout": "soon"}, {}, "read_timeout"),
    ],
)
def test_an_unsuitable_connection_fails_the_task_before_any_request(
    pull: Pull,
    connect: Connect,
    execute: Execute,
    simulator: Simulator,
    author: Handle,
    changes: dict[str, Any],
    arguments: dict[str, Any],
    message: str,
) -> None:
    connect(author, **changes)
    with pytest.raises(AirflowFailException, match=message) as raised:
        execute(pull(**arguments))
    assert isinstance(raised.value.__cause__, (InvalidConnectionError, InvalidQueryError))
    assert len(simulator.journal) == 0


@pytest.mark.parametrize("field", ["dataset_path", "tweets"])
def test_a_secret_in_a_path_fails_the_task_before_any_request_and_is_in_no_log(
    pull: Pull, execute: Execute, simulator: Simulator, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    arguments: dict[str, Any] = {field: "s3://key:canary@bucket/file.txt"}
    with (
        caplog.at_level("DEBUG"),
        pytest.raises(AirflowFailException, match=f"^{field}: .*Keep secrets in an Airflow connection") as raised,
    ):
        execute(pull(**arguments))
    assert "canary" not in f"{raised.value} {raised.value.__cause__!r} {caplog.text}"
    assert len(simulator.journal) == 0


# Waiting for the rate limit


@pytest.fixture
def small_quota(simulator: Simulator) -> Simulator:
    """The API with a quota of two requests a minute, at the start of a minute that does not end."""
    simulator.rate_clock.freeze()
    simulator.rate_clock.set(simulator.rate_clock.now().replace(second=0, microsecond=0))
    simulator.set_limit(per_minute=2)
    return simulator


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_wait_releases_the_worker_and_the_next_execution_continues(
    pull: Pull, execute: Execute, small_quota: Simulator, mine: list[str], deferrable: bool, tmp_path: Path
) -> None:
    def operator() -> EngagementTotalsOperator:
        return pull(limits=Limits(wait_on_worker=timedelta(seconds=0)), deferrable=deferrable)

    planned = len(mine) // 250 + 1
    requests_per_execution: list[int] = []
    before = datetime.now(UTC)
    while len(requests_per_execution) < planned // 2 + planned % 2 - 1:
        with pytest.raises((TaskDeferred, AirflowRescheduleException)) as raised:
            execute(operator())
        error = raised.value
        assert isinstance(error, TaskDeferred if deferrable else AirflowRescheduleException)
        if isinstance(error, TaskDeferred):
            path, arguments = error.trigger.serialize()
            assert path == "airflow.providers.standard.triggers.temporal.DateTimeTrigger"
            assert error.method_name == "execute"
            assert timedelta(minutes=1) < error.timeout < timedelta(minutes=10)
            resume_at = arguments["moment"]
        else:
            resume_at = error.reschedule_date
        assert timedelta(seconds=59) < resume_at - before < timedelta(seconds=85)
        requests_per_execution.append(len(small_quota.journal))
        small_quota.journal.clear()
        small_quota.rate_clock.advance(timedelta(minutes=1))
        # The saved rate limit has expired on the server's clock, but not on this machine's.
        shutil.rmtree(tmp_path / "_rate_limit")
    assert requests_per_execution == [2] * len(requests_per_execution)

    report = execute(operator())
    assert report["requests"]["reused"] == 2 * len(requests_per_execution)
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(small_quota, mine, OWNED)


def test_a_pull_within_the_quota_never_releases_the_worker(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    simulator.latency = 0.05
    report = execute(pull(limits=Limits(wait_on_worker=timedelta(seconds=0)), deferrable=True))
    assert report["requests"]["sent"] == len(mine) // 250 + 1


def test_without_dataset_path_the_task_waits_on_the_worker(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    minute = simulator.rate_clock.now().replace(second=59, microsecond=0)
    simulator.rate_clock.set(minute, running=True)
    simulator.set_limit(per_minute=2)
    report = execute(
        pull(tweets=mine[:510], dataset_path=None, limits=Limits(wait_on_worker=timedelta(seconds=0)), deferrable=True)
    )
    assert sorted(requested_ids(simulator)) == sorted(mine[:510])
    assert report["requests"]["sent"] == 3


def test_http_429_defers_the_task_until_the_reset(pull: Pull, execute: Execute, small_quota: Simulator) -> None:
    small_quota.quotas.close(small_quota.rate_clock.now() + timedelta(seconds=50))
    with pytest.raises(TaskDeferred) as raised:
        execute(pull(deferrable=True))
    assert [entry.status for entry in small_quota.journal] == [429]
    resume_at = raised.value.trigger.serialize()[1]["moment"]
    assert timedelta(seconds=45) < resume_at - datetime.now(UTC) < timedelta(seconds=75)


def test_a_reset_in_weeks_fails_the_task_with_its_date(pull: Pull, execute: Execute, small_quota: Simulator) -> None:
    renews_at = small_quota.rate_clock.now() + timedelta(days=20)
    small_quota.quotas.close(renews_at)
    with pytest.raises(AirflowFailException, match=re.escape(renews_at.date().isoformat())):
        execute(pull(deferrable=True))
    assert len(small_quota.journal) == 1


def test_a_wait_beyond_the_longest_fails_the_task(
    pull: Pull, execute: Execute, small_quota: Simulator, task_instance: Any
) -> None:
    started = datetime.now(UTC) - timedelta(minutes=59, seconds=30)
    with pytest.raises(AirflowFailException, match=r"limits\.wait \(1:00:00\)") as raised:
        execute(
            pull(limits=Limits(wait_on_worker=timedelta(seconds=0), wait=timedelta(seconds=3600))),
            ti=task_instance(task_id="totals", start_date=started),
        )
    assert "The responses are stored" in str(raised.value)
    assert len(small_quota.journal) == 2


def test_the_longest_wait_counts_from_the_start_before_any_reschedule(
    pull: Pull, execute: Execute, small_quota: Simulator, task_instance: Any
) -> None:
    first = datetime.now(UTC) - timedelta(minutes=59, seconds=30)
    with pytest.raises(AirflowFailException, match=r"limits\.wait"):
        execute(
            pull(limits=Limits(wait_on_worker=timedelta(seconds=0), wait=timedelta(seconds=3600)), deferrable=False),
            ti=task_instance(task_id="totals", rescheduled_at=first),
        )


def test_tasks_that_wait_for_the_same_reset_resume_at_different_times(
    pull: Pull, execute: Execute, small_quota: Simulator, task_instance: Any
) -> None:
    small_quota.quotas.close(small_quota.rate_clock.now() + timedelta(seconds=50))
    resume_times = set()
    for map_index in range(4):
        with pytest.raises(TaskDeferred) as deferred:
            execute(pull(deferrable=True), ti=task_instance(task_id="totals", map_index=map_index))
        resume_times.add(deferred.value.trigger.serialize()[1]["moment"])
    gaps = [later - earlier for earlier, later in pairwise(sorted(resume_times))]
    assert len(gaps) == 3
    assert sum(gaps, timedelta()) <= timedelta(seconds=SPREAD_SECONDS + 1)
    assert min(gaps) > timedelta(milliseconds=1)


def test_each_mapped_task_has_its_own_files_and_its_rows_in_the_file_of_the_snapshot(
    pull: Pull, execute: Execute, mine: list[str], tmp_path: Path, task_instance: Any
) -> None:
    for map_index in range(3):
        execute(pull(tweets=mine[map_index : map_index + 1]), ti=task_instance(task_id="totals", map_index=map_index))
    assert len(files(tmp_path / "tweet_status")) == 3
    (snapshot,) = files(tmp_path / "tweet_totals")
    assert [row["tweet_id"] for row in table(str(tmp_path / "tweet_totals" / snapshot))] == sorted(mine[:3])
