"""One machine: a simulator, a dataset, pulls that publish to the same partitions, and a reader that polls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pyarrow
import pyarrow.parquet
from cluster.simulator import SimulatedApi
from cluster.truth import HOURLY, Truth
from deltalake import DeltaTable, QueryBuilder
from oracle import Counts

from chaos.pulls import FORK, Ended, Moment, Pull, RunningPull

TABLE = "tweet_metrics/hour"

KEY = ("tweet_id", "period_start")

SECONDS_BETWEEN_READS = 0.1
SECONDS_UNTIL_STOPPED = 30.0


@dataclass
class Machine:
    """A dataset on a machine, and the pulls that write to it.

    :param api: the running simulator.
    :param folder: the folder of the dataset.
    :param dataset_format: the format of the dataset.
    :param days: how many days can be pulled. The last one ends before the last 28 hours.
    """

    api: SimulatedApi
    folder: Path
    dataset_format: str
    days: int
    _truth: dict[tuple[str, datetime], Counts] = field(init=False)

    def __post_init__(self) -> None:
        """Compute the truth of all days."""
        truth = Truth(world=self.api.world, now=self.api.now, first_day=self.day(0), days=self.days)
        self._truth = {
            (tweet_id, hour): counts
            for (tweet_id, hour), counts in truth.hours().items()
            if isinstance(tweet_id, str) and isinstance(hour, datetime)
        }

    def day(self, number: int) -> datetime:
        """Return the start of a day."""
        return self.api.now.replace(hour=0) - timedelta(days=self.days + 3 - number)

    def pulls(self, number: int) -> list[Pull]:
        """Return the pulls of a day, one for each owner."""
        description = self.api.description
        return [
            Pull(
                owner=owner.screen_name,
                connection=description["connections"][owner.screen_name],
                tweet_ids=tuple(self.api.world.tweets_of(owner.user_id)),
                day=self.day(number),
                folder=self.folder,
                dataset_format=self.dataset_format,
            )
            for owner in self.api.world.handles.values()
        ]

    def wrong_cells(self, days: Sequence[int]) -> tuple[int, int]:
        """Compare the dataset with the truth. Return how many cells are wrong, and how many keys occur twice."""
        wanted = {self.day(number) for number in days}
        expected = {key: counts for key, counts in self._truth.items() if _midnight(key[1]) in wanted}
        columns = (*KEY, *HOURLY)
        rows = [
            row
            for number in days
            for row in in_child(read, self.folder, self.dataset_format, self.day(number), columns)
        ]
        found = {row[: len(KEY)]: row[len(KEY) :] for row in rows}
        wrong = sum(
            len(HOURLY) if counts is None or other is None else sum(a != b for a, b in zip(counts, other, strict=True))
            for counts, other in ((expected.get(key), found.get(key)) for key in expected.keys() | found.keys())
        )
        return wrong, len(rows) - len(found)

    @property
    def cells(self) -> int:
        """The number of cells of all days."""
        first, end = self.day(0), self.day(self.days)
        return len(HOURLY) * sum(first <= key[1] < end for key in self._truth)

    def leftovers(self) -> int:
        """Return how many files of killed pulls are in the dataset, outside of Delta tables."""
        folders = ("_temporary", "_staged")
        return sum(path.is_file() for name in folders for path in (self.folder / name).rglob("*"))

    def requests(self) -> int:
        """Return how many requests for counts the simulator has received."""
        return len(self.api.journal())


class Reader:
    """Polls a dataset in another process all the time. As a context manager, it starts and stops.

    It reads the partition that pulls publish to, and in turn those that they published to before.

    :param machine: the machine.
    """

    def __init__(self, machine: Machine) -> None:
        self._stop = FORK.Event()
        self._day, self._polls, self._vanished = (FORK.Value("q", 0) for _ in range(3))
        self._process = FORK.Process(target=self._poll, args=(machine,))

    def __enter__(self) -> Self:
        """Start to poll."""
        self._process.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End the polling."""
        self._stop.set()
        self._process.join(SECONDS_UNTIL_STOPPED)
        self._process.kill()

    def turn_to(self, number: int) -> None:
        """Read the partition of a day from now on.

        :param number: the number of the day.
        """
        self._day.value = number

    def counts(self) -> tuple[int, int]:
        """Return how often partitions were read, and how many keys vanished.

        :raises RuntimeError: if the reader has failed.
        """
        if not self._process.is_alive():
            raise RuntimeError("The reader could not read the dataset.")
        return self._polls.value, self._vanished.value

    def _poll(self, machine: Machine) -> None:
        known: dict[int, set[tuple[Any, ...]]] = {}
        earlier = 0
        while not self._stop.is_set():
            day = self._day.value
            earlier = (earlier + 1) % (day + 1)
            for number in {day, earlier}:
                keys = set(read(machine.folder, machine.dataset_format, machine.day(number), KEY))
                self._vanished.value += len(known.get(number, set()) - keys)
                known[number] = known.get(number, set()) | keys
                self._polls.value += 1
            self._stop.wait(SECONDS_BETWEEN_READS)


def read(folder: Path, dataset_format: str, day: datetime, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return columns of the rows of a day."""
    place = folder / TABLE
    if dataset_format == "parquet":
        path = place / f"partition_date={day:%Y-%m-%d}" / "rows.parquet"
        rows = pyarrow.parquet.ParquetFile(path).read(columns=list(columns)) if path.exists() else None
    elif (place / "_delta_log" / f"{0:020}.json").exists():
        query = f"SELECT {', '.join(columns)} FROM hours WHERE partition_date = '{day:%Y-%m-%d}'"
        rows = pyarrow.table(QueryBuilder().register("hours", DeltaTable(place)).execute(query).read_all())
    else:
        rows = None
    return [] if rows is None else list(zip(*(rows[name].to_pylist() for name in columns), strict=True))


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in another process. This process starts no thread, so that it can be forked."""
    receiver, sender = FORK.Pipe(duplex=False)

    def call() -> None:
        sender.send(function(*arguments))

    process = FORK.Process(target=call)
    process.start()
    sender.close()
    result = receiver.recv()
    process.join()
    return result


def run_all(pulls: Sequence[Pull], *, kill_at: Mapping[int, Moment] | None = None) -> list[Ended]:
    """Run pulls at the same time, and return how each ended.

    :param pulls: the pulls.
    :param kill_at: when a pull kills itself, by the index of the pull.
    """
    running = [RunningPull(pull, kill_at=(kill_at or {}).get(index)) for index, pull in enumerate(pulls)]
    return [one.wait() for one in running]


def _midnight(hour: datetime) -> datetime:
    return hour.replace(hour=0)
