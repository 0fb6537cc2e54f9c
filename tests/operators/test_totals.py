"""Totals as a user of the operator sees them: every number true, every gap told, no request too many."""

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
from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.operators.waiting import SPREAD_SECONDS
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
    """What the contract says that there is to know of a Tweet: nothing of one that is gone, and no number too old."""
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


def asked(simulator: Simulator) -> list[str]:
    """The ids of all requests, in one list."""
    return [tweet_id for entry in simulator.journal.to("totals") for tweet_id in entry.body["tweet_ids"]]


@pytest.fixture
def mine(world: World, author: Handle) -> list[str]:
    return world.tweets_of(author.user_id)


@pytest.fixture
def pull(tmp_path: Path, connect: Connect, author: Handle, mine: list[str]) -> Callable[..., EngagementTotalsOperator]:
    """Make an operator that pulls the author's Tweets into a folder, with whatever else is said."""
    connect(author)

    def made(**arguments: Any) -> EngagementTotalsOperator:
        if "tweet_ids_file" not in arguments:
            # As one text: a list would be rendered id by id.
            arguments.setdefault("tweet_ids", " ".join(mine))
        return EngagementTotalsOperator(**{"task_id": "totals", "output_path": str(tmp_path), **arguments})

    return made


Pull = Callable[..., EngagementTotalsOperator]


# What is pulled


