"""Faults: error responses, delays and broken connections that tests queue."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A disturbance of one request or more.

    With ``status``, the fault replaces the response, and the request does not count against the quota. Without it, the
    API responds as usual, and the fault changes, delays, truncates or drops that response.

    :param status: the HTTP status of the replaced response.
    :param body: its body; values other than text and bytes are sent as JSON.
    :param headers: headers to add or to replace, with or without ``status``.
    :param delay: seconds to wait before sending.
    :param truncate_gzip: whether to cut the compressed body in half. ``Content-Length`` is that of the half.
    :param drop: end the connection before the headers, or after them in the middle of the body.
    :param path: apply only to requests whose path ends with this, such as ``28hr``.
    :param nth: apply only to the n-th of these requests, counted from 1 since the fault was added.
    :param probability: the share of these requests to which the fault applies, drawn from a seeded generator.
    :param times: how often the fault applies; ``None`` for always.
    """

    status: int | None = None
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    truncate_gzip: bool = False
    drop: Literal["before_headers", "after_headers"] | None = None
    path: str | None = None
    nth: int | None = None
    probability: float = 1.0
    times: int | None = 1

    def __post_init__(self) -> None:
        """Check the values.

        :raises ValueError: a value is out of range.
        """
        if self.drop not in (None, "before_headers", "after_headers"):
            raise ValueError(f"drop: {self.drop!r} is unknown. Choose one of before_headers, after_headers.")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status: {self.status} is no HTTP status. Give a number between 200 and 599.")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability: {self.probability} is out of range. Give a number between 0 and 1.")
        if self.delay < 0:
            raise ValueError(f"delay: {self.delay} is negative. Give 0 or more seconds.")

    def to_json(self) -> dict[str, Any]:
        """Return the fault as JSON values. Bytes that are not UTF-8 are replaced."""
        body = self.body.decode("utf-8", "replace") if isinstance(self.body, bytes) else self.body
        return {**asdict(self), "headers": dict(self.headers), "body": body}

    @classmethod
    def html(cls, status: int = 502, **others: Any) -> Fault:
        """Return a fault with the HTML error page of a gateway.

        :param others: further fields of the fault.
        """
        page = f"<html><head><title>{status}</title></head><body><h1>{status} Bad Gateway</h1></body></html>"
        return cls(status=status, body=page, headers={"Content-Type": "text/html"}, **others)

    @classmethod
    def text(cls, status: int = 503, body: str = "Service Unavailable", **others: Any) -> Fault:
        """Return a fault with a plain text body.

        :param others: further fields of the fault.
        """
        return cls(status=status, body=body, headers={"Content-Type": "text/plain"}, **others)

    @classmethod
    def redirect(cls, location: str, status: int = 307, **others: Any) -> Fault:
        """Return a fault that redirects the client.

        :param location: the URL to redirect to.
        :param others: further fields of the fault.
        """
        return cls(status=status, headers={"Location": location}, **others)


@dataclass(slots=True)
class _QueuedFault:
    fault: Fault
    seen: int = 0
    used: int = 0

    @property
    def used_up(self) -> bool:
        return self.fault.times is not None and self.used >= self.fault.times


class Faults:
    """A queue of faults. The first fault that matches a request applies, and no other.

    :param seed: the seed of the generator that decides by probability.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._queue: list[_QueuedFault] = []

    def add(self, *faults: Fault) -> None:
        """Add faults at the end of the queue."""
        with self._lock:
            self._queue.extend(_QueuedFault(fault) for fault in faults)

    def clear(self) -> None:
        """Remove all faults, and restart the generator from its seed."""
        with self._lock:
            self._queue.clear()
            self._random = random.Random(self._seed)

    def pending(self) -> tuple[Fault, ...]:
        """Return the faults that are not used up."""
        with self._lock:
            return tuple(queued.fault for queued in self._queue)

    def take(self, path: str) -> Fault | None:
        """Return the fault that applies to a request, if any.

        :param path: the path of the request.
        """
        with self._lock:
            chosen = None
            for queued in self._queue:
                fault = queued.fault
                if fault.path is not None and not path.endswith(fault.path):
                    continue
                queued.seen += 1
                if chosen is not None or (fault.nth is not None and queued.seen != fault.nth):
                    continue
                if fault.probability < 1 and self._random.random() >= fault.probability:
                    continue
                queued.used += 1
                chosen = fault
            self._queue = [queued for queued in self._queue if not queued.used_up]
            return chosen
