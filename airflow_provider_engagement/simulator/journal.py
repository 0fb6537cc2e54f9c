"""The journal: every request the simulator has received, with the status of the response."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

_COUNTED_PATH: Final = "/insights/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One request.

    :param number: its position in the journal, counted from 1.
    :param at: when it arrived, by the rate clock.
    :param method: the HTTP method.
    :param path: the path, without the query.
    :param query: the decoded parameters of the query. Of several with one name, it has the last.
    :param auth: the kind of credentials: ``user``, ``app`` or ``none``. Invalid credentials have a kind, too.
    :param consumer_key: the app, if the credentials are valid.
    :param user_id: the user of the access token, if it is known.
    :param signature: ``valid``, the reason why the credentials are invalid, or ``not checked`` where none are needed.
    :param body: the decoded JSON body; ``None`` if the body is not JSON.
    :param status: the status of the response; ``None`` if the connection was dropped before the headers.
    :param forced: whether a fault applied to the request.
    """

    number: int
    at: datetime
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
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
    """All requests so far, in the order of their responses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def add(self, **fields: Any) -> None:
        """Add a request.

        :param fields: the fields of :class:`Entry` without ``number``.
        """
        with self._lock:
            self._entries.append(Entry(number=len(self._entries) + 1, **fields))

    def clear(self) -> None:
        """Remove all requests, and count from 1 again."""
        with self._lock:
            self._entries.clear()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The requests so far."""
        with self._lock:
            return tuple(self._entries)

    def to(self, path: str) -> tuple[Entry, ...]:
        """Return the requests to one endpoint.

        :param path: the end of the path, such as ``28hr``.
        """
        return tuple(entry for entry in self.entries if entry.path.endswith(path))

    def handles_by_month(self) -> dict[str, frozenset[str]]:
        """Return the users whose credentials read data, by month (``2026-01``), as contracts count them.

        Only requests to the Engagement API count.
        """
        months: dict[str, set[str]] = {}
        for entry in self.entries:
            has_read = entry.path.startswith(_COUNTED_PATH) and entry.auth == "user" and entry.status == 200
            if has_read and entry.user_id is not None:
                months.setdefault(f"{entry.at:%Y-%m}", set()).add(entry.user_id)
        return {month: frozenset(users) for month, users in months.items()}

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the requests."""
        return iter(self.entries)