def test_owned_totals_are_the_truth_of_every_tweet(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    report = execute(pull())
    expected = truths(simulator, mine, OWNED)
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == expected
    # The world has all that the contract knows of: Tweets that are gone, and numbers that are too old in both ways.
    kinds = Counter(
        "gone"
        if tweet_id not in expected
        else "too old for video"
        if expected[tweet_id]["video_views"] is None
        else "too old"
        if expected[tweet_id]["impressions"] is None
        else "complete"
        for tweet_id in mine
    )
    assert min(kinds[kind] for kind in ("gone", "too old for video", "too old", "complete")) > 10
    assert any(int(tweet_id) < 29700859247 for tweet_id in expected)
    assert sum(counts["video_views"] or 0 for counts in expected.values()) > 0

    statuses = Counter(row["outcome"] for row in table(report["outputs"]["tweet_status"]))
    assert report["outcomes"] == statuses
    assert statuses["unavailable"] == kinds["gone"]
    assert statuses["ok"] == report["complete"] == kinds["complete"]
    assert statuses["unsupported_90d"] == kinds["too old"] + kinds["too old for video"]
    assert report["requested"] == statuses.total() == len(mine)


def test_public_totals_are_the_truth_of_every_tweet_whoever_wrote_it(
    pull: Pull, execute: Execute, simulator: Simulator, world: World
) -> None:
    everything = list(world.tweets)
    report = execute(pull(tweet_ids=everything, metrics=PUBLIC))
    assert counted(table(report["outputs"]["tweet_totals"]), PUBLIC) == truths(simulator, everything, PUBLIC)
    protected = [tweet_id for tweet_id, tweet in world.tweets.items() if world.handles[tweet.author_id].protected]
    gone = {row["tweet_id"] for row in table(report["outputs"]["tweet_status"]) if row["outcome"] == "unavailable"}
    assert len(protected) > 100
    assert gone > set(protected)
    assert (report["auth"], report["owner"]) == ("app", None)
    assert {entry.auth for entry in simulator.journal.to("totals")} == {"app"}


def test_the_fewest_requests_are_sent_and_each_tweet_is_asked_for_once(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    twice = [*mine, *reversed(mine), f" {mine[0]}\n"]
    report = execute(pull(tweet_ids=twice))
    assert len(simulator.journal) == -(-len(mine) // 250) == report["requests"]["sent"]
    assert sorted(asked(simulator)) == sorted(mine)


def test_one_count_more_in_the_answers_is_one_count_more_in_the_table(
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
def test_as_whom_to_ask_follows_from_the_metrics_and_can_be_said(
    pull: Pull,
    execute: Execute,
    simulator: Simulator,
    mine: list[str],
    arguments: dict[str, Any],
    auth: str,
    metrics: tuple[str, ...],
) -> None:
    report = execute(pull(tweet_ids=mine[-5:], **arguments))
    (entry,) = simulator.journal.to("totals")
    assert entry.auth == report["auth"] == auth
    assert sorted(entry.body["engagement_types"]) == sorted(metrics) == sorted(report["metrics"])


def test_the_old_name_of_a_metric_becomes_its_new_name(pull: Pull, execute: Execute) -> None:
    # media_clicks became media_engagements, which is not available on totals. The message has the new name.
    with pytest.raises(AirflowFailException, match="media_engagements"):
        execute(pull(metrics=["media_clicks"]))


@pytest.mark.parametrize("values", ["string", "int", "mixed"])
def test_answers_are_read_in_every_shape_the_api_may_give_them(
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
    report = execute(pull(output_format="parquet"))
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(simulator, mine, OWNED)


# Where ids come from


@pytest.mark.parametrize("form", ["list", "integers", "commas", "lines", "json", "python", "template"])
def test_ids_may_be_written_in_any_usual_way(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], form: str
) -> None:
    some = mine[-7:]
    written: dict[str, Any] = {
        "list": some,
        "integers": [int(tweet_id) for tweet_id in some],
        "commas": ", ".join(some),
        "lines": "\n".join(some) + "\n",
        "json": json.dumps(some),
        "python": repr(some),
        "template": "{{ params.ids }}",
    }
    report = execute(pull(tweet_ids=written[form]), params={"ids": some})
    assert sorted(asked(simulator)) == sorted(some)
    assert report["requested"] == 7


def test_ids_may_come_from_a_file_whose_path_is_templated(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    (tmp_path / "ids-2026.csv").write_text("day,post\n" + "".join(f"2026-01-12,{one}\n" for one in mine[-3:]))
    execute(
        pull(tweet_ids_file=f"{tmp_path}/ids-{{{{ logical_date.year }}}}.csv", tweet_ids_column="{{ params.column }}"),
        params={"column": "post"},
    )
    assert sorted(asked(simulator)) == sorted(mine[-3:])


# Other authors' Tweets


@pytest.fixture
def others(world: World, author: Handle) -> list[str]:
    """Tweets of somebody else, that are all there."""
    other = next(handle for handle in world.handles.values() if handle.user_id != author.user_id)
    return world.tweets_of(other.user_id, deleted=False)


@pytest.mark.parametrize("forbidden_format", ["by_author", "plain"])
def test_other_authors_tweets_fail_for_good_after_everything_else_was_kept(
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
        execute(pull(tweet_ids=[*mine, *foreign]))
    cause = raised.value.__cause__
    assert isinstance(cause, ForbiddenTweetsError)
    key = world.tweets[foreign[0]].author_id if forbidden_format == "by_author" else None
    assert {one: sorted(ids) for one, ids in cause.tweet_ids_by_author.items()} == {key: sorted(foreign)}
    for tweet_id in foreign:
        assert tweet_id in str(raised.value)
    assert "'forbidden'" in str(raised.value)
    assert [path.partition("/")[0] for path in tables(tmp_path)] == ["tweet_status"]

    # What was answered is not asked for again once the foreign Tweets are left out.
    answered = [entry.body["tweet_ids"] for entry in simulator.journal.to("totals") if entry.status == 200]
    assert answered
    simulator.journal.clear()
    with pytest.raises(AirflowFailException):
        execute(pull(tweet_ids=[*mine, *foreign]))
    assert {entry.status for entry in simulator.journal} == {403}


@pytest.mark.parametrize("forbidden_format", ["by_author", "plain"])
def test_other_authors_tweets_are_dropped_and_reported_where_that_is_accepted(
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
        pull(tweet_ids=[*mine, *foreign], accepted_outcomes="unavailable unsupported_90d unsupported_video forbidden")
    )
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(simulator, mine, OWNED)
    statuses = {row["tweet_id"]: row for row in table(report["outputs"]["tweet_status"])}
    named = world.tweets[foreign[0]].author_id if forbidden_format == "by_author" else None
    for tweet_id in foreign:
        status = statuses[tweet_id]
        assert (status["outcome"], status["owner"], status["author"]) == ("forbidden", None, named)
    assert report["missing"]["forbidden"]["tweets"] == 20
    assert len(report["missing"]["forbidden"]["examples"]) == 10


def test_a_pull_of_nothing_but_other_authors_tweets_can_be_accepted_too(
    pull: Pull, execute: Execute, others: list[str]
) -> None:
    report = execute(pull(tweet_ids=others[:5], accepted_outcomes=["forbidden"]))
    assert (report["complete"], report["outcomes"], report["rows"]["tweet_totals"]) == (0, {"forbidden": 5}, 0)


# Retries and reruns


def test_a_rerun_replaces_and_never_appends(
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


def test_another_snapshot_asks_anew_and_stands_beside_the_first(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    execute(pull(tweet_ids=mine[-5:]))
    next_day = datetime(2026, 1, 13, tzinfo=UTC)
    report = execute(pull(tweet_ids=mine[-5:]), data_interval_end=next_day)
    assert len(simulator.journal) == 2
    assert report["snapshot_at"] == "2026-01-13T00:00:00+00:00"
    assert len(files(tmp_path / "tweet_totals")) == 2
    assert {row["snapshot_at"] for row in table(report["outputs"]["tweet_totals"])} == {next_day}


def test_more_tweets_on_a_rerun_cost_only_the_requests_that_they_change(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    by_age = sorted(mine, key=int)
    execute(pull(tweet_ids=by_age[:-1]))
    simulator.journal.clear()
    execute(pull(tweet_ids=by_age))
    assert len(simulator.journal) == 1


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, "2026-01-12T00:00:00+00:00"),
        ({"data_interval_end": None}, "2026-01-11T00:00:00+00:00"),
        ({"data_interval_end": None, "logical_date": None}, "2026-01-12T00:00:00+00:00"),
    ],
)
def test_a_snapshot_bears_the_runs_own_time(
    pull: Pull, execute: Execute, mine: list[str], context: dict[str, Any], expected: str
) -> None:
    context = {"logical_date": datetime(2026, 1, 11, tzinfo=UTC), **context}
    assert execute(pull(tweet_ids=mine[-1:]), **context)["snapshot_at"] == expected


def test_a_snapshot_can_be_given_its_time(pull: Pull, execute: Execute, mine: list[str]) -> None:
    report = execute(pull(tweet_ids=mine[-1:], snapshot_at="{{ logical_date.year }}-01-05T06:00:00+02:00"))
    assert report["snapshot_at"] == "2026-01-05T04:00:00+00:00"


@pytest.mark.usefixtures("short_waits")
def test_an_incomplete_pull_writes_no_table_and_keeps_its_answers(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    # The first request is answered; the second is dropped as often as it is tried; then the API is well again.
    simulator.faults.add(*[Fault(drop="before_headers", nth=number) for number in range(2, 8)])
    with pytest.raises(IncompletePullError, match=r"no response from http://127\.0\.0\.1") as raised:
        execute(pull(concurrent_requests=1))
    assert not isinstance(raised.value, PermanentError)
    assert [path.partition("/")[0] for path in tables(tmp_path)] == ["tweet_status"]
    statuses = [entry.status for entry in simulator.journal]
    assert statuses == [200, *[None] * 6, *[200] * (len(mine) // 250 - 1)]

    lost = simulator.journal.entries[1].body["tweet_ids"]
    simulator.journal.clear()
    report = execute(pull(concurrent_requests=1))
    assert asked(simulator) == lost
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
def test_a_failure_that_passes_costs_one_request_more_and_nothing_else(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], fault: Fault
) -> None:
    simulator.faults.add(fault)
    some = mine[-260:]
    report = execute(pull(tweet_ids=some))
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
def test_a_refusal_that_concerns_every_request_is_not_worth_a_retry_or_a_second_request(
    pull: Pull, execute: Execute, simulator: Simulator, fault: Fault
) -> None:
    simulator.faults.add(fault)
    with pytest.raises(AirflowFailException, match=f"totals: HTTP {fault.status}"):
        execute(pull(concurrent_requests=1))
    assert len(simulator.journal) == 1


def test_a_gap_that_is_not_accepted_fails_for_good_when_no_retry_can_fill_it(
    pull: Pull, execute: Execute, simulator: Simulator, tmp_path: Path
) -> None:
    with pytest.raises(AirflowFailException, match="unavailable"):
        execute(pull(accepted_outcomes=["unsupported_90d", "unsupported_video"]))
    assert [path.partition("/")[0] for path in tables(tmp_path)] == ["tweet_status"]
    simulator.journal.clear()
    execute(pull())
    assert len(simulator.journal) == 0


# What is written or returned


def test_groupings_are_added_up_over_all_requests(
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


def test_without_a_folder_the_rows_are_returned(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    some = mine[-260:]
    report = execute(pull(tweet_ids=some, output_path=None, groupings={"grand": ["engagement.type"]}))
    assert counted(report["tweet_totals"], OWNED) == truths(simulator, some, OWNED)
    assert len(report["tweet_status"]) == 260
    assert set(report["groupings"]["grand"]) == set(OWNED)
    assert report["outputs"] == {}
    assert json.loads(json.dumps(report)) == report


def test_too_many_rows_to_return_fail_before_a_request(pull: Pull, execute: Execute, simulator: Simulator) -> None:
    ids = [str(2 * 10**18 + number) for number in range(1001)]
    with pytest.raises(AirflowFailException, match=r"output_path.*1001"):
        execute(pull(tweet_ids=ids, output_path=None))
    assert len(simulator.journal) == 0


def test_every_format_holds_the_same_rows(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    reports = {
        name: execute(pull(output_format=name, output_path=f"{tmp_path}/{name}"))
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


def test_the_report_that_travels_is_small_and_plain(pull: Pull, execute: Execute) -> None:
    report = execute(pull())
    assert json.loads(json.dumps(report)) == report
    assert len(json.dumps(report)) < 5_000


def test_the_log_tells_the_beginning_and_the_end(
    pull: Pull, execute: Execute, mine: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    report = execute(pull())
    lines = [line for line in capsys.readouterr().out.splitlines() if "EngagementTotalsOperator" in line]
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


# Secrets


def test_no_secret_is_in_logs_reports_files_exceptions_or_representations(
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
        operator = EngagementTotalsOperator(
            task_id="totals", tweet_ids=mine[-3:], output_path=str(tmp_path), **arguments
        )
        try:
            seen.append(repr(execute(operator)))
        except Exception as error:
            chain: BaseException | None = error
            while chain is not None:
                seen.extend((repr(chain), str(chain), repr(vars(chain))))
                chain = chain.__cause__ or chain.__context__
        client = operator.hook.get_conn()
        fields = {name: getattr(operator, name) for name in operator.template_fields}
        seen.extend((repr(operator), repr(operator.hook), repr(client), repr(fields)))

    connect(author)
    run()
    run(auth="app")
    connect(None, bearer_token=None)
    run(auth="app", snapshot_at="2026-01-11")
    connect(author, access_token_secret="canaryOfTheTokenSecret")
    run(snapshot_at="2026-01-10")
    connect(None, bearer_token="canaryOfTheBearer%2FToken", consumer_key=None, consumer_secret=None)
    run(snapshot_at="2026-01-09", auth="app")
    # An answer that echoes what it was sent.
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


# Wrong inputs


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"tweet_ids": None}, "tweet_ids"),
        ({"tweet_ids": []}, "tweet_ids"),
        ({"tweet_ids": ""}, "tweet_ids"),
        ({"tweet_ids": 5}, "tweet_ids"),
        ({"tweet_ids": {"1": "2"}}, "tweet_ids"),
        ({"tweet_ids": ["20", "abc"]}, "tweet_ids"),
        ({"tweet_ids": ["20", "12345678901234567890"]}, "tweet_ids"),
        ({"tweet_ids": ["-20"]}, "tweet_ids"),
        ({"tweet_ids": [20.0]}, "tweet_ids"),
        ({"tweet_ids": [True]}, "tweet_ids"),
        ({"tweet_ids": [None]}, "tweet_ids"),
        ({"tweet_ids": [["20"]]}, "tweet_ids"),
        ({"tweet_ids": "None"}, "tweet_ids"),
        ({"tweet_ids": "[20, "}, "tweet_ids"),
        ({"tweet_ids": ["20"], "tweet_ids_file": "/nowhere/ids.txt"}, "tweet_ids"),
        ({"tweet_ids_file": "/nowhere/ids.txt"}, "tweet_ids_file"),
        ({"metrics": []}, "metrics"),
        ({"metrics": ""}, "metrics"),
        ({"metrics": 5}, "metrics"),
        ({"metrics": [5]}, "metrics"),
        ({"metrics": ["likes"]}, "metrics"),
        ({"metrics": ["url_clicks"]}, "metrics"),
        ({"metrics": ["impressions"], "auth": "app"}, "metrics"),
        ({"auth": "owner"}, "auth"),
        ({"groupings": {"daily": ["engagement.type", "engagement.day"]}}, "groupings"),
        ({"groupings": {"hourly": ["engagement.type", "engagement.hour"]}}, "groupings"),
        ({"groupings": {name: ["engagement.type"] for name in "abc"}}, "groupings"),
        ({"groupings": {"errors": ["engagement.type"]}}, "groupings"),
        ({"groupings": {"start": ["engagement.type"]}}, "groupings"),
        ({"groupings": {"unavailable_tweet_ids": ["engagement.type"]}}, "groupings"),
        ({"groupings": {"unsupported_for_me": ["engagement.type"]}}, "groupings"),
        ({"groupings": {"total": ["engagement.type"]}}, "groupings"),
        ({"groupings": {"": ["engagement.type"]}}, "groupings"),
        ({"groupings": {"a": []}}, "groupings"),
        ({"groupings": {"a": ["tweet.id"]}}, "groupings"),
        ({"groupings": {"a": "engagement.type"}}, "groupings"),
        ({"groupings": {"a": ["engagement.type", "engagement.type"]}}, "groupings"),
        ({"groupings": {"a": ["engagement.week"]}}, "groupings"),
        ({"groupings": {"a": [["engagement.type"]]}}, "groupings"),
        ({"groupings": ["engagement.type"]}, "groupings"),
        ({"groupings": "by day"}, "groupings"),
        ({"output_format": "xlsx"}, "output_format"),
        ({"output_format": None}, "output_format"),
        ({"accepted_outcomes": ["gone"]}, "accepted_outcomes"),
        ({"accepted_outcomes": 5}, "accepted_outcomes"),
        ({"snapshot_at": "yesterday"}, "snapshot_at"),
        ({"snapshot_at": "2026-01-05T06:00:00"}, "snapshot_at"),
        ({"snapshot_at": 5}, "snapshot_at"),
        ({"concurrent_requests": 0}, "concurrent_requests"),
        ({"concurrent_requests": "eight"}, "concurrent_requests"),
        ({"max_inline_wait": "half a minute"}, "max_inline_wait"),
        ({"max_inline_wait": -1}, "max_inline_wait"),
        ({"max_wait": "an hour"}, "max_wait"),
    ],
    ids=str,
)
def test_a_wrong_input_is_named_before_any_request_and_not_worth_a_retry(
    pull: Pull, execute: Execute, simulator: Simulator, arguments: dict[str, Any], field: str, tmp_path: Path
) -> None:
    with pytest.raises(AirflowFailException, match=f"^{field}: ") as raised:
        execute(pull(**arguments))
    assert isinstance(raised.value.__cause__, InvalidQueryError)
    assert len(simulator.journal) == 0
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "arguments", "told"),
    [
        ({"access_token_secret": None}, {}, "access_token_secret"),
        ({"consumer_secret": None}, {}, "consumer_secret"),
        ({"consumer_key": None, "consumer_secret": None}, {}, "consumer_key"),
        ({"access_token": None, "access_token_secret": None}, {"auth": "user"}, "access"),
        ({"access_token": None, "access_token_secret": None}, {"metrics": "impressions"}, "access"),
        ({"token_url": "http://example.com/oauth2/token"}, {}, "token_url"),
        ({"read_timeout": "soon"}, {}, "read_timeout"),
    ],
)
def test_a_connection_that_cannot_do_it_is_named_before_any_request_and_not_worth_a_retry(
    pull: Pull,
    connect: Connect,
    execute: Execute,
    simulator: Simulator,
    author: Handle,
    changes: dict[str, Any],
    arguments: dict[str, Any],
    told: str,
) -> None:
    connect(author, **changes)
    with pytest.raises(AirflowFailException, match=told) as raised:
        execute(pull(**arguments))
    assert isinstance(raised.value.__cause__, (InvalidConnectionError, InvalidQueryError))
    assert len(simulator.journal) == 0


# Waiting for the rate limit


@pytest.fixture
def two_a_minute(simulator: Simulator) -> Simulator:
    """The API of a small contract, at the beginning of a minute that does not pass."""
    simulator.rate_clock.freeze()
    simulator.rate_clock.set(simulator.rate_clock.now().replace(second=0, microsecond=0))
    simulator.set_limit(per_minute=2)
    return simulator


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_wait_gives_the_worker_up_and_the_next_execution_goes_on(
    pull: Pull, execute: Execute, two_a_minute: Simulator, mine: list[str], deferrable: bool, tmp_path: Path
) -> None:
    def operator() -> EngagementTotalsOperator:
        return pull(max_inline_wait=0, deferrable=deferrable)

    planned = len(mine) // 250 + 1
    answered: list[int] = []
    before = datetime.now(UTC)
    while len(answered) < planned // 2 + planned % 2 - 1:
        with pytest.raises((TaskDeferred, AirflowRescheduleException)) as raised:
            execute(operator())
        error = raised.value
        assert isinstance(error, TaskDeferred if deferrable else AirflowRescheduleException)
        if isinstance(error, TaskDeferred):
            path, arguments = error.trigger.serialize()
            assert path == "airflow.providers.standard.triggers.temporal.DateTimeTrigger"
            assert error.method_name == "execute"
            assert timedelta(minutes=1) < error.timeout < timedelta(minutes=10)
            wake = arguments["moment"]
        else:
            wake = error.reschedule_date
        assert timedelta(seconds=59) < wake - before < timedelta(seconds=85)
        answered.append(len(two_a_minute.journal))
        two_a_minute.journal.clear()
        two_a_minute.rate_clock.advance(timedelta(minutes=1))
        # What is on record of the window is out of date by then, which this machine's clock does not know.
        shutil.rmtree(tmp_path / "_rate_limit")
    assert answered == [2] * len(answered)

    report = execute(operator())
    assert report["requests"]["reused"] == 2 * len(answered)
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(two_a_minute, mine, OWNED)


def test_a_budget_that_is_wide_open_is_no_reason_to_give_the_worker_up(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    simulator.latency = 0.05
    report = execute(pull(max_inline_wait=0, deferrable=True))
    assert report["requests"]["sent"] == len(mine) // 250 + 1


def test_without_a_folder_the_wait_is_slept_through_so_that_nothing_is_asked_twice(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    minute = simulator.rate_clock.now().replace(second=57, microsecond=0)
    simulator.rate_clock.set(minute, running=True)
    simulator.set_limit(per_minute=2)
    report = execute(pull(tweet_ids=mine[:510], output_path=None, max_inline_wait=0, deferrable=True))
    assert sorted(asked(simulator)) == sorted(mine[:510])
    assert report["requests"]["sent"] == 3


def test_a_refusal_for_the_rate_is_waited_for_and_costs_no_try(
    pull: Pull, execute: Execute, two_a_minute: Simulator
) -> None:
    two_a_minute.quotas.close(two_a_minute.rate_clock.now() + timedelta(seconds=50))
    with pytest.raises(TaskDeferred) as raised:
        execute(pull(deferrable=True))
    assert [entry.status for entry in two_a_minute.journal] == [429]
    wake = raised.value.trigger.serialize()[1]["moment"]
    assert timedelta(seconds=45) < wake - datetime.now(UTC) < timedelta(seconds=75)


def test_a_cap_that_renews_in_weeks_fails_for_good_and_says_when(
    pull: Pull, execute: Execute, two_a_minute: Simulator
) -> None:
    renews_at = two_a_minute.rate_clock.now() + timedelta(days=20)
    two_a_minute.quotas.close(renews_at)
    with pytest.raises(AirflowFailException, match=re.escape(renews_at.date().isoformat())):
        execute(pull(deferrable=True))
    assert len(two_a_minute.journal) == 1


def test_a_wait_past_max_wait_fails_for_good_and_says_so(
    pull: Pull, execute: Execute, two_a_minute: Simulator, task_instance: Any
) -> None:
    started = datetime.now(UTC) - timedelta(minutes=59, seconds=30)
    with pytest.raises(AirflowFailException, match=r"max_wait \(3600 s\)") as raised:
        execute(pull(max_inline_wait=0, max_wait=3600), ti=task_instance(task_id="totals", start_date=started))
    assert "The responses are stored" in str(raised.value)
    assert len(two_a_minute.journal) == 2


def test_max_wait_counts_from_the_first_start_over_any_number_of_reschedules(
    pull: Pull, execute: Execute, two_a_minute: Simulator, task_instance: Any
) -> None:
    first = datetime.now(UTC) - timedelta(minutes=59, seconds=30)
    with pytest.raises(AirflowFailException, match="max_wait"):
        execute(
            pull(max_inline_wait=0, max_wait=3600, deferrable=False),
            ti=task_instance(task_id="totals", rescheduled_at=first),
        )


def test_tasks_that_wait_for_the_same_reset_resume_at_different_times(
    pull: Pull, execute: Execute, two_a_minute: Simulator, task_instance: Any
) -> None:
    two_a_minute.quotas.close(two_a_minute.rate_clock.now() + timedelta(seconds=50))
    resume_times = set()
    for map_index in range(4):
        with pytest.raises(TaskDeferred) as deferred:
            execute(pull(deferrable=True), ti=task_instance(task_id="totals", map_index=map_index))
        resume_times.add(deferred.value.trigger.serialize()[1]["moment"])
    gaps = [later - earlier for earlier, later in pairwise(sorted(resume_times))]
    assert len(gaps) == 3
    assert sum(gaps, timedelta()) <= timedelta(seconds=SPREAD_SECONDS + 1)
    assert min(gaps) > timedelta(milliseconds=1)


def test_a_mapped_task_writes_files_of_its_own(
    pull: Pull, execute: Execute, mine: list[str], tmp_path: Path, task_instance: Any
) -> None:
    for map_index in range(3):
        execute(
            pull(tweet_ids=mine[map_index : map_index + 1]), ti=task_instance(task_id="totals", map_index=map_index)
        )
    assert len(files(tmp_path / "tweet_totals")) == 3
