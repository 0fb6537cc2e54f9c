"""Storage operations and seconds of the 10th, 100th and last daily run of one DAG: they must not grow.

Each run pulls the day before. The responses are made without a server. The operations of this package are counted as on
an object store, where each is a request. The log of a Delta table is read and written by another package: its share is
shown as the files of the log that a run has to read.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from figures import figure, timed
from histories import END, fetch, hourly_query, spread_tweets
from hourly import rows_of, task_run

from airflow_provider_engagement.engagement_api.planner import plan
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.pull.fetch import fetch_missing
from airflow_provider_engagement.pull.response_store import ResponseStore
from airflow_provider_engagement.pull.time_series import assemble_time_series
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.folder import DatasetFolder

DAY = timedelta(days=1)


def main(tweets: int = 200, days: int = 365, metrics: int = 3) -> None:
    """Run a DAG on each day, with each format.

    :param tweets: the number of Tweets, all older than the first day.
    :param days: the number of runs.
    :param metrics: the number of metrics.
    """
    for dataset_format in (DatasetFormat.PARQUET, DatasetFormat.DELTA):
        shown = {10, 100, days}
        first: float | None = None
        with tempfile.TemporaryDirectory() as folder:
            for number in range(1, days + 1):
                operations: Counter[str] = Counter()
                dataset = CountedPath(Path(folder) / "dataset", operations)
                with timed() as spent:
                    _run(dataset, number, days, tweets, metrics, dataset_format)
                if number in shown:
                    name = f"{dataset_format}, run {number}"
                    for kind in ("list", "get", "put", "delete", "exists"):
                        figure(f"{name}: {kind}", operations[kind], "operations")
                    figure(f"{name}: time", spent.seconds, "s")
                    total = operations.total()
                    first = first or total
                    figure(f"{name}: operations compared with run 10", total / first, "ratio", "<= 1.05")
                    if dataset_format is DatasetFormat.DELTA:
                        figure(f"{name}: files of the log to read", _log_files(Path(folder)), "files")


def _run(
    dataset: CountedPath, number: int, days: int, tweets: int, metrics: int, dataset_format: DatasetFormat
) -> None:
    """Pull the day of a run, as an operator does."""
    start = END - (days - number + 1) * DAY
    tweet_ids = spread_tweets(tweets, 10)
    older = tuple(str(int(tweet_id) - (int(days * 86_400_000) << 22)) for tweet_id in tweet_ids)
    query = hourly_query(older, 1)
    query = replace(query, metrics=query.metrics[:metrics], interval=TimeRange(start, start + DAY))
    writer = f"run{number}"
    TemporaryFiles(dataset, writer=writer).delete_leftovers()
    store = ResponseStore(dataset, identities={None: ""}, writer=writer)
    fetched = fetch_missing(plan(query), store=store, fetch=fetch, concurrent_requests=1)
    assemble_time_series(
        fetched,
        TweetStatuses.from_responses(fetched, store),
        store,
        # A Delta table is on this machine, although the other files are counted.
        DatasetFolder(dataset, dataset_format, writer=writer, address_of=lambda path: (str(path), {})),
        rows=rows_of(query),
        run=task_run(),
        name=f"{number}",
        date=start,
    )


def _log_files(folder: Path) -> int:
    """Return how many commits follow the last checkpoint of the Delta table."""
    (log,) = folder.rglob("_delta_log")
    checkpoints = [int(path.name.partition(".")[0]) for path in log.glob("*.checkpoint.parquet")]
    return sum(int(path.stem) > max(checkpoints, default=-1) for path in log.glob("*.json"))


@dataclass(frozen=True)
class CountedPath:
    """A path whose operations are counted. It is not recognized as local, so it is used as an object store is.

    :param path: the path.
    :param operations: the numbers of operations so far.
    """

    path: Path
    operations: Counter[str] = field(compare=False)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The last component."""
        return self.path.name

    @property
    def parent(self) -> Self:
        """The parent folder."""
        return replace(self, path=self.path.parent)

    def __truediv__(self, other: str) -> Self:
        return replace(self, path=self.path / other)

    def open(self, mode: str) -> Any:
        """Open the file."""
        self.operations["get" if mode == "rb" else "put"] += 1
        return self.path.open(mode)

    def exists(self) -> bool:
        """Return whether the file or folder exists."""
        self.operations["exists"] += 1
        return self.path.exists()

    def iterdir(self) -> Iterator[Self]:
        """Return the entries of the folder."""
        self.operations["list"] += 1
        return (replace(self, path=path) for path in self.path.iterdir())

    def mkdir(self, *, parents: bool, exist_ok: bool) -> None:
        """Create the folder. An object store has no folders."""
        self.path.mkdir(parents=parents, exist_ok=exist_ok)

    def replace(self, target: CountedPath) -> None:
        """Move the file: a copy and a deletion."""
        self.operations["put"] += 1
        self.operations["delete"] += 1
        self.path.replace(target.path)

    def unlink(self) -> None:
        """Remove the file."""
        self.operations["delete"] += 1
        self.path.unlink()
