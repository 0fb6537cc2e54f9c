"""The checkpoint of a pull from X API v2: one file for each answer, named after its request and its run.

An answer is an observation of a moment, so it belongs to the run that has fetched it. A page of a listing names the
next one, so a pull that was killed reads the stored pages and goes on at the first one that is missing.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_engagement.http.credentials import Account
from airflow_provider_engagement.storage.paths import StoragePath, write_atomically
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles
from airflow_provider_engagement.x_api.planner import XRequest

FOLDER = "_responses"
VERSION = 1
"""The version of the files' layout. A file of another version is not found."""

_SUFFIX = ".answer"
_FETCHED_AT = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer of the API.

    :param body: its body.
    :param fetched_at: when its request was sent, in UTC.
    """

    body: dict[str, Any]
    fetched_at: datetime


class AnswerStore:
    """The stored answers of one run of a task.

    :param dataset: the dataset's folder. The answers are in a subfolder whose name starts with an underscore, which
        readers of datasets ignore.
    :param identity_of: returns a text that identifies the address and the credentials of an account.
    :param run: identifies the run of the task, the same in every attempt.
    """

    def __init__(self, dataset: StoragePath, *, identity_of: Callable[[Account], str], run: str) -> None:
        self._folder = dataset / FOLDER / f"x.{run}"
        self._temporary = TemporaryFiles(dataset, writer=run)
        self._identity_of = identity_of
        self._names: dict[str, str] | None = None

    def read(self, request: XRequest) -> StoredAnswer | None:
        """Return the stored answer to a request, if there is one."""
        name = self._listed().get(self._digest(request))
        if name is None:
            return None
        with (self._folder / name).open("rb") as file:
            body = json.loads(gzip.decompress(file.read()))
        fetched_at = datetime.strptime(name.split(".")[1], _FETCHED_AT).replace(tzinfo=UTC)
        return StoredAnswer(body, fetched_at)

    def contains(self, request: XRequest) -> bool:
        """Return whether the answer to a request is stored."""
        return self._digest(request) in self._listed()

    def write(self, request: XRequest, answer: StoredAnswer) -> None:
        """Store the answer to a request."""
        digest = self._digest(request)
        name = f"{digest}.{answer.fetched_at:{_FETCHED_AT}}{_SUFFIX}"
        with write_atomically(self._folder / name, self._temporary.new()) as file:
            file.write(gzip.compress(json.dumps(answer.body).encode(), compresslevel=1))
        self._listed()[digest] = name

    def delete(self) -> None:
        """Delete the answers, so that the text of a Tweet that disappears later is in none of them."""
        for name in self._listed().values():
            (self._folder / name).unlink()
        self._names = {}

    def _listed(self) -> dict[str, str]:
        if self._names is None:
            paths = self._folder.iterdir() if self._folder.exists() else ()
            names = [path.name for path in paths if path.name.endswith(_SUFFIX) and not path.name.startswith("_")]
            self._names = {name.partition(".")[0]: name for name in sorted(names)}
        return self._names

    def _digest(self, request: XRequest) -> str:
        auth, owner = request.account
        identified_by = [
            VERSION,
            self._identity_of(request.account),
            auth,
            owner,
            request.path,
            request.parameters(),
        ]
        return hashlib.sha256(json.dumps(identified_by, sort_keys=True).encode()).hexdigest()[:40]
