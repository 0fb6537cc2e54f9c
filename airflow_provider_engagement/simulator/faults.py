"""Answers that go wrong on purpose."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What happens to a request instead of, or on top of, its proper answer.

    Without ``status`` the proper answer is made, and may then be delayed, truncated or dropped. With ``status`` the
    answer is the one given here; it costs no budget.

    :param status: the HTTP status of a forced answer.
    :param body: its body; anything but text and bytes is sent as JSON.
    :param headers: headers to add; they also replace the usual ones. Applies to proper answers as well.
    :param delay: seconds to wait before anything is sent.
    :param truncate_gzip: the compressed body breaks off halfway, with a ``Content-Length`` that says so.
    :param drop: the connection ends before the headers, or after them in the middle of the body.
    :param path: only requests whose path ends with this, such as ``28hr``.
    :param nth: only the n-th of these requests, counted from 1 and from when the fault was added.
    :param probability: only this share of them, drawn from a seeded generator.
    :param times: how often, before the fault is used up; ``None`` for ever.
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
        """Refuse what cannot happen."""
        if self.drop not in (None, "before_headers", "after_headers"):
            raise ValueError(f"drop={self.drop!r} is not 'before_headers' or 'after_headers'")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status={self.status} is not between 200 and 599")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability={self.probability} is not between 0 and 1")
        if self.delay < 0:
            raise ValueError(f"delay={self.delay} is negative")

    def to_json(self) -> dict[str, Any]:
        """Return the fault as JSON values; bytes are read as UTF-8 as far as they are."""
        body = self.body.decode("utf-8", "replace") if isinstance(self.body, bytes) else self.body
        return {**asdict(self), "headers": dict(self.headers), "body": body}

    @classmethod
    def html(cls, status: int = 502, **others: Any) -> Fault:
        """Return the page a gateway shows when what is behind it does not answer."""
        page = f"<html><head><title>{status}</title></head><body><h1>{status} Bad Gateway</h1></body></html>"
        return cls(status=status, body=page, headers={"Content-Type": "text/html"}, **others)

    @classmethod
    def text(cls, status: int = 503, body: str = "Service Unavailable", **others: Any) -> Fault:
        """Return an answer in plain text."""
        return cls(status=status, body=body, headers={"Content-Type": "text/plain"}, **others)

    @classmethod
    def redirect(cls, location: str, status: int = 307, **others: Any) -> Fault:
        """Return an answer that points elsewhere."""
        return cls(status=status, headers={"Location": location}, **others)


@dataclass(slots=True)
class _Waiting:
    fault: Fault
    seen: int = 0
    used: int = 0

    @property
    def used_up(self) -> bool:
        return self.fault.times is not None and self.used >= self.fault.times


class Faults:
    """The faults waiting to happen. The first that fits a request is taken, one to a request.

    :param seed: of the generator that probabilities are drawn from.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    def add(self, *faults: Fault) -> None:
        """Add faults at the end of the queue."""
        with self._lock:
            self._waiting.extend(_Waiting(fault) for fault in faults)

    def clear(self) -> None:
        """Forget all faults, and draw the same lots anew."""
        with self._lock:
            self._waiting.clear()
            self._chance = random.Random(self._seed)

    def pending(self) -> tuple[Fault, ...]:
        """Return the faults that are not used up."""
        with self._lock:
            return tuple(waiting.fault for waiting in self._waiting)

    def take(self, path: str) -> Fault | None:
        """Return the fault that shall happen to a request, if any."""
        with self._lock:
            chosen = None
            for waiting in self._waiting:
                fault = waiting.fault
                if fault.path is not None and not path.endswith(fault.path):
                    continue
                waiting.seen += 1
                if chosen is not None or (fault.nth is not None and waiting.seen != fault.nth):
                    continue
                if fault.probability < 1 and self._chance.random() >= fault.probability:
                    continue
                waiting.used += 1
                chosen = fault
            self._waiting = [
                waiting
                for waiting in self._waiting
                if waiting.fault.times is None or waiting.used < waiting.fault.times
            ]
            return chosen
