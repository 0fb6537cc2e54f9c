"""Random histories of runs beside each other: after each step, the dataset has what the documentation says.

The model is a plain dictionary by key (``history_model.py``). The operators are the real ones, and the API is the
simulator. ``ENGAGEMENT_HISTORIES=10`` plays ten times as many histories, and ``--hypothesis-seed=1`` other ones.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import time_machine
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowFailException
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from airflow_provider_engagement.operators.engagement import (
    Engagement28HourOperator,
    EngagementHistoricalOperator,
    EngagementTotalsOperator,
)
from airflow_provider_engagement.parameters import Freshness, Limits
from airflow_provider_engagement.simulator import Clock, Simulator, World
from airflow_provider_engagement.tables.delta_log import DeltaLog
from airflow_provider_engagement.transfers.engagement_to_warehouse import EngagementToWarehouseOperator

from .history_loads import KEYS, LoadedTables
from .history_model import (
    DagRun,
    DocumentedRuns,
    Effect,
    Key,
    Read,
    Request,
    Rows,
    TaskRun,
    older_counts,
    restated,
)
from .history_world import (
    HOUR,
    METRICS,
    NOW,
    OWNERS,
    RUN_IDS,
    TASKS,
    TWEETS,
    Counts,
    Task,
    day_of,
    hour_of,
)
from .stored_rows import files_of, rows_of, tweets_of_response

LAST = NOW + timedelta(days=5)
HISTORIES = 10 * int(os.environ.get("ENGAGEMENT_HISTORIES", "1"))
STEPS = 18

SNAPSHOTS = [None, None, NOW.replace(hour=0, minute=0), NOW.replace(hour=1, minute=0)]
MERGED = ("tweet_totals", "tweet_metrics/hour", "tweet_metrics/day", "tweet_metrics/total", "tweet_hours_of_day")
OF_ONE_RUN = ("tweet_status", "coverage", "restatements", "owner_ledger", "groupings", "_manifests")
OPERATORS = {
    "totals": EngagementTotalsOperator,
    "28hr": Engagement28HourOperator,
    "historical": EngagementHistoricalOperator,
}
LISTS = some.lists(some.sampled_from(list(TWEETS)), min_size=2, max_size=4, unique=True)
KILLS = some.none() | some.none() | some.none() | some.integers(0, 40)
A_MILLISECOND = timedelta(milliseconds=1)


class Killed(BaseException):
    """The process is dead: nothing that follows happens."""


@dataclass
class KillSwitch:
    """Kills at an operation of the storage. No operation follows it, such as one that would clean up."""

    operations: int | None = None
    is_dead: bool = False

    def __call__(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def operated(*arguments: Any, **options: Any) -> Any:
            if self.operations is not None:
                self.operations -= 1
                self.is_dead |= self.operations < 0
            if self.is_dead:
                raise Killed
            return operation(*arguments, **options)

        return operated

    @contextmanager
    def after(self, operations: int | None) -> Iterator[None]:
        """Kill what the block does after so many operations."""
        self.operations = operations
        try:
            yield
        finally:
            self.operations, self.is_dead = None, False


class Histories(DocumentedRuns, RuleBasedStateMachine):
    """Runs of several tasks in one folder."""

    simulator: Simulator
    execute: Callable[..., Any]
    clock: time_machine.Traveller
    kill_switch: KillSwitch
    task_instance: Callable[..., Any]

    @initialize(
        dataset_format=some.sampled_from(["parquet", "csv", "jsonl", "delta", "mixed"]),
        tasks=some.lists(some.sampled_from(TASKS), min_size=1, max_size=5, unique=True),
        run_ids=some.lists(some.sampled_from(RUN_IDS), min_size=2, max_size=4, unique=True),
        lists=some.lists(LISTS, min_size=2, max_size=3),
    )
    def start(self, dataset_format: str, tasks: list[Task], run_ids: list[str], lists: list[list[str]]) -> None:
        # Few tasks, runs and lists meet more often.
        self.tasks, self.run_ids, self.lists = tasks, run_ids, lists
        self.place = tempfile.TemporaryDirectory(prefix="histories-")
        self.folder = Path(self.place.name) / "dataset"
        self.folder.mkdir()
        self.dataset_format = dataset_format
        self.counts: Counts = self.simulator.world.counts  # type: ignore[assignment]
        self.counts.revisions.clear()
        for tweet_id in TWEETS:
            self.simulator.world.change_tweet(tweet_id, deleted=False)
        self.simulator.reset()
        self.simulator.set_limit(per_minute=1_000_000)
        self.now = NOW
        self.move(timedelta())
        self.dag_runs: dict[Key, DagRun] = {}
        self.runs: dict[Key, TaskRun] = {}
        self.last_interval = (day_of(NOW) - 3 * HOUR, day_of(NOW))
        self.stored: dict[Key, list[Read]] = {}
        self.tables: dict[str, Rows] = {name: {} for name in MERGED}
        self.killed: dict[Key, Effect | None] = {}
        self.owners_of_files: dict[str, Key] = {}
        self.copy = Path(self.place.name) / "copy"
        self.loaded = LoadedTables()

    def teardown(self) -> None:
        if not hasattr(self, "place"):
            return
        try:
            self.retry_all()
            datasets = [self.folder, *([self.copy] if self.copy.exists() else [])]
            if self.has_tables:
                for folder in sorted(datasets, reverse=self.now.minute % 2 == 0):
                    self.load(folder)
            left = [path for path in files_of(self.folder) if path.startswith(("_temporary", "_staged"))]
            assert not left, "a retry leaves no temporary and no staged files"
        finally:
            self.place.cleanup()

    # What happens beside the runs

    @rule(by=some.sampled_from([0.001, 0.4, 1, 1800, 7200, 90_000]))
    def time_passes(self, by: float) -> None:
        self.move(timedelta(seconds=by))

    @rule(tweets=some.sets(some.sampled_from(list(TWEETS))), deleted=some.none() | some.sampled_from(list(TWEETS)))
    def counts_change_and_a_tweet_goes_or_comes_back(self, tweets: set[str], deleted: str | None) -> None:
        for tweet in tweets:
            self.counts.revisions[tweet] = self.counts.revisions.get(tweet, 0) + 1
        if deleted is not None:
            self.simulator.world.change_tweet(deleted, deleted=not self.simulator.world.tweets[deleted].deleted)

    # Runs

    @rule(
        task_number=some.integers(0, 4),
        run_number=some.integers(0, 3),
        map_index=some.sampled_from([-1, -1, -1, -1, 0, 10]),
        kind=some.sampled_from(
            ["scheduled", "cron", "manual", "manual", "api", "asset", "partition", "backfill", "late"]
        ),
        time=some.sampled_from(
            ["now", "same", "same millisecond", "next millisecond", "an hour ago", "an hour ago", "to come"]
        ),
        hours=some.integers(1, 4),
        list_number=some.integers(0, 2),
        snapshot_at=some.sampled_from(SNAPSHOTS),
        kill_after=KILLS,
    )
    def a_task_runs(
        self,
        task_number: int,
        run_number: int,
        map_index: int,
        kind: str,
        time: str,
        hours: int,
        list_number: int,
        snapshot_at: datetime | None,
        kill_after: int | None,
    ) -> None:
        tweets = self.lists[list_number % len(self.lists)]
        task, run_id = self.tasks[task_number % len(self.tasks)], self.run_ids[run_number % len(self.run_ids)]
        dag_run = self.dag_runs.get((task.dag, run_id))
        if dag_run is None:
            dag_run = self.dag_runs[task.dag, run_id] = self.new_dag_run(run_id, kind, self.time_of(time), hours)
        snapshot_at = snapshot_at if task.endpoint == "totals" else None
        run = TaskRun(task, dag_run, map_index, self.now, tweets, snapshot_at)
        run = self.runs.setdefault(run.identity, run)
        self.attempt(run, tweets, snapshot_at, kill_after)

    @precondition(lambda self: self.runs)
    @rule(
        number=some.integers(0, 20),
        list_number=some.none() | some.integers(0, 2),
        snapshot_at=some.sampled_from(SNAPSHOTS),
        is_cleared=some.booleans(),
        is_tweet_deleted=some.booleans(),
        kill_after=KILLS,
    )
    def a_task_runs_again(
        self,
        number: int,
        list_number: int | None,
        snapshot_at: datetime | None,
        is_cleared: bool,
        is_tweet_deleted: bool,
        kill_after: int | None,
    ) -> None:
        run = list(self.runs.values())[number % len(self.runs)]
        if is_cleared and run.identity not in self.killed:
            run.start = run.cleared_at = self.now
        tweets = run.tweets if list_number is None else self.lists[list_number % len(self.lists)]
        if list_number is None:
            snapshot_at = run.snapshot_at
        if is_tweet_deleted:
            self.simulator.world.change_tweet(tweets[0], deleted=True)
        self.attempt(run, tweets, snapshot_at if run.task.endpoint == "totals" else None, kill_after)

    @precondition(lambda self: self.killed)
    @rule()
    def retry_all(self) -> None:
        for identity in list(self.killed):
            self.attempt(self.runs[identity], [], None, None)

    @precondition(lambda self: self.has_tables and not self.copy.exists())
    @rule()
    def the_dataset_is_copied(self) -> None:
        """Both have the same keys, and only one of them receives newer counts."""
        shutil.copytree(self.folder, self.copy)

    @precondition(lambda self: self.has_tables)
    @rule(chance=some.integers(0, 8))
    def a_dataset_is_loaded(self, chance: int) -> None:
        if chance == 0:
            self.load(self.folder)
        elif chance == 1 and self.copy.exists():
            self.load(self.copy)

    @precondition(lambda self: not self.killed)
    @rule(
        task_number=some.integers(0, 4),
        other_number=some.integers(0, 4),
        run_number=some.integers(0, 3),
        other_run_number=some.integers(0, 3),
        list_numbers=some.tuples(some.integers(0, 2), some.integers(0, 2)),
    )
    def two_tasks_run_at_the_same_time(
        self,
        task_number: int,
        other_number: int,
        run_number: int,
        other_run_number: int,
        list_numbers: tuple[int, int],
    ) -> None:
        numbers = ((task_number, run_number), (other_number, other_run_number))
        runs = [
            self.task_run(self.tasks[task % len(self.tasks)], self.run_ids[run % len(self.run_ids)], map_index, tweets)
            for map_index, ((task, run), tweets) in enumerate(zip(numbers, list_numbers, strict=True))
        ]
        self.attempt_together(runs)
        for run in runs:
            if run.manifest is None:
                del self.runs[run.identity]

    @property
    def has_tables(self) -> bool:
        return any(run.manifest for run in self.runs.values())

    def task_run(self, task: Task, run_id: str, map_index: int, list_number: int) -> TaskRun:
        """Return a run of a mapped task in a DAG run that may exist, with another list than before."""
        dag_run = self.dag_runs.get((task.dag, run_id))
        if dag_run is None:
            dag_run = self.dag_runs[task.dag, run_id] = self.new_dag_run(run_id, "scheduled", self.now, 2)
        tweets = self.lists[list_number % len(self.lists)]
        run = TaskRun(task, dag_run, map_index, self.now, tweets)
        run = self.runs.setdefault(run.identity, run)
        run.tweets = tweets
        return run

    # Executions

    def attempt_together(self, runs: list[TaskRun]) -> None:
        """Execute two tasks in threads. One publishes first, and which one can differ from row to row."""
        self.move(A_MILLISECOND)
        reused: list[dict[Request, Read]] = []
        missing: list[list[Request]] = []
        for run in runs:
            requests = self.requests_of(run)
            known = {request: read for request in requests or () if (read := self.stored_read(run, request))}
            reused.append(known)
            missing.append([request for request in requests or () if request not in known])
            if self.is_refused(run, requests, missing[-1]):
                return
        if any(
            self.key_of(runs[1], request) in [self.key_of(runs[0], other) for other in missing[0]]
            for request in missing[1]
        ):
            return  # Either may reuse the response of the other.
        before, earlier = files_of(self.folder), {name: dict(rows) for name, rows in self.tables.items()}
        self.simulator.journal.clear()
        with ThreadPoolExecutor(len(runs)) as threads:
            manifests = list(threads.map(self.execute_task, runs))
        assert Counter(self.sent()) == Counter([*missing[0], *missing[1]])
        effects = []
        for run, known, sent, manifest in zip(runs, reused, missing, manifests, strict=True):
            reads = known | {request: self.read(run, request) for request in sent}
            for request in sent:
                self.stored.setdefault(self.key_of(run, request), []).append(reads[request])
            run.has_known_restatements = False
            effects.append(self.effect_of(run, reads, is_repeated=True))
            self.note_success(run, reads, manifest, len(sent))
        for effect in reversed(effects):
            effect.apply(earlier)
        for name, rows in earlier.items():
            found, values = self.found(name), self.values(name, rows)
            for key in rows.keys() | self.tables[name].keys():
                if found.get(key) == values.get(key):
                    self.tables[name].pop(key, None)
                    self.tables[name] |= {key: rows[key]} if key in rows else {}
        self.check(runs, before)

    def attempt(self, run: TaskRun, tweets: list[str], snapshot_at: datetime | None, kill_after: int | None) -> None:
        """Execute a task, and compare the dataset with the model."""
        self.move(A_MILLISECOND)
        if run.identity not in self.killed:
            has_same_list = set(tweets) == set(run.tweets) and snapshot_at == run.snapshot_at
            run.tweets, run.snapshot_at = tweets, snapshot_at
        else:
            has_same_list = True
        requests = self.requests_of(run)
        reused = {request: read for request in requests or () if (read := self.stored_read(run, request))}
        missing = [request for request in requests or () if request not in reused]
        before = files_of(self.folder)
        self.simulator.journal.clear()
        if self.is_refused(run, requests, missing):
            with pytest.raises(AirflowFailException):
                self.execute_task(run)
            assert not len(self.simulator.journal), "a refused pull sends no request"
            assert files_of(self.folder) == before
            if run.manifest is None and run.identity not in self.killed:
                del self.runs[run.identity]
            return
        try:
            with self.kill_switch.after(kill_after):
                manifest = self.execute_task(run)
        except Killed:
            self.note_kill(run, requests or [], missing, before)
            if not has_same_list:
                self.attempt(run, [], None, None)
            else:
                self.check([run], before)
            return
        sent = self.sent()
        assert Counter(sent) == Counter(missing), "an execution sends the requests that have no response"
        reads = reused | {request: self.read(run, request) for request in missing}
        for request in missing:
            self.stored.setdefault(self.key_of(run, request), []).append(reads[request])
        self.note_success(run, reads, manifest, len(missing))
        self.check([run], before)

    def execute_task(self, run: TaskRun) -> Any:
        task, dag_run = run.task, run.dag_run
        listed = Path(self.place.name) / f"tweets{run.map_index}.csv"
        with_owners = (f"{tweet},{TWEETS[tweet].author_id}" for tweet in run.tweets)
        listed.write_text("\n".join(["tweet_id,owner", *with_owners]))
        options: dict[str, Any] = {"extra_tables": ["owner_ledger"]}
        if task.endpoint == "totals":
            options |= {"auth": task.auth, "snapshot_at": run.snapshot_at}
        else:
            options |= {"extra_tables": ["owner_ledger", "restatements"], "granularity": task.granularity}
            options |= {"time_zone": task.zone} if task.endpoint == "historical" else {}
        if task.has_groupings:
            options["groupings"] = {"tweets": ["tweet.id", "engagement.type"]}
        if task.has_any_age:
            options["max_delay"] = "unlimited"
        if task.endpoint == "historical":
            options["freshness"] = Freshness(reuse_for=timedelta(hours=task.reuse_hours))
        if task.hours is not None:
            options |= {"start": f"{task.hours}h", "end": "now"}
        dataset_format = self.dataset_format
        if dataset_format == "mixed":
            dataset_format = ["parquet", "csv", "jsonl"][int(self.now.timestamp() * 1000) % 3]
        operator = OPERATORS[task.endpoint](
            task_id=task.name,
            tweets=str(listed),
            metrics=list(task.metrics),
            dataset_path=str(self.folder),
            dataset_format=dataset_format,
            limits=Limits(concurrent_requests=1),
            **options,
        )
        start, end = dag_run.interval or (None, None)
        return self.execute(
            operator,
            ti=self.task_instance(
                task_id=task.name,
                dag_id=task.dag,
                run_id=dag_run.run_id,
                map_index=run.map_index,
                start_date=self.now,
            ),
            dag_run=SimpleNamespace(
                run_id=dag_run.run_id,
                run_after=dag_run.run_after,
                run_type=dag_run.kind,
                partition_key=dag_run.partition_key,
                start_date=run.start,
            ),
            logical_date=dag_run.logical_date,
            data_interval_start=start,
            data_interval_end=end,
        )

    def note_kill(
        self, run: TaskRun, requests: list[Request], missing: list[Request], before: dict[str, bytes]
    ) -> None:
        """Note which responses were stored before a kill, and what may have been published."""
        run.was_killed = True
        assert not Counter(self.sent()) - Counter(missing), "no execution repeats a request that has a response"
        new = [
            tweets_of_response(content)
            for path, content in files_of(self.folder).items()
            if path.startswith("_responses") and path not in before
        ]
        for request in missing:
            if frozenset(request[2]) in new:
                self.stored.setdefault(self.key_of(run, request), []).append(self.read(run, request))
        reads = {request: read for request in requests if (read := self.stored_read(run, request))}
        is_complete = len(reads) == len(requests)
        self.killed[run.identity] = self.effect_of(run, reads, is_repeated=False) if is_complete else None

    def note_success(self, run: TaskRun, reads: dict[Request, Read], manifest: dict[str, Any], sent: int) -> None:
        effect = self.effect_of(run, reads, is_repeated=True)
        is_exact = not self.killed and not run.was_killed
        run.has_known_restatements &= is_exact
        self.killed.pop(run.identity, None)
        run.digest = Path(manifest["outputs"]["manifest"]).name.split(".")[-2]
        for name, rows in effect.rows.items():
            if is_exact and name.startswith("tweet_metrics"):
                run.restatements |= restated(self.tables[name], rows, run.task.granularity)
        effect.apply(self.tables)
        run.statuses, run.coverage = self.statuses_of(run, reads), self.coverage_of(run, reads)
        run.groupings = self.groupings_of(run, reads)
        self.add_to_ledger(run, reads)
        run.manifest = manifest
        task_names = [other.manifest["task"] for other in self.runs.values() if other.manifest]
        places = {(other.task.dag, other.task.name, other.map_index) for other in self.runs.values() if other.manifest}
        assert len(set(task_names)) == len(places), "tasks have different names"
        outcomes = Counter(status["outcome"] for status in run.statuses.values())
        assert manifest["run_id"] == run.dag_run.run_id
        assert manifest["requested"] == len(run.tweets)
        assert manifest["complete"] == outcomes["ok"]
        assert manifest["outcomes"] == outcomes
        counted = {name: manifest["requests"][name] for name in ("planned", "sent", "reused", "failed")}
        assert counted == {"planned": len(reads), "sent": sent, "reused": len(reads) - sent, "failed": 0}
        table = run.task.table.partition("/")[0]
        assert manifest["rows"][table] == sum(map(len, effect.rows.values()))
        if run.task.endpoint == "totals":
            assert datetime.fromisoformat(manifest["snapshot_at"]) == run.snapshot
        file = json.loads(Path(manifest["outputs"]["manifest"]).read_text(encoding="utf-8"))
        outputs = {name: path for name, path in manifest["outputs"].items() if name != "manifest"}
        assert file == json.loads(json.dumps(manifest | {"outputs": outputs})), "the file of the manifest is the XCom"

    # Comparisons

    def check(self, runs: list[TaskRun], before: dict[str, bytes]) -> None:
        after = files_of(self.folder)
        for path in before.keys() | after.keys():
            if path.startswith(OF_ONE_RUN) and before.get(path) != after.get(path):
                run = next((run for run in runs if run.digest and run.digest in path), runs[0])
                owner = self.owners_of_files.setdefault(path, run.identity)
                assert owner == run.identity, f"{path} belongs to {owner}"
        self.check_shared_tables()
        self.check_tables_of_runs()

    def check_shared_tables(self) -> None:
        maybe = [effect for effect in self.killed.values() if effect is not None]
        alternatives = []
        for choice in product([False, True], repeat=len(maybe)):
            tables = {name: dict(rows) for name, rows in self.tables.items()}
            for effect, is_published in zip(maybe, choice, strict=True):
                if is_published:
                    effect.apply(tables)
            alternatives.append({name: self.values(name, rows) for name, rows in tables.items()})
        for name in MERGED:
            found = self.found(name)
            for key in found.keys() | {key for tables in alternatives for key in tables[name]}:
                expected = [tables[name].get(key) for tables in alternatives]
                assert found.get(key) in expected, (name, key, found.get(key), expected)

    def values(self, name: str, rows: Rows) -> dict[Key, dict[str, Any]]:
        found = {key: row.values() for key, row in rows.items()}
        if name == "tweet_totals" and self.are_digests_known:
            for key, row in rows.items():
                found[key]["runs"] = {self.runs[run].digest for run in row.runs}
        return found

    @property
    def are_digests_known(self) -> bool:
        return all(self.runs[identity].digest for identity in self.killed)

    def found(self, name: str) -> dict[Key, dict[str, Any]]:
        """Return the rows of a table by key. A key that occurs twice is an error."""
        is_total = name == "tweet_totals"
        key = KEYS[name.partition("/")[0]]
        columns = ["fetched_at", "owner", *METRICS]
        columns += [] if is_total else ["endpoint", "is_final"]
        found: dict[Key, dict[str, Any]] = {}
        for row in rows_of(self.folder / name):
            row_key = tuple(row[column] for column in key)
            assert row_key not in found, f"{name} has {row_key} twice"
            found[row_key] = {column: row.get(column) for column in columns}
            found[row_key]["older_counts"] = older_counts(row["older_counts"])
            if is_total and self.are_digests_known:
                found[row_key]["runs"] = set(row["runs"].split(","))
        return found

    def check_tables_of_runs(self) -> None:
        known = {(run.dag_run.run_id, run.manifest["task"]): run for run in self.runs.values() if run.manifest}
        certain = {place: run for place, run in known.items() if run.identity not in self.killed}
        statuses = self.by_run("tweet_status", ("tweet_id",), ("outcome", "owner", "checked_at"))
        coverage = self.by_run("coverage", (*COVERAGE_KEY,), ("outcome", "fetched_at", "metrics"))
        ledger = self.by_run("owner_ledger", ("owner", "requested_at"), ("tweets",))
        for place, run in certain.items():
            assert statuses.get(place, {}) == run.statuses
            found = coverage.get(place, {})
            assert {
                key: {**row, "metrics": set(row["metrics"].split(","))} for key, row in found.items()
            } == run.coverage
            stored = [json.loads(path.read_bytes()) for path in (self.folder / "groupings").rglob(f"*{run.digest}*")]
            expected = [{"tweets": run.groupings}] if run.task.has_groupings else []
            is_empty = not run.groupings and stored == []
            assert stored == expected or is_empty, "the file of groupings is of the last execution"
            owners = {key: row["tweets"] for key, row in ledger.get(place, {}).items()}
            if run.was_killed:
                assert owners.items() >= run.ledger.items()
            else:
                assert owners == run.ledger
        for found_rows in (statuses, coverage, ledger):
            strangers = found_rows.keys() - known.keys()
            assert {run_id for run_id, _ in strangers} <= {self.runs[one].dag_run.run_id for one in self.killed}
        self.check_restatements(certain.values())

    def by_run(
        self, table: str, key: tuple[str, ...], columns: tuple[str, ...]
    ) -> dict[tuple[str, str], dict[Key, dict[str, Any]]]:
        found: dict[tuple[str, str], dict[Key, dict[str, Any]]] = {}
        for row in rows_of(self.folder / table):
            rows = found.setdefault((row["run_id"], row["task"]), {})
            row_key = tuple(row[column] for column in key)
            is_half_done = row["run_id"] in {identity[-1] for identity in self.killed}
            assert row_key not in rows or is_half_done, (
                f"{table} has {row_key} twice for {row['task']}, {row['run_id']}"
            )
            rows[row_key] = {column: row[column] for column in columns}
        return found

    def check_restatements(self, runs: Any) -> None:
        for run in runs:
            path = (run.manifest["outputs"]).get("restatements")
            if path is None or not run.has_known_restatements:
                continue
            found = {
                tuple(row[column] for column in RESTATEMENT_KEY): (
                    row["old_value"],
                    row["new_value"],
                    row["old_fetched_at"] if row["old_value"] is not None else None,
                )
                for row in rows_of(Path(path))
            }
            assert found == run.restatements, (run.identity, found, run.restatements)

    # Loads

    def load(self, folder: Path) -> None:
        """Load a dataset into the database, and compare the database with all that was loaded."""
        self.clock.move_to(self.now, tick=True)
        database = Path(self.place.name) / "warehouse.duckdb"
        self.execute(
            EngagementToWarehouseOperator(
                task_id="load", dataset_path=str(folder), database=str(database), schema="mart"
            )
        )
        self.move(timedelta())
        self.loaded.add(folder)
        with duckdb.connect(str(database), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            self.loaded.check(connection)

    # Time, and the requests that the API received

    def move(self, by: timedelta) -> None:
        self.now = min(self.now + by, LAST) if by > A_MILLISECOND else self.now + by
        self.clock.move_to(self.now, tick=False)
        self.simulator.clock.set(self.now)
        self.simulator.rate_clock.set(self.now)

    def sent(self) -> list[Request]:
        """Return the requests that the API answered."""
        found = []
        for entry in self.simulator.journal.entries:
            endpoint = entry.path.rpartition("/")[2]
            if endpoint not in OPERATORS:
                continue
            assert entry.status in (200, 400)
            body = entry.body
            window = None
            if "start" in body:
                window = tuple(datetime.fromisoformat(body[edge]).astimezone(UTC) for edge in ("start", "end"))
            metrics = tuple(sorted(body["engagement_types"], key=METRICS.index))
            owner = entry.user_id if entry.auth == "user" else None
            found.append((endpoint, owner, tuple(sorted(body["tweet_ids"], key=int)), metrics, window))
        return found

    def time_of(self, time: str) -> datetime:
        last = list(self.dag_runs.values())[-1].time if self.dag_runs else self.now
        return {
            "now": self.now,
            "same": last,
            "same millisecond": last + timedelta(microseconds=300),
            "next millisecond": last + A_MILLISECOND,
            "an hour ago": self.now - HOUR,
            "to come": self.now + timedelta(days=730),
        }[time]

    def new_dag_run(self, run_id: str, kind: str, time: datetime, hours: int) -> DagRun:
        end = hour_of(min(time, self.now))
        if kind == "scheduled":
            self.last_interval = (end - hours * HOUR, end)
            return DagRun(run_id, "scheduled", end, end - hours * HOUR, self.last_interval)
        if kind == "cron":
            return DagRun(run_id, "scheduled", time, time, (time, time))
        if kind == "manual":
            return DagRun(run_id, "manual", time, time, self.last_interval)
        if kind == "api":
            return DagRun(run_id, "manual", time)
        if kind == "asset":
            return DagRun(run_id, "asset_triggered", time)
        if kind == "partition":
            return DagRun(run_id, "scheduled", time, partition_key=f"{end - hours * HOUR:%Y-%m-%dT%H}")
        end = day_of(NOW) - (1 + hours) * timedelta(days=1) + 5 * HOUR
        interval = (end - hours * HOUR, end)
        return DagRun(run_id, "backfill" if kind == "backfill" else "scheduled", end, interval[0], interval)


COVERAGE_KEY = ("tweet_id", "window_start", "window_end", "granularity", "time_zone")
RESTATEMENT_KEY = KEYS["restatements"]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """The API of two users with a few Tweets. Its clocks stand still."""
    world = World(handles=OWNERS, tweets=TWEETS.values(), counts=Counts())
    with Simulator(world, clock=Clock(NOW), rate_clock=Clock(NOW)) as running:
        yield running


def test_every_history_of_runs_leaves_the_newest_known_count_of_each_key(
    request: pytest.FixtureRequest,
    simulator: Simulator,
    connect: Callable[..., str],
    execute: Callable[..., Any],
    present: time_machine.Traveller,
    task_instance: type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accounts = {
        owner.user_id: {"access_token": owner.access_token, "access_token_secret": owner.access_token_secret}
        for owner in OWNERS
    }
    connect(None, account_tokens=accounts)
    kill_switch = KillSwitch()
    for operation in ("open", "replace", "unlink", "mkdir"):
        monkeypatch.setattr(ObjectStoragePath, operation, kill_switch(getattr(ObjectStoragePath, operation)))
    monkeypatch.setattr(DeltaLog, "commit", kill_switch(DeltaLog.commit))

    class Bound(Histories):
        pass

    Bound.simulator, Bound.clock, Bound.kill_switch = simulator, present, kill_switch
    Bound.execute = staticmethod(execute)
    Bound.task_instance = task_instance
    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=STEPS,
            derandomize=request.config.getoption("--hypothesis-seed") is None,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            # Shrinking a history takes minutes. A seed and fewer steps find a shorter one.
            phases=[Phase.generate],
        ),
    )
