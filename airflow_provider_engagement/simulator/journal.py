"""What the simulator was asked, and what it answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One request.

    :param number: counted from 1.
    :param at: when it came in, by the rate clock.
    :param method: the HTTP method.
    :param path: the path, without query.
    :param auth: ``user``, ``app`` or ``none``: how it was, or tried to be, authenticated.
    :param consumer_key: the app, if the credentials held.
    :param user_id: the user whose access token it bears, if it is known.
    :param signature: ``valid``, or why the credentials do not hold; ``not checked`` where none are needed.
    :param body: the decoded JSON body; ``None`` if it was not JSON.
    :param status: what was answered; ``None`` if the connection was dropped before an answer.
    :param forced: the answer was a fault.
    """

    number: int
    at: datetime
    method: str
    path: str
    auth: str
    consumer_key: str | None
    user_id: str | None
    signature: str
    body: Any
    status: int | None
    forced: bool

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return {**asdict(self), "at": self.at.isoformat()}


class Journal:
    """All requests so far, in the order in which they were answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._number = 0

    def add(self, **fields: Any) -> None:
        """Write down a request; the fields are those of :class:`Entry` without its number."""
        with self._lock:
            self._number += 1
            self._entries.append(Entry(number=self._number, **fields))

    def clear(self) -> None:
        """Forget all requests, and count from 1 again."""
        with self._lock:
            self._entries.clear()
            self._number = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The requests so far."""
        with self._lock:
            return tuple(self._entries)

    def to(self, path: str) -> tuple[Entry, ...]:
        """Return the requests whose path ends with this, such as ``28hr``."""
        return tuple(entry for entry in self.entries if entry.path.endswith(path))

    def handles_by_month(self) -> dict[str, frozenset[str]]:
        """Return the users in whose name data were read, by calendar month (``2026-01``), as a contract counts them."""
        months: dict[str, set[str]] = {}
        for entry in self.entries:
            if entry.auth == "user" and entry.user_id is not None and entry.status == 200:
                months.setdefault(f"{entry.at:%Y-%m}", set()).add(entry.user_id)
        return {month: frozenset(users) for month, users in months.items()}

    def __len__(self) -> int:
        """Return how many requests there were."""
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the requests."""
        return iter(self.entries)
