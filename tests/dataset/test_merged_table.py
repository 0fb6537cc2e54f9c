"""Tables in partitions: whoever publishes when, and whoever dies, no row is lost, none doubled, and the newest wins."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pyarrow
import pyarrow.dataset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.dataset.formats import Format, read_table
from airflow_provider_engagement.dataset.merged_table import (
    STAGED,
    STAGED_FOR_SECONDS,
    PartitionedTable,
    by_partition,
    newest,
)
from airflow_provider_engagement.dataset.schema import TWEET_METRICS, arrow_schema, columns_to_table

DAY = datetime(2026, 1, 5, tzinfo=UTC)
READ = datetime(2026, 2, 1, 9, 30, 15, 250_000, UTC)
HOUR = timedelta(hours=1)
NOW = 1_770_000_000.0

INT64 = st.integers(-(2**63), 2**63 - 1)

Cells = dict[tuple[str, datetime], int | None]


def by_date(moment: datetime) -> str:
    return f"period_date={moment:%Y-%m-%d}"


def table_at(
    folder: Any, *, file_format: Format = Format.PARQUET, now: float = NOW, **options: Any
) -> PartitionedTable:
    return PartitionedTable(
        folder,
        table=TWEET_METRICS,
        path="tweet_metrics/hour",
        partition=by_date,
        file_format=file_format,
        clock=lambda: now,
        **options,
    )


def rows_of(cells: Cells, *, read: datetime = READ) -> pyarrow.Table:
    keys = list(cells)
    return columns_to_table(
        TWEET_METRICS,
        {
            "tweet_id": [tweet_id for tweet_id, _ in keys],
            "period_start": [moment for _, moment in keys],
            "period_end": [moment + HOUR for _, moment in keys],
            "granularity": ["hour"] * len(keys),
            "time_zone": ["UTC"] * len(keys),
            "owner": ["7"] * len(keys),
            "endpoint": ["historical"] * len(keys),
            "fetched_at": [read] * len(keys),
            "is_final": [False] * len(keys),
            "impressions": list(cells.values()),
        },
    )


def staged(table: PartitionedTable, cells: Cells, *, read: datetime = READ) -> PartitionedTable:
    for piece in by_partition(rows_of(cells, read=read), by_date):
        table.stage(piece)
    return table


def published(folder: Path, file_format: Format = Format.PARQUET) -> Cells:
    """Every row of the table as it is on disk; a key that is there twice is an error of its own."""
    found: Cells = {}
    for path in sorted((folder / "tweet_metrics" / "hour").rglob(f"*.{file_format}")):
        if path.name.startswith("_"):
            continue
        with path.open("rb") as file:
            for row in read_table(file, arrow_schema(TWEET_METRICS), file_format).to_pylist():
                key = row["tweet_id"], row["period_start"]
                assert key not in found
                assert path.parent.name == by_date(row["period_start"])
                found[key] = row["impressions"]
    return found


def day_of(tweet_id: str, value: int | None, *, days: int = 1) -> Cells:
    """A morning and an evening hour of each day."""
    return {(tweet_id, DAY + (24 * day + hour) * HOUR): value for day in range(days) for hour in (6, 23)}


def test_rows_land_in_the_partitions_of_their_time(tmp_path: Path) -> None:
    cells = day_of("1", 5, days=3)
    assert staged(table_at(tmp_path), cells).publish() == [
        "period_date=2026-01-05",
        "period_date=2026-01-06",
        "period_date=2026-01-07",
    ]
    assert published(tmp_path) == cells
    files = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "tweet_metrics").rglob("*.*"))
    assert files == [f"tweet_metrics/hour/period_date=2026-01-0{day}/rows.parquet" for day in (5, 6, 7)]


def test_a_rerun_replaces_its_rows_and_leaves_those_of_other_tweets_and_hours(tmp_path: Path) -> None:
    staged(table_at(tmp_path), day_of("1", 5, days=2) | day_of("2", 6, days=2)).publish()
    staged(table_at(tmp_path), day_of("1", 7), read=READ + HOUR).publish()
    assert published(tmp_path) == day_of("1", 5, days=2) | day_of("2", 6, days=2) | day_of("1", 7)


def test_a_partition_without_new_rows_is_not_touched(tmp_path: Path) -> None:
    staged(table_at(tmp_path), day_of("1", 5, days=2)).publish()
    untouched = tmp_path / "tweet_metrics/hour/period_date=2026-01-06/rows.parquet"
    before = untouched.stat()
    assert staged(table_at(tmp_path), day_of("1", 7), read=READ + HOUR).publish() == ["period_date=2026-01-05"]
    assert (untouched.stat().st_ino, untouched.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_older_number_replaces_nothing_and_a_newer_null_takes_nothing_away(tmp_path: Path) -> None:
    """A reading that did not ask for a metric, or was not given it any more, knows nothing better."""
    staged(table_at(tmp_path), day_of("1", 5)).publish()
    staged(table_at(tmp_path), day_of("1", None), read=READ + HOUR).publish()
    assert published(tmp_path) == day_of("1", 5)
    staged(table_at(tmp_path), day_of("1", 9), read=READ - HOUR).publish()
    assert published(tmp_path) == day_of("1", 5)


@settings(max_examples=30)
@given(
    st.lists(
        st.dictionaries(st.tuples(st.sampled_from("123"), st.integers(0, 30)), st.none() | INT64, min_size=1),
        min_size=1,
        max_size=4,
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_the_order_the_newest_known_count_of_each_row_wins(
    tmp_path_factory: pytest.TempPathFactory, readings: list[dict[tuple[str, int], int | None]], chance: Any
) -> None:
    folder = tmp_path_factory.mktemp("dataset")
    expected: Cells = {}
    runs = []
    for number, reading in enumerate(readings):
        cells = {(tweet_id, DAY + hour * HOUR): value for (tweet_id, hour), value in reading.items()}
        expected |= {key: value for key, value in cells.items() if value is not None or key not in expected}
        runs.append((cells, READ + number * HOUR))
    chance.shuffle(runs)
    for cells, read in runs:
        staged(table_at(folder), cells, read=read).publish()
    assert published(folder) == expected


def test_of_the_rows_of_a_key_the_newest_is_returned_in_the_order_of_keys() -> None:
    tables = [rows_of({("2", DAY): number, ("1", DAY): -number}, read=READ + number * HOUR) for number in (2, 3, 1)]
    found = newest(pyarrow.concat_tables(tables), TWEET_METRICS)
    assert [(row["tweet_id"], row["impressions"]) for row in found.to_pylist()] == [("1", -3), ("2", 3)]


@pytest.mark.parametrize("file_format", Format)
def test_every_format_takes_a_second_run(tmp_path: Path, file_format: Format) -> None:
    first = day_of("2000000000000000001", 2**63 - 1) | day_of("2000000000000000002", None)
    staged(table_at(tmp_path, file_format=file_format), first).publish()
    second = {("2000000000000000001", DAY): -3, ("2000000000000000003", DAY): 0}
    staged(table_at(tmp_path, file_format=file_format), second, read=READ + HOUR).publish()
    assert published(tmp_path, file_format) == first | second


@pytest.mark.parametrize("file_format", Format)
def test_a_second_run_changes_no_other_column(tmp_path: Path, file_format: Format) -> None:
    staged(table_at(tmp_path, file_format=file_format), {("1", DAY): 1}).publish()
    staged(table_at(tmp_path, file_format=file_format), {("2", DAY): 2}).publish()
    (path,) = (tmp_path / "tweet_metrics").rglob(f"*.{file_format}")
    with path.open("rb") as file:
        rows = read_table(file, arrow_schema(TWEET_METRICS), file_format)
    assert rows.equals(rows_of({("1", DAY): 1, ("2", DAY): 2}))


def test_nothing_of_a_run_that_fails_is_seen_by_others(tmp_path: Path) -> None:
    failing = staged(table_at(tmp_path), day_of("1", 5))
    staged(table_at(tmp_path), day_of("2", 6)).publish()
    assert published(tmp_path) == day_of("2", 6)
    failing.discard()
    assert [path.name for path in (tmp_path / STAGED).rglob("*.parquet") if path.name.startswith("_")] == []
    assert published(tmp_path) == day_of("2", 6)


def test_a_table_is_never_published_in_two_formats(tmp_path: Path) -> None:
    staged(table_at(tmp_path, file_format=Format.CSV), day_of("1", 1) | day_of("2", 1)).publish()
    staged(table_at(tmp_path, file_format=Format.PARQUET), day_of("2", 2), read=READ + HOUR).publish()
    assert published(tmp_path) == day_of("1", 1) | day_of("2", 2)
    assert [path.name for path in (tmp_path / "tweet_metrics").rglob("rows.*")] == ["rows.parquet"]


class Killed(BaseException):
    """What kill -9 is to the process that it hits: nothing more is done, no tidying up either."""


class Steps:
    """Counts the operations on storage, and does something before a chosen one."""

    def __init__(self, before: int = -1, then: Callable[[], None] = lambda: None) -> None:
        self.before = before
        self.then = then
        self.done: list[str] = []
        self.dead = False

    def step(self, name: str) -> None:
        if self.dead:
            raise Killed
        if len(self.done) == self.before:
            self.before = -1
            try:
                self.then()
            except Killed:
                self.dead = True
                raise
        self.done.append(name)


class SteppedPath:
    """A path that announces every operation before it is done."""

    def __init__(self, path: Path, steps: Steps) -> None:
        self.path = path
        self.steps = steps

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def parent(self) -> Self:
        return type(self)(self.path.parent, self.steps)

    def __truediv__(self, other: str) -> Self:
        return type(self)(self.path / other, self.steps)

    def _announce(self, operation: str) -> Path:
        self.steps.step(operation)
        return self.path

    def open(self, mode: str) -> Any:
        return self._announce(f"open {mode}").open(mode)

    def exists(self) -> bool:
        return self._announce("exists").exists()

    def iterdir(self) -> Iterator[Self]:
        return iter([type(self)(path, self.steps) for path in self._announce("iterdir").iterdir()])

    def mkdir(self, *, parents: bool, exist_ok: bool) -> None:
        self._announce("mkdir").mkdir(parents=parents, exist_ok=exist_ok)

    def replace(self, target: SteppedPath) -> None:
        self._announce("replace").replace(target.path)

    def unlink(self) -> None:
        self._announce("unlink").unlink()


FIRST = day_of("1", 1) | day_of("2", 1)
SECOND = day_of("2", 2) | day_of("3", 2)


def run(folder: Any, cells: Cells, read: datetime, *, now: float = NOW) -> None:
    staged(table_at(folder, now=now), cells, read=read).publish()


def number_of_steps(folder: Path, **options: Any) -> int:
    steps = Steps()
    run(SteppedPath(folder, steps), FIRST, READ, **options)
    return len(steps.done)


def before_each_step(tmp_path: Path, prepare: Callable[[Path], None]) -> Iterator[tuple[Path, int]]:
    """A folder for each step of a run, in which what came before has been done."""
    measured = tmp_path / "measured"
    prepare(measured)
    for step in range(number_of_steps(measured)):
        folder = tmp_path / f"step-{step}"
        prepare(folder)
        yield folder, step


@pytest.mark.parametrize("newer", ["first", "second"])
@pytest.mark.parametrize("there_before", [False, True])
def test_two_runs_interleaved_at_any_step_lose_nothing(tmp_path: Path, newer: str, there_before: bool) -> None:
    older = day_of("0", 0) | day_of("1", 0) if there_before else {}
    readings = {"first": READ + HOUR, "second": READ} if newer == "first" else {"first": READ, "second": READ + HOUR}
    expected = older | SECOND | FIRST if newer == "first" else older | FIRST | SECOND

    def prepare(folder: Path) -> None:
        if older:
            run(folder, older, READ - HOUR)

    steps = 0
    for folder, step in before_each_step(tmp_path, prepare):
        steps = Steps(step, lambda folder=folder: run(folder, SECOND, readings["second"]))  # type: ignore[misc]
        run(SteppedPath(folder, steps), FIRST, readings["first"])
        assert published(folder) == expected, (step, steps.done[step])
    assert steps


def test_two_runs_of_which_each_stops_for_the_other_lose_nothing(tmp_path: Path) -> None:
    """The second run is itself interrupted, by a third, at each step of it in turn."""
    third = day_of("4", 3)
    inner = number_of_steps(tmp_path / "measured")
    outer = inner
    for number, (step, inner_step) in enumerate(itertools.product(range(0, outer, 3), range(0, inner, 4))):
        folder = tmp_path / str(number)

        def second(folder: Path = folder, inner_step: int = inner_step) -> None:
            interrupted = Steps(inner_step, lambda: run(folder, third, READ))
            run(SteppedPath(folder, interrupted), SECOND, READ + HOUR)

        run(SteppedPath(folder, Steps(step, second)), FIRST, READ)
        assert published(folder) == FIRST | SECOND | third, (step, inner_step)


def test_two_runs_that_change_the_format_at_the_same_time_do_not_stumble(tmp_path: Path) -> None:
    older = day_of("0", 0) | day_of("1", 0)

    def prepare(folder: Path) -> None:
        staged(table_at(folder, file_format=Format.CSV), older, read=READ - HOUR).publish()

    for folder, step in before_each_step(tmp_path, prepare):
        steps = Steps(step, lambda folder=folder: run(folder, SECOND, READ + HOUR))  # type: ignore[misc]
        run(SteppedPath(folder, steps), FIRST, READ)
        assert published(folder) == older | FIRST | SECOND, (step, steps.done[step])
        assert [path.name for path in (folder / "tweet_metrics").rglob("rows.*")] == ["rows.parquet"]


def killed() -> None:
    raise Killed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_killed_at_any_step_harms_nothing_and_its_rerun_completes_it(tmp_path: Path) -> None:
    older = day_of("0", 0) | day_of("1", 0)

    def prepare(folder: Path) -> None:
        run(folder, older, READ - HOUR)

    for folder, step in before_each_step(tmp_path, prepare):
        with pytest.raises(Killed):
            run(SteppedPath(folder, Steps(step, killed)), FIRST, READ)
        seen = published(folder)
        assert older.keys() <= seen.keys() <= older.keys() | FIRST.keys()
        assert all(value == FIRST.get(key, older.get(key)) or value == older.get(key) for key, value in seen.items())
        run(folder, SECOND, READ + HOUR)
        assert published(folder).items() >= SECOND.items()
        run(folder, FIRST, READ)
        assert published(folder) == older | FIRST | SECOND, step


def publish_in_a_process(folder: Path, tweet_id: str, times: int, read: datetime) -> None:
    for number in range(times):
        run(folder, day_of(tweet_id, number, days=2) | day_of("shared", number, days=2), read + number * HOUR)


def test_processes_that_publish_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=publish_in_a_process, args=(tmp_path, str(number), 5, READ)) for number in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert published(tmp_path) == {
        key: value for tweet_id in ("0", "1", "2", "shared") for key, value in day_of(tweet_id, 4, days=2).items()
    }


def staged_files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / STAGED).rglob("*.parquet"))


def test_staged_files_are_taken_away_when_no_run_can_need_them_any_more(tmp_path: Path) -> None:
    run(tmp_path, day_of("1", 1), READ)
    assert len(staged_files(tmp_path)) == 1
    run(tmp_path, day_of("2", 2), READ, now=NOW + STAGED_FOR_SECONDS - 1)
    assert len(staged_files(tmp_path)) == 2
    run(tmp_path, day_of("3", 3), READ, now=NOW + STAGED_FOR_SECONDS + 1)
    assert len(staged_files(tmp_path)) == 2
    assert not any(name.startswith(f"{NOW:.0f}-") for name in staged_files(tmp_path))
    assert published(tmp_path) == day_of("1", 1) | day_of("2", 2) | day_of("3", 3)


def test_two_runs_that_take_old_staged_files_away_at_the_same_time_do_not_stumble(tmp_path: Path) -> None:
    """Mapped tasks publish the same partitions at about the same time every day, and all find yesterday's files."""
    older = day_of("0", 0)
    later = NOW + 2 * STAGED_FOR_SECONDS

    def prepare(folder: Path) -> None:
        run(folder, older, READ - HOUR)

    measured = tmp_path / "measured"
    prepare(measured)
    for step in range(number_of_steps(measured, now=later)):
        folder = tmp_path / str(step)
        prepare(folder)
        steps = Steps(step, lambda folder=folder: run(folder, SECOND, READ + HOUR, now=later))  # type: ignore[misc]
        run(SteppedPath(folder, steps), FIRST, READ, now=later)
        assert published(folder) == older | FIRST | SECOND, (step, steps.done[step])


