"""Runs that publish to a table at the same time lose no row, duplicate no row, and keep the newest count."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

import fsspec
import pyarrow
import pyarrow.dataset
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.storage.layout import LOCKS_FOLDER, STAGED_FOLDER
from airflow_provider_engagement.storage.layout import TEMPORARY_FOLDER as TEMPORARY_FOLDER
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles
from airflow_provider_engagement.tables import parquet_table
from airflow_provider_engagement.tables.arrow import arrow_schema, columns_to_table
from airflow_provider_engagement.tables.dataset_format import FileFormat
from airflow_provider_engagement.tables.formats import read_table
from airflow_provider_engagement.tables.merging import merge_rows
from airflow_provider_engagement.tables.parquet_table import MergedTable
from airflow_provider_engagement.tables.staging import STAGED_FILE_LIFETIME_SECONDS, split_by_partition
from airflow_provider_engagement.tables.tables import TWEET_METRICS

DAY = datetime(2026, 1, 5, tzinfo=UTC)
FETCHED_AT = datetime(2026, 2, 1, 9, 30, 15, 250_000, UTC)
HOUR = timedelta(hours=1)
NOW = 1_770_000_000.0

INT64 = st.integers(-(2**63), 2**63 - 1)

Counts = dict[tuple[str, datetime], int | None]
"""The impressions of a Tweet and hour."""

every_format = pytest.mark.parametrize("file_format", FileFormat)


def by_date(time: datetime) -> str:
    return f"partition_date={time:%Y-%m-%d}"


def open_table(
    folder: Any, *, file_format: FileFormat = FileFormat.PARQUET, now: float = NOW, **options: Any
) -> MergedTable:
    return MergedTable(
        folder,
        table=TWEET_METRICS,
        path="tweet_metrics/hour",
        partition_of=by_date,
        file_format=file_format,
        clock=lambda: now,
        **options,
    )


def rows_of(counts: Counts, *, fetched_at: datetime = FETCHED_AT) -> pyarrow.Table:
    return columns_to_table(
        TWEET_METRICS,
        {
            "tweet_id": [tweet_id for tweet_id, _ in counts],
            "period_start": [hour for _, hour in counts],
            "period_end": [hour + HOUR for _, hour in counts],
            "granularity": ["hour"] * len(counts),
            "time_zone": ["UTC"] * len(counts),
            "owner": ["7"] * len(counts),
            "endpoint": ["historical"] * len(counts),
            "fetched_at": [fetched_at] * len(counts),
            "is_final": [False] * len(counts),
            "impressions": list(counts.values()),
        },
    )


def stage(table: MergedTable, counts: Counts, *, fetched_at: datetime = FETCHED_AT) -> MergedTable:
    table.stage(rows_of(counts, fetched_at=fetched_at))
    return table


def published(folder: Any, file_format: FileFormat = FileFormat.PARQUET) -> Counts:
    """Return the rows on disk. A key that occurs twice, or in the wrong partition, is an error."""
    found: Counts = {}
    for path in sorted((folder / "tweet_metrics" / "hour").rglob(f"*.{file_format}")):
        with path.open("rb") as file:
            for row in read_table(file, arrow_schema(TWEET_METRICS), file_format).to_pylist():
                key = row["tweet_id"], row["period_start"]
                assert key not in found
                assert path.parent.name == by_date(row["period_start"])
                found[key] = row["impressions"]
    return found


def counts_of(tweet_id: str, count: int | None, *, days: int = 1) -> Counts:
    """Return the same count for two hours of each day."""
    return {(tweet_id, DAY + (24 * day + hour) * HOUR): count for day in range(days) for hour in (6, 23)}


def test_rows_are_in_the_partition_of_their_period(tmp_path: Path) -> None:
    counts = counts_of("1", 5, days=3)
    table = stage(open_table(tmp_path), counts)
    assert table.rows == 6
    assert table.publish() == ["partition_date=2026-01-05", "partition_date=2026-01-06", "partition_date=2026-01-07"]
    assert published(tmp_path) == counts
    files = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "tweet_metrics").rglob("*.*"))
    assert files == [f"tweet_metrics/hour/partition_date=2026-01-0{day}/rows.parquet" for day in (5, 6, 7)]


def test_a_rerun_replaces_its_rows_and_keeps_those_of_other_tweets_and_hours(tmp_path: Path) -> None:
    stage(open_table(tmp_path), counts_of("1", 5, days=2) | counts_of("2", 6, days=2)).publish()
    stage(open_table(tmp_path), counts_of("1", 7), fetched_at=FETCHED_AT + HOUR).publish()
    assert published(tmp_path) == counts_of("1", 5, days=2) | counts_of("2", 6, days=2) | counts_of("1", 7)


def test_a_partition_without_new_rows_is_not_rewritten(tmp_path: Path) -> None:
    stage(open_table(tmp_path), counts_of("1", 5, days=2)).publish()
    other = tmp_path / "tweet_metrics/hour/partition_date=2026-01-06/rows.parquet"
    before = other.stat()
    rerun = stage(open_table(tmp_path), counts_of("1", 7), fetched_at=FETCHED_AT + HOUR)
    assert rerun.publish() == ["partition_date=2026-01-05"]
    assert (other.stat().st_ino, other.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_neither_an_older_count_nor_a_newer_null_replaces_a_count(tmp_path: Path) -> None:
    stage(open_table(tmp_path), counts_of("1", 5)).publish()
    stage(open_table(tmp_path), counts_of("1", None), fetched_at=FETCHED_AT + HOUR).publish()
    assert published(tmp_path) == counts_of("1", 5)
    stage(open_table(tmp_path), counts_of("1", 9), fetched_at=FETCHED_AT - HOUR).publish()
    assert published(tmp_path) == counts_of("1", 5)


@settings(max_examples=15)
@given(
    st.lists(
        st.dictionaries(st.tuples(st.sampled_from("123"), st.integers(0, 30)), st.none() | INT64, min_size=1),
        min_size=1,
        max_size=3,
    ),
    st.randoms(use_true_random=False),
)
def test_the_newest_known_count_is_kept_whatever_the_order_of_runs(
    tmp_path_factory: pytest.TempPathFactory, responses: list[dict[tuple[str, int], int | None]], random: Any
) -> None:
    folder = tmp_path_factory.mktemp("dataset")
    expected: Counts = {}
    runs = []
    for number, response in enumerate(responses):
        counts = {(tweet_id, DAY + hour * HOUR): count for (tweet_id, hour), count in response.items()}
        expected |= {key: count for key, count in counts.items() if count is not None or key not in expected}
        runs.append((counts, FETCHED_AT + number * HOUR))
    random.shuffle(runs)
    for counts, fetched_at in runs:
        stage(open_table(folder), counts, fetched_at=fetched_at).publish()
    assert published(folder) == expected


def test_merged_rows_are_the_newest_of_each_key_in_the_order_of_keys() -> None:
    tables = [
        rows_of({("2", DAY): number, ("1", DAY): -number}, fetched_at=FETCHED_AT + number * HOUR)
        for number in (2, 3, 1)
    ]
    merged = merge_rows(pyarrow.concat_tables(tables), TWEET_METRICS)
    assert [(row["tweet_id"], row["impressions"]) for row in merged.to_pylist()] == [("1", -3), ("2", 3)]


@every_format
def test_a_second_run_merges_its_rows_in_every_format(tmp_path: Path, file_format: FileFormat) -> None:
    first = counts_of("2000000000000000001", 2**63 - 1) | counts_of("2000000000000000002", None)
    stage(open_table(tmp_path, file_format=file_format), first).publish()
    second: Counts = {("2000000000000000001", DAY): -3, ("2000000000000000003", DAY): 0}
    stage(open_table(tmp_path, file_format=file_format), second, fetched_at=FETCHED_AT + HOUR).publish()
    assert published(tmp_path, file_format) == first | second


@every_format
def test_a_second_run_changes_no_other_column(tmp_path: Path, file_format: FileFormat) -> None:
    stage(open_table(tmp_path, file_format=file_format), {("1", DAY): 1}).publish()
    stage(open_table(tmp_path, file_format=file_format), {("2", DAY): 2}).publish()
    (path,) = (tmp_path / "tweet_metrics").rglob(f"*.{file_format}")
    with path.open("rb") as file:
        rows = read_table(file, arrow_schema(TWEET_METRICS), file_format)
    assert rows.equals(rows_of({("1", DAY): 1, ("2", DAY): 2}))


def test_no_other_run_publishes_the_rows_of_a_run_that_fails(tmp_path: Path) -> None:
    failing = stage(open_table(tmp_path), counts_of("1", 5))
    stage(open_table(tmp_path), counts_of("2", 6)).publish()
    assert published(tmp_path) == counts_of("2", 6)
    failing.discard()
    assert unpublished_files(tmp_path) == []
    assert published(tmp_path) == counts_of("2", 6)


def test_a_change_of_format_leaves_one_file_in_each_partition(tmp_path: Path) -> None:
    stage(open_table(tmp_path, file_format=FileFormat.CSV), counts_of("1", 1) | counts_of("2", 1)).publish()
    stage(open_table(tmp_path), counts_of("2", 2), fetched_at=FETCHED_AT + HOUR).publish()
    assert published(tmp_path) == counts_of("1", 1) | counts_of("2", 2)
    assert [path.name for path in (tmp_path / "tweet_metrics").rglob("rows.*")] == ["rows.parquet"]


def unpublished_files(folder: Path) -> list[str]:
    """Return the names of all files that wait for publication, or that a run has not completed."""
    paths = itertools.chain.from_iterable((folder / name).rglob("*.*") for name in (STAGED_FOLDER, TEMPORARY_FOLDER))
    return sorted(path.name for path in paths if path.is_file())


# On an object store, which has no locks.


class Killed(BaseException):
    """What kill -9 is to a process: nothing that follows is done, the clean-up included."""


class Steps:
    """Counts the operations on storage, and calls a function before one of them.

    :param before: the number of the operation.
    :param then: the function.
    """

    def __init__(self, before: int = -1, then: Callable[[], None] = lambda: None) -> None:
        self.before = before
        self.then = then
        self.done: list[str] = []
        self.is_killed = False

    def step(self, name: str) -> None:
        if self.is_killed:
            raise Killed
        if len(self.done) == self.before:
            self.before = -1
            try:
                self.then()
            except Killed:
                self.is_killed = True
                raise
        self.done.append(name)


class SteppedPath:
    """A path on an object store whose operations are counted.

    :param path: where the files are.
    :param steps: counts the operations.
    """

    def __init__(self, path: Path, steps: Steps | None = None) -> None:
        self.path = path
        self.steps = steps or Steps()

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def parent(self) -> Self:
        return type(self)(self.path.parent, self.steps)

    def __truediv__(self, other: str) -> Self:
        return type(self)(self.path / other, self.steps)

    def _count(self, operation: str) -> Path:
        self.steps.step(operation)
        return self.path

    def open(self, mode: str) -> Any:
        return self._count(f"open {mode}").open(mode)

    def exists(self) -> bool:
        return self._count("exists").exists()

    def iterdir(self) -> Iterator[Self]:
        return iter([type(self)(path, self.steps) for path in self._count("iterdir").iterdir()])

    def mkdir(self, *, parents: bool, exist_ok: bool) -> None:
        self._count("mkdir").mkdir(parents=parents, exist_ok=exist_ok)

    def replace(self, target: SteppedPath) -> None:
        self._count("replace").replace(target.path)

    def unlink(self) -> None:
        self._count("unlink").unlink()


EXISTING = counts_of("0", 0) | counts_of("1", 0)
FIRST = counts_of("1", 1) | counts_of("2", 1)
SECOND = counts_of("2", 2) | counts_of("3", 2)


def run(folder: Any, counts: Counts, fetched_at: datetime = FETCHED_AT, **options: Any) -> None:
    """Stage and publish in one run."""
    stage(open_table(folder, **options), counts, fetched_at=fetched_at).publish()


def run_on_object_store(folder: Path, *args: Any, **options: Any) -> None:
    run(SteppedPath(folder), *args, **options)


def write_existing(folder: Path) -> None:
    run_on_object_store(folder, EXISTING, FETCHED_AT - HOUR)


def number_of_steps(folder: Path, **options: Any) -> int:
    steps = Steps()
    run(SteppedPath(folder, steps), FIRST, **options)
    return len(steps.done)


def each_step(
    tmp_path: Path, prepare: Callable[[Path], None], *, every: int = 1, **options: Any
) -> Iterator[tuple[Path, int]]:
    """Yield a prepared folder for each step of a run, or for every second, third and so on."""
    measured = tmp_path / "measured"
    prepare(measured)
    for step in range(0, number_of_steps(measured, **options), every):
        folder = tmp_path / f"step-{step}"
        prepare(folder)
        yield folder, step


@pytest.mark.parametrize(
    ("newer", "prepare"),
    [("first", write_existing), ("second", lambda folder: None)],
    ids=["published rows, first run is newer", "no published rows, second run is newer"],
)
def test_two_runs_that_interleave_at_any_step_lose_nothing(
    tmp_path: Path, newer: str, prepare: Callable[[Path], None]
) -> None:
    existing = EXISTING if prepare is write_existing else {}
    expected = existing | (SECOND | FIRST if newer == "first" else FIRST | SECOND)
    first_at, second_at = (FETCHED_AT + HOUR * (newer == name) for name in ("first", "second"))
    step = -1
    for folder, step in each_step(tmp_path, prepare):
        steps = Steps(step, partial(run_on_object_store, folder, SECOND, second_at))
        run(SteppedPath(folder, steps), FIRST, first_at)
        assert published(folder) == expected, (step, steps.done[step])
    assert step > 10


def test_three_runs_that_interleave_lose_nothing(tmp_path: Path) -> None:
    third = counts_of("4", 3)
    number = number_of_steps(tmp_path / "measured")
    for step, inner_step in itertools.product(range(0, number, 4), range(0, number, 5)):
        folder = tmp_path / f"{step}-{inner_step}"

        def second(folder: Path = folder, inner_step: int = inner_step) -> None:
            interrupted = Steps(inner_step, partial(run_on_object_store, folder, third))
            run(SteppedPath(folder, interrupted), SECOND, FETCHED_AT + HOUR)

        run(SteppedPath(folder, Steps(step, second)), FIRST)
        assert published(folder) == FIRST | SECOND | third, (step, inner_step)


def test_two_runs_that_change_the_format_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    def write_csv(folder: Path) -> None:
        run_on_object_store(folder, EXISTING, FETCHED_AT - HOUR, file_format=FileFormat.CSV)

    for folder, step in each_step(tmp_path, write_csv):
        steps = Steps(step, partial(run_on_object_store, folder, SECOND, FETCHED_AT + HOUR))
        run(SteppedPath(folder, steps), FIRST)
        assert published(folder) == EXISTING | FIRST | SECOND, (step, steps.done[step])
        assert [path.name for path in (folder / "tweet_metrics").rglob("rows.*")] == ["rows.parquet"]


def kill() -> None:
    raise Killed


def rerun(folder: Any, *args: Any, writer: str, **options: Any) -> None:
    """Stage and publish in a later attempt of a task."""
    TemporaryFiles(folder, writer=writer, clock=lambda: NOW).delete_leftovers()
    run(folder, *args, writer=writer, **options)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_killed_at_any_step_damages_nothing_and_its_rerun_completes_it(tmp_path: Path) -> None:
    for folder, step in each_step(tmp_path, write_existing):
        with pytest.raises(Killed):
            run(SteppedPath(folder, Steps(step, kill)), FIRST, writer="a")
        seen = published(folder)
        assert EXISTING.keys() <= seen.keys() <= EXISTING.keys() | FIRST.keys()
        assert all(count in (FIRST.get(key), EXISTING.get(key)) for key, count in seen.items())
        run_on_object_store(folder, SECOND, FETCHED_AT + HOUR)
        assert published(folder).items() >= SECOND.items()
        rerun(SteppedPath(folder), FIRST, writer="a")
        assert published(folder) == EXISTING | FIRST | SECOND, step
        assert list((folder / TEMPORARY_FOLDER).iterdir()) == []


def staged_rows(folder: Path) -> list[str]:
    return [name for name in unpublished_files(folder) if name.endswith(".staged")]


def test_an_object_store_keeps_staged_files_for_their_lifetime(tmp_path: Path) -> None:
    run_on_object_store(tmp_path, counts_of("1", 1))
    assert len(staged_rows(tmp_path)) == 1
    run_on_object_store(tmp_path, counts_of("2", 2), now=NOW + STAGED_FILE_LIFETIME_SECONDS - 1)
    assert len(staged_rows(tmp_path)) == 2
    run_on_object_store(tmp_path, counts_of("3", 3), now=NOW + STAGED_FILE_LIFETIME_SECONDS + 1)
    assert len(staged_rows(tmp_path)) == 2
    assert not any(name.startswith(f"{NOW:.0f}-") for name in unpublished_files(tmp_path))
    assert published(tmp_path) == counts_of("1", 1) | counts_of("2", 2) | counts_of("3", 3)


def test_two_runs_that_delete_the_same_staged_files_lose_nothing(tmp_path: Path) -> None:
    """Mapped tasks publish the same partitions at the same time every day, and all find the files of the day before."""
    later = NOW + 2 * STAGED_FILE_LIFETIME_SECONDS
    for folder, step in each_step(tmp_path, write_existing, now=later):
        steps = Steps(step, partial(run_on_object_store, folder, SECOND, FETCHED_AT + HOUR, now=later))
        run(SteppedPath(folder, steps), FIRST, now=later)
        assert published(folder) == EXISTING | FIRST | SECOND, (step, steps.done[step])


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    caplog.clear()
    return messages


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_log_says_once_that_another_run_was_killed_while_it_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = []
    for folder, step in each_step(tmp_path, write_existing, every=3):
        with pytest.raises(Killed):
            run(SteppedPath(folder, Steps(step, kill)), FIRST)
        names = unpublished_files(folder)
        is_unfinished = any(
            name.endswith(".staged") and name.replace(".staged", ".published") not in names for name in names
        )
        run_on_object_store(folder, SECOND, FETCHED_AT + HOUR)
        messages = warnings_of(caplog)
        assert len(messages) == is_unfinished, (step, messages)
        assert all("partition_date=2026-01-05" in text and 'dataset_format="delta"' in text for text in messages)
        run_on_object_store(folder, SECOND, FETCHED_AT + 2 * HOUR)
        assert warnings_of(caplog) == []
        found.append(is_unfinished)
    assert set(found) == {False, True}


def test_the_log_says_that_another_run_publishes_at_the_same_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = []
    for folder, step in each_step(tmp_path, write_existing, every=3):
        run(SteppedPath(folder, Steps(step, partial(run_on_object_store, folder, SECOND))), FIRST)
        numbers.append(len(warnings_of(caplog)))
    assert set(numbers) == {0, 1}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_log_does_not_warn_of_an_earlier_attempt_of_the_same_task(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder, step in each_step(tmp_path, write_existing, every=3):
        with pytest.raises(Killed):
            run(SteppedPath(folder, Steps(step, kill)), FIRST, writer="a")
        rerun(SteppedPath(folder), FIRST, writer="a")
        assert warnings_of(caplog) == []


def test_runs_publish_to_an_object_store(caplog: pytest.LogCaptureFixture) -> None:
    attach("memory", fs=fsspec.filesystem("memory", skip_instance_cache=True))
    folder = ObjectStoragePath("memory://published")
    run(folder, FIRST)
    run(folder, SECOND, FETCHED_AT + HOUR)
    assert published(folder) == FIRST | SECOND
    assert warnings_of(caplog) == []
    assert not (folder / LOCKS_FOLDER).exists()


# On a local folder, with a lock for each partition.

FORK = multiprocessing.get_context("fork")
SECONDS = 60
"""How long a test waits for another process before it fails."""


def start(function: Callable[..., None], *args: Any, **options: Any) -> BaseProcess:
    process = FORK.Process(target=function, args=args, kwargs=options, daemon=True)
    process.start()
    return process


def wait_for(process: BaseProcess) -> int | None:
    process.join(SECONDS)
    return process.exitcode


def publish_repeatedly(folder: Path, tweet_id: str, times: int) -> None:
    for number in range(times):
        counts = counts_of(tweet_id, number, days=2) | counts_of("shared", number, days=2)
        run(folder, counts, FETCHED_AT + number * HOUR)


def test_a_reader_sees_no_row_disappear_while_processes_publish(tmp_path: Path) -> None:
    processes = [start(publish_repeatedly, tmp_path, str(number), 5) for number in range(4)]
    before: Counts = {}
    while any(process.is_alive() for process in processes):
        seen = published(tmp_path)
        assert seen.keys() >= before.keys()
        assert all((seen[key] or 0) >= (count or 0) for key, count in before.items())
        before = seen
    assert [wait_for(process) for process in processes] == [0] * 4
    assert published(tmp_path) == {
        key: count for tweet_id in (*"0123", "shared") for key, count in counts_of(tweet_id, 4, days=2).items()
    }
    assert unpublished_files(tmp_path) == []


def before_each_operation(then: Callable[[str, Any], None]) -> None:
    """Call a function before each operation of this process on storage, with its name and its arguments."""

    def observe(name: str) -> None:
        original = getattr(Path, name)

        def observed(*args: Any, **options: Any) -> Any:
            then(name, args)
            return original(*args, **options)

        setattr(Path, name, observed)

    for name in ("open", "replace", "unlink", "mkdir", "rmdir", "iterdir", "exists"):
        observe(name)


def run_and_die(folder: Path, step: int, *args: Any, **options: Any) -> None:
    steps = Steps(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    before_each_operation(lambda name, _: steps.step(name))
    run(folder, *args, **options)


def run_and_stop(folder: Path, is_stopped: Any, *args: Any, **options: Any) -> None:
    """Stop before the merged rows are put in place, until the process is killed."""

    def stop(name: str, arguments: Any) -> None:
        if name == "replace" and arguments[1].name == "rows.parquet":
            is_stopped.set()
            signal.pause()

    before_each_operation(stop)
    run(folder, *args, **options)


class SetWhenLogged(logging.Handler):
    """Sets an event when a message is logged.

    :param event: the event.
    """

    def __init__(self, event: Any) -> None:
        super().__init__()
        self.event = event

    def emit(self, record: logging.LogRecord) -> None:
        self.event.set()


def run_and_wait(folder: Path, is_waiting: Any, *args: Any, **options: Any) -> None:
    """Run in this process, and set an event when it waits for a lock."""
    parquet_table.SECONDS_UNTIL_LOG = 0.05
    parquet_table.log.setLevel(logging.INFO)
    parquet_table.log.addHandler(SetWhenLogged(is_waiting))
    run(folder, *args, **options)


def test_a_run_killed_at_any_step_takes_no_row_away_and_leaves_nothing_after_its_rerun(tmp_path: Path) -> None:
    for step in itertools.count():
        folder = tmp_path / str(step)
        run(folder, EXISTING, FETCHED_AT - HOUR)
        exit_code = wait_for(start(run_and_die, folder, step, FIRST, writer="a"))
        assert published(folder).keys() >= EXISTING.keys()
        if exit_code == 0:
            break
        assert exit_code == -signal.SIGKILL
        run(folder, SECOND, FETCHED_AT + HOUR)
        assert published(folder) in (EXISTING | SECOND, EXISTING | FIRST | SECOND)
        assert not list((folder / STAGED_FOLDER).rglob("*.staged"))
        rerun(folder, FIRST, writer="a")
        assert published(folder) == EXISTING | FIRST | SECOND, step
        assert unpublished_files(folder) == []
    assert step > 10


def test_no_run_publishes_between_reading_and_putting_in_place_of_another(tmp_path: Path) -> None:
    run(tmp_path, EXISTING, FETCHED_AT - HOUR)
    is_stopped, is_waiting = FORK.Event(), FORK.Event()
    first = start(run_and_stop, tmp_path, is_stopped, FIRST)
    assert is_stopped.wait(SECONDS)
    second = start(run_and_wait, tmp_path, is_waiting, SECOND, FETCHED_AT + HOUR)
    assert is_waiting.wait(SECONDS)
    assert published(tmp_path) == EXISTING
    first.kill()
    assert wait_for(second) == 0
    assert published(tmp_path) == EXISTING | FIRST | SECOND


def test_runs_of_other_partitions_do_not_wait(tmp_path: Path) -> None:
    is_stopped = FORK.Event()
    stopped = start(run_and_stop, tmp_path, is_stopped, FIRST)
    assert is_stopped.wait(SECONDS)
    later = {("1", DAY + 24 * HOUR): 5}
    assert wait_for(start(run, tmp_path, later)) == 0
    assert published(tmp_path) == later
    stopped.kill()


def test_processes_killed_at_random_times_take_no_rows_of_others_away(tmp_path: Path) -> None:
    times = random.Random(20260105)
    rounds = range(30)
    expected: Counts = {}
    for number in rounds:
        killed = start(run, tmp_path, counts_of(f"{number}-killed", number), writer=f"{number}a")
        killer = threading.Timer(times.uniform(0, 0.06), killed.kill)
        killer.start()
        run(tmp_path, counts_of(str(number), number))
        killer.join(SECONDS)
        wait_for(killed)
        expected |= counts_of(str(number), number)
        assert published(tmp_path).items() >= expected.items(), number
    for number in rounds:
        rerun(tmp_path, counts_of(f"{number}-killed", number), writer=f"{number}a")
        expected |= counts_of(f"{number}-killed", number)
    assert published(tmp_path) == expected
    assert unpublished_files(tmp_path) == []


def test_the_log_says_that_the_rows_of_a_killed_run_are_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    is_stopped = FORK.Event()
    killed = start(run_and_stop, tmp_path, is_stopped, FIRST)
    assert is_stopped.wait(SECONDS)
    killed.kill()
    wait_for(killed)
    run(tmp_path, SECOND, FETCHED_AT + HOUR)
    (record,) = [record for record in caplog.records if "interrupted" in record.getMessage()]
    assert record.levelno == logging.INFO
    assert "partition_date=2026-01-05" in record.getMessage()
    assert published(tmp_path) == FIRST | SECOND
    caplog.clear()
    run(tmp_path, SECOND, FETCHED_AT + 2 * HOUR)
    assert "interrupted" not in caplog.text


def test_published_and_newer_rows_of_a_partition_are_compared_once(tmp_path: Path) -> None:
    compared: list[tuple[Counts, ...]] = []

    def on_change(before: pyarrow.Table, after: pyarrow.Table) -> None:
        compared.append(
            tuple(
                {(row["tweet_id"], row["period_start"]): row["impressions"] for row in rows.to_pylist()}
                for rows in (before, after)
            )
        )

    stage(open_table(tmp_path, on_change=on_change), counts_of("1", 1)).publish()
    assert compared == []
    stage(open_table(tmp_path, on_change=on_change), counts_of("1", 2), fetched_at=FETCHED_AT + HOUR).publish()
    assert compared == [(counts_of("1", 1), counts_of("1", 2))]


def test_a_complete_partition_receives_no_more_rows(tmp_path: Path) -> None:
    table = stage(open_table(tmp_path), counts_of("1", 1))
    table.close_before(DAY + 24 * HOUR)
    with pytest.raises(RuntimeError, match="2026-01-05"):
        table.stage(rows_of({("2", DAY): 1}))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("123"), st.integers(0, 100)), unique=True, max_size=30))
def test_rows_are_split_by_partition_in_order_of_time(keys: Iterable[tuple[str, int]]) -> None:
    counts: Counts = {(tweet_id, DAY + hour * HOUR): hour for tweet_id, hour in keys}
    partitions = list(split_by_partition(rows_of(counts), by_date))
    assert [name for name, _ in partitions] == sorted({by_date(hour) for _, hour in counts})
    for name, rows in partitions:
        assert {by_date(time) for time in rows["period_start"].to_pylist()} == {name}
    found = [row for _, rows in partitions for row in rows.to_pylist()]
    assert {(row["tweet_id"], row["period_start"]): row["impressions"] for row in found} == counts
    assert len(found) == len(counts)


def test_readers_see_a_partitioned_dataset_without_staged_rows(tmp_path: Path) -> None:
    counts = counts_of("1", 1, days=2)
    unpublished = stage(open_table(tmp_path), counts_of("9", 9))
    stage(open_table(tmp_path), counts).publish()
    dataset = pyarrow.dataset.dataset(tmp_path / "tweet_metrics" / "hour", partitioning="hive")
    assert [field.name for field in dataset.schema] == [*arrow_schema(TWEET_METRICS).names, "partition_date"]
    rows = dataset.to_table(filter=pyarrow.dataset.field("partition_date") == "2026-01-06").to_pylist()
    assert {(row["tweet_id"], row["period_start"]) for row in rows} == set(list(counts)[2:])
    unpublished.discard()
