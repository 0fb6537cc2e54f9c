"""The checkpoint: one file for each response, named after its request, so that no request is sent twice.

The name of a file is a digest of everything that was requested and of the credentials. An equal request finds the file;
a different request cannot. Nothing else says which responses are there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pyarrow
import pyarrow.parquet

from airflow_provider_engagement.engagement_api.groupings import NestedCounts
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
from airflow_provider_engagement.engagement_api.response import CountColumns, Outcome, TweetStatus
from airflow_provider_engagement.storage.layout import RESPONSES_FOLDER
from airflow_provider_engagement.storage.paths import StoragePath, safe_name, write_atomically
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles

VERSION = 3
"""The version of the files' layout. A file of another version is not found."""

INCONCLUSIVE_OUTCOMES = frozenset({Outcome.NO_DATA, Outcome.FAILED})
"""Outcomes that another request may improve. A response with one of them is stored, and a rerun requests it again."""

_METADATA_KEY = b"engagement"
_SUFFIX = ".response"
"""Such a file is in the Parquet format. Under the name of one, `**/*.parquet` would find it beside the tables."""
_CONCLUSIVE = f".conclusive{_SUFFIX}"
_INCONCLUSIVE = f".inconclusive{_SUFFIX}"
_FETCHED_AT = "%Y%m%dT%H%M%S%f"
_NO_RUN = "-"

ReuseRule = Callable[[Request, datetime, bool], bool]
"""Returns whether a response can be reused: given its request, when it was fetched, and whether this run fetched it."""


def always_reuse(request: Request, fetched_at: datetime, is_own: bool) -> bool:
    """Reuse every stored response, however old it is."""
    return True


def reuse_final(*, settling_time: timedelta, reuse_for: timedelta, run_start: datetime, now: datetime) -> ReuseRule:
    """Reuse every response with final counts, and other responses only for a limited time.

    :param settling_time: how long after an hour its counts may still change.
    :param reuse_for: how long other responses are reused.
    :param run_start: when the run started, before its first attempt; what it has fetched since is reused in any case.
    :param now: the current time.
    """

    def is_reusable(request: Request, fetched_at: datetime, is_own: bool) -> bool:
        is_final = request.window is not None and request.window.end + settling_time <= fetched_at
        return is_final or (is_own and fetched_at >= run_start) or now - fetched_at <= reuse_for

    return is_reusable


