"""One answer, one file; what exists is not asked for again.

Parts are the checkpoint of a pull and the only one: a part is named after everything that was asked, so that the same
request finds it and another one cannot.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.api.client import Fetched
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.query import Granularity
from airflow_provider_engagement.api.response import Nested, Outcome, ParsedResponse, Series, TweetStatus
from airflow_provider_engagement.dataset.storage import StoragePath, safe_name, write_atomically

if TYPE_CHECKING:
    import pyarrow

FOLDER = "_parts"
VERSION = 1
"""Of the files' layout: parts of another version are not found."""

UNEXPLAINED = frozenset({Outcome.NO_DATA, Outcome.FAILED})
"""Outcomes that a repetition may better: a part that holds one is kept, and asked for again by a rerun."""

_METADATA_KEY = b"engagement"
_SUFFIX = ".parquet"
_SETTLED = f".settled{_SUFFIX}"
_UNSETTLED = f".unsettled{_SUFFIX}"
_FETCHED_AT = "%Y%m%dT%H%M%S%f"

ReuseRule = Callable[[Request, datetime], bool]
"""Tells of a request and of when it was answered whether that answer need not be asked for again."""


def always_reuse(request: Request, fetched_at: datetime) -> bool:
    """Take an answer for good, however old it is."""
    return True


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One answer as it is kept.

    :param counts: one row a Tweet and period, with the columns ``granularity``, ``tweet_id``, ``period_start``,
        ``hour_of_day`` and one for each metric asked for.
    :param groupings: counts in the API's nesting, by the name of the grouping.
    :param statuses: one for each Tweet asked for.
    :param authors: for Tweets that were left out because another wrote them, that author where the API named it.
    :param fetched_at: when the API was asked, in UTC.
    :param start: the effective start, where the API echoed it.
    :param end: the effective end likewise; it may be off the hour.
    """

    counts: pyarrow.Table
    groupings: Mapping[str, Nested]
    statuses: Mapping[str, TweetStatus]
    authors: Mapping[str, str | None]
    fetched_at: datetime
    start: datetime | None
    end: datetime | None

    @property
    def settled(self) -> bool:
        """Whether a repetition would bring nothing better."""
        return not any(status.outcome in UNEXPLAINED for status in self.statuses.values())


def part_of(fetched: Fetched) -> StoredResponse:
    """Return what a request brought as a part."""
    answer = fetched.answer
    return StoredResponse(
        counts=_counts(answer),
        groupings=answer.groupings,
        statuses=answer.statuses,
        authors=fetched.authors,
        fetched_at=fetched.fetched_at,
        start=answer.start,
        end=answer.end,
    )


class ResponseStore:
    """The parts below one folder.

    :param output: the dataset's folder; parts are kept in a folder of it whose name begins with an underscore, which
        readers of directories pass over.
    :param identity: who asks: parts of another identity are not found.
    :param occasion: what sets apart two askings of the same request that may differ, such as the time of a snapshot.
    :param is_reusable: tells of an answer that is there whether it need not be asked for again.
    """

    def __init__(
        self, output: StoragePath, *, identity: str, occasion: str = "", is_reusable: ReuseRule = always_reuse
    ) -> None:
        self._folder = output / FOLDER
        self._identity = identity
        self._occasion = occasion
        self._is_reusable = is_reusable
        self._listed: dict[str, dict[str, list[str]]] = {}

    def holds(self, request: Request) -> bool:
        """Tell whether the answer to a request is there and still good, so that it need not be asked for."""
        return any(
            name.endswith(_SETTLED) and self._is_reusable(request, _fetched_at(name)) for name in self._names(request)
        )

    def fetched_at(self, request: Request) -> datetime | None:
        """Return when the answer to a request was fetched, if it is there."""
        names = self._names(request)
        return _fetched_at(max(names, key=_preference)) if names else None

    def write(self, request: Request, part: StoredResponse) -> None:
        """Keep the answer to a request."""
        from pyarrow import parquet

        suffix = _SETTLED if part.settled else _UNSETTLED
        name = f"{self._digest(request)}.{part.fetched_at:{_FETCHED_AT}}{suffix}"
        table = part.counts.replace_schema_metadata({_METADATA_KEY: json.dumps(_metadata(part)).encode()})
        with write_atomically(self._folder / self._subfolder(request) / name) as file:
            parquet.write_table(table, file, compression="zstd")
        self._names(request).append(name)

    def read(self, request: Request) -> StoredResponse | None:
        """Return the answer to a request, if it is there: of several the settled one that was fetched last.

        One that is not good any more is passed over, so that it does not stand in for an asking that failed.
        """
        from pyarrow import parquet

        names = [name for name in self._names(request) if self._is_reusable(request, _fetched_at(name))]
        if not names:
            return None
        with (self._folder / self._subfolder(request) / max(names, key=_preference)).open("rb") as file:
            return _part(parquet.ParquetFile(file).read())

    def _digest(self, request: Request) -> str:
        asked = [
            VERSION,
            self._identity,
            self._occasion,
            request.query.endpoint,
            request.query.auth,
            request.query.granularities,
            # Of the groupings that a part keeps, the body names those alone that are asked for.
            {name: request.query.groupings[name] for name in sorted(request.query.made_of_hours)},
            request.body(),
        ]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:40]

    def _subfolder(self, request: Request) -> str:
        span = (
            (f"{request.window.start:%Y%m%dT%H}", f"{request.window.end:%Y%m%dT%H}")
            if request.window
            else (self._occasion,)
        )
        return safe_name(request.query.endpoint, *span)

    def _names(self, request: Request) -> list[str]:
        """Return the names of the files that answer a request; its subfolder is listed once."""
        subfolder = self._subfolder(request)
        if subfolder not in self._listed:
            folder = self._folder / subfolder
            listed: dict[str, list[str]] = {}
            for path in folder.iterdir() if folder.exists() else ():
                if path.name.endswith(_SUFFIX) and not path.name.startswith("_"):
                    listed.setdefault(path.name.partition(".")[0], []).append(path.name)
            self._listed.setdefault(subfolder, listed)  # another thread may have listed it, and added to it, meanwhile
        return self._listed[subfolder].setdefault(self._digest(request), [])


def _fetched_at(name: str) -> datetime:
    return datetime.strptime(name.split(".")[1], _FETCHED_AT).replace(tzinfo=UTC)


def _preference(name: str) -> tuple[bool, str]:
    return name.endswith(_SETTLED), name


def _counts(answer: ParsedResponse) -> pyarrow.Table:
    import pyarrow

    metrics = [name for series in answer.series.values() for name in series.counts]
    schema = pyarrow.schema(
        [
            ("granularity", pyarrow.string()),
            ("tweet_id", pyarrow.string()),
            ("period_start", pyarrow.timestamp("ms", "UTC")),
            ("hour_of_day", pyarrow.string()),
            *((name, pyarrow.int64()) for name in dict.fromkeys(metrics)),
        ]
    )
    tables = [_rows(grain, series, schema) for grain, series in answer.series.items()]
    return pyarrow.concat_tables(tables) if tables else schema.empty_table()


def _rows(grain: Granularity, series: Series, schema: pyarrow.Schema) -> pyarrow.Table:
    import pyarrow

    width = len(series.periods)
    rows = width * len(series.tweet_ids)
    of_day = grain is Granularity.HOUR_OF_DAY
    kind = schema.field("hour_of_day" if of_day else "period_start").type
    periods = pyarrow.chunked_array(
        [pyarrow.array(series.periods, kind)] * len(series.tweet_ids), kind
    ).combine_chunks()
    columns: dict[str, Any] = {
        "granularity": pyarrow.repeat(str(grain), rows),
        "tweet_id": [tweet_id for tweet_id in series.tweet_ids for _ in range(width)],
        "period_start": pyarrow.nulls(rows, schema.field("period_start").type) if of_day else periods,
        "hour_of_day": periods if of_day else pyarrow.nulls(rows, pyarrow.string()),
        **series.counts,
    }
    return pyarrow.Table.from_arrays(
        [pyarrow.array(columns[field.name], field.type) for field in schema], schema=schema
    )


def _metadata(part: StoredResponse) -> dict[str, Any]:
    return {
        "fetched_at": part.fetched_at.isoformat(),
        "start": part.start and part.start.isoformat(),
        "end": part.end and part.end.isoformat(),
        "groupings": part.groupings,
        "authors": part.authors,
        "statuses": {
            tweet_id: [status.outcome, status.metrics_affected, status.message]
            for tweet_id, status in part.statuses.items()
        },
    }


def _part(table: pyarrow.Table) -> StoredResponse:
    metadata = json.loads(table.schema.metadata[_METADATA_KEY])
    return StoredResponse(
        counts=table.replace_schema_metadata(None),
        groupings=metadata["groupings"],
        statuses={
            tweet_id: TweetStatus(Outcome(outcome), tuple(affected), message)
            for tweet_id, (outcome, affected, message) in metadata["statuses"].items()
        },
        authors=metadata["authors"],
        fetched_at=datetime.fromisoformat(metadata["fetched_at"]),
        start=metadata["start"] and datetime.fromisoformat(metadata["start"]),
        end=metadata["end"] and datetime.fromisoformat(metadata["end"]),
    )