def test_rows_that_differ_from_those_before_are_handed_on_once_and_nothing_on_the_first_run(tmp_path: Path) -> None:
    seen: list[tuple[Cells, Cells]] = []

    def changed(before: pyarrow.Table, now: pyarrow.Table) -> None:
        seen.append(
            tuple(  # type: ignore[arg-type]
                {(row["tweet_id"], row["period_start"]): row["impressions"] for row in rows.to_pylist()}
                for rows in (before, now)
            )
        )

    staged(table_at(tmp_path, changed=changed), day_of("1", 1)).publish()
    assert seen == []
    staged(table_at(tmp_path, changed=changed), day_of("1", 2), read=READ + HOUR).publish()
    assert seen == [(day_of("1", 1), day_of("1", 2))]


def test_a_partition_that_was_finished_takes_no_more_rows(tmp_path: Path) -> None:
    table = staged(table_at(tmp_path), day_of("1", 1))
    table.close_before(DAY + 24 * HOUR)
    with pytest.raises(RuntimeError, match="2026-01-05"):
        table.stage(rows_of({("2", DAY): 1}))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("123"), st.integers(0, 100)), unique=True))
def test_rows_are_parted_by_partition_and_none_is_lost(keys: Iterable[tuple[str, int]]) -> None:
    cells: Cells = {(tweet_id, DAY + hour * HOUR): hour for tweet_id, hour in keys}
    pieces = list(by_partition(rows_of(cells), by_date))
    names = [{by_date(moment) for moment in piece["period_start"].to_pylist()} for piece in pieces]
    assert all(len(name) == 1 for name in names)
    assert [name for one in names for name in one] == sorted({by_date(moment) for _, moment in cells})
    found = [row for piece in pieces for row in piece.to_pylist()]
    assert {(row["tweet_id"], row["period_start"]): row["impressions"] for row in found} == cells
    assert len(found) == len(cells)


def test_the_table_reads_as_a_partitioned_dataset_that_hides_what_is_staged(tmp_path: Path) -> None:
    cells = day_of("1", 1, days=2)
    unpublished = staged(table_at(tmp_path), day_of("9", 9))
    staged(table_at(tmp_path), cells).publish()
    dataset = pyarrow.dataset.dataset(tmp_path / "tweet_metrics" / "hour", partitioning="hive")
    assert [field.name for field in dataset.schema] == [*arrow_schema(TWEET_METRICS).names, "period_date"]
    rows = dataset.to_table(filter=pyarrow.dataset.field("period_date") == "2026-01-06").to_pylist()
    assert {(row["tweet_id"], row["period_start"]) for row in rows} == set(list(cells)[2:])
    unpublished.discard()