@dataclass(frozen=True, slots=True)
class StoredStatuses:
    """What a stored response says about its Tweets, without their counts.

    :param statuses: one status for each requested Tweet.
    :param authors: for each Tweet that was left out because another user posted it, the id of that user, or ``None`` if
        the API did not name the user.
    :param fetched_at: when the request was sent, in UTC.
    """

    statuses: Mapping[str, TweetStatus]
    authors: Mapping[str, str | None]
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response as it is stored.

    :param counts: one row for each Tweet and period, with the columns ``tweet_id``, ``period_start`` (null on
        ``totals``) and one for each metric.
    :param groupings: counts in the API's nesting, by the name of the grouping.
    :param statuses: one status for each requested Tweet.
    :param authors: for each Tweet that was left out because another user posted it, the id of that user, or ``None`` if
        the API did not name the user.
    :param fetched_at: when the request was sent, in UTC.
    """

    counts: pyarrow.Table
    groupings: Mapping[str, NestedCounts]
    statuses: Mapping[str, TweetStatus]
    authors: Mapping[str, str | None]
    fetched_at: datetime

    @classmethod
    def from_fetched(cls, fetched: FetchedResponse) -> Self:
        """Return a fetched response in the form in which it is stored."""
        response = fetched.response
        return cls(
            counts=_to_table(response.counts),
            groupings=response.groupings,
            statuses=response.statuses,
            authors=fetched.authors,
            fetched_at=fetched.fetched_at,
        )

    @property
    def is_conclusive(self) -> bool:
        """Whether the API gave a reason for every missing count, so that another request cannot return more."""
        return not any(status.outcome in INCONCLUSIVE_OUTCOMES for status in self.statuses.values())


@dataclass(frozen=True, slots=True)
class StoredKey:
    """Where the responses to a request are stored.

    :param subfolder: the folder of all requests of the same endpoint and time.
    :param digest: the start of the names of the files.
    """

    subfolder: str
    digest: str


class ResponseStore:
    """The stored responses of a dataset.

    :param dataset: the dataset's folder. The responses are in a subfolder whose name starts with an underscore, which
        readers of datasets ignore.
    :param identities: for each owner whose access token signs, and ``None``, a text that identifies the address and
        the credentials. Responses with another identity are not found.
    :param as_of: the time of a run whose responses can be observed only once. They belong to the run, and no other run
        finds them. ``None`` if runs share responses.
    :param is_reusable: returns whether a stored response can be reused.
    :param writer: identifies the run of the task, the same in every attempt.
    """

    def __init__(
        self,
        dataset: StoragePath,
        *,
        identities: Mapping[str | None, str],
        as_of: datetime | None = None,
        is_reusable: ReuseRule = always_reuse,
        writer: str | None = None,
    ) -> None:
        self._folder = dataset / RESPONSES_FOLDER
        self._temporary = TemporaryFiles(dataset, writer=writer)
        self._identities = dict(identities)
        self._as_of = f"{as_of:{_FETCHED_AT}}" if as_of else ""
        self._run = writer
        self._is_reusable = is_reusable
        self._keys: dict[Request, StoredKey] = {}
        self._names_by_digest: dict[str, dict[str, list[str]]] = {}

    def add_identities(self, identities: Mapping[str | None, str]) -> None:
        """Add the identities of owners who became known later."""
        self._identities.update(identities)

    def contains(self, request: Request) -> bool:
        """Return whether a conclusive and reusable response to a request is stored."""
        return any(name.endswith(_CONCLUSIVE) and self._can_reuse(request, name) for name in self._names(request))

    def fetched_at(self, request: Request) -> datetime | None:
        """Return when the stored response to a request was fetched, if there is one."""
        names = self._names(request)
        return _fetched_at(max(names, key=_preference)) if names else None

    def write(self, request: Request, response: StoredResponse) -> None:
        """Store the response to a request."""
        suffix = _CONCLUSIVE if response.is_conclusive else _INCONCLUSIVE
        key = self._key(request)
        name = f"{key.digest}.{response.fetched_at:{_FETCHED_AT}}.{self._run or _NO_RUN}{suffix}"
        table = response.counts.replace_schema_metadata({_METADATA_KEY: json.dumps(_to_metadata(response)).encode()})
        with write_atomically(self._folder / key.subfolder / name, self._temporary.new()) as file:
            pyarrow.parquet.write_table(table, file, compression="zstd")
        self._names(request).append(name)

    def read(self, request: Request) -> StoredResponse | None:
        """Return the stored response to a request, if there is one: of several, the newest conclusive one.

        A response that is not reusable is skipped. Otherwise it would take the place of a request that failed.
        """
        with self._open(request) as file:
            return None if file is None else _from_table(pyarrow.parquet.ParquetFile(file).read())

    def read_statuses(self, request: Request) -> StoredStatuses | None:
        """Return what :meth:`read` returns, without the counts."""
        with self._open(request) as file:
            return None if file is None else _statuses_of(pyarrow.parquet.read_schema(file).metadata)

    @contextmanager
    def _open(self, request: Request) -> Iterator[Any]:
        names = [name for name in self._names(request) if self._can_reuse(request, name)]
        if not names:
            yield None
            return
        with (self._folder / self._key(request).subfolder / max(names, key=_preference)).open("rb") as file:
            yield file

    def _can_reuse(self, request: Request, name: str) -> bool:
        return self._is_reusable(request, _fetched_at(name), name.split(".")[2] == self._run)

    def _key(self, request: Request) -> StoredKey:
        """Return where the responses to a request are stored. It is computed once for each request."""
        if request not in self._keys:
            self._keys[request] = self._compute_key(request)
        return self._keys[request]

    def _compute_key(self, request: Request) -> StoredKey:
        query, window = request.query, request.window
        identified_by = [
            VERSION,
            self._identities[query.owner],
            [self._as_of, self._run] if self._as_of else "",
            query.endpoint,
            query.auth,
            # The request's body does not contain the groupings that are derived from the hourly rows.
            {name: query.groupings[name] for name in sorted(query.groupings_of_hours)},
            request.body(),
        ]
        times = (f"{window.start:%Y%m%dT%H}", f"{window.end:%Y%m%dT%H}") if window else (self._as_of,)
        return StoredKey(
            subfolder=safe_name(query.endpoint, *times),
            digest=hashlib.sha256(json.dumps(identified_by, sort_keys=True).encode()).hexdigest()[:40],
        )

    def _names(self, request: Request) -> list[str]:
        """Return the names of the files that hold responses to a request. Each subfolder is listed once."""
        key = self._key(request)
        subfolder = key.subfolder
        if subfolder not in self._names_by_digest:
            folder = self._folder / subfolder
            found: dict[str, list[str]] = {}
            for path in folder.iterdir() if folder.exists() else ():
                if path.name.endswith(_SUFFIX) and not path.name.startswith("_"):
                    found.setdefault(path.name.partition(".")[0], []).append(path.name)
            # Another thread may have listed the subfolder, and added to the list, in the meantime.
            self._names_by_digest.setdefault(subfolder, found)
        return self._names_by_digest[subfolder].setdefault(key.digest, [])


def _fetched_at(name: str) -> datetime:
    return datetime.strptime(name.split(".")[1], _FETCHED_AT).replace(tzinfo=UTC)


def _preference(name: str) -> tuple[bool, str]:
    return name.endswith(_CONCLUSIVE), name


def _to_table(counts: CountColumns) -> pyarrow.Table:
    periods = pyarrow.array(counts.periods, pyarrow.timestamp("ms", "UTC"))
    number = len(counts.tweet_ids)
    return pyarrow.table(
        {
            "tweet_id": pyarrow.array(
                [tweet_id for tweet_id in counts.tweet_ids for _ in counts.periods], pyarrow.string()
            ),
            "period_start": pyarrow.chunked_array([periods] * number, periods.type).combine_chunks(),
            **{metric: pyarrow.array(column, pyarrow.int64()) for metric, column in counts.by_metric.items()},
        }
    )


def _to_metadata(response: StoredResponse) -> dict[str, Any]:
    return {
        "fetched_at": response.fetched_at.isoformat(),
        "groupings": response.groupings,
        "authors": response.authors,
        "statuses": {
            tweet_id: [status.outcome, status.metrics_affected, status.message]
            for tweet_id, status in response.statuses.items()
        },
    }


def _from_table(table: pyarrow.Table) -> StoredResponse:
    about = _statuses_of(table.schema.metadata)
    return StoredResponse(
        counts=table.replace_schema_metadata(None),
        groupings=json.loads(table.schema.metadata[_METADATA_KEY])["groupings"],
        statuses=about.statuses,
        authors=about.authors,
        fetched_at=about.fetched_at,
    )


def _statuses_of(metadata: Mapping[bytes, bytes]) -> StoredStatuses:
    content = json.loads(metadata[_METADATA_KEY])
    return StoredStatuses(
        statuses={
            tweet_id: TweetStatus(Outcome(outcome), tuple(affected), message)
            for tweet_id, (outcome, affected, message) in content["statuses"].items()
        },
        authors=content["authors"],
        fetched_at=datetime.fromisoformat(content["fetched_at"]),
    )
