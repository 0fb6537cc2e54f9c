"""How many requests other clients send on the same quota. Pure: no clock, no I/O.

Other clients are visible only through ``x-per-minute-remaining``, which falls by their requests too.
"""

from __future__ import annotations

import math
from typing import Final

#: The mean is taken over about this many responses. It also scales how few requests are in flight under contention.
CAUTION: Final = 8


class Contention:
    """Estimates how many requests other clients send for each request of this client.

    :param mean: an earlier estimate, if there is one.
    """

    def __init__(self, mean: float | None = None) -> None:
        self.mean = mean
        self._minimum = self._carried_over()  # the estimate does not fall below it within a minute
        self._minute = 0.0  # the reset of the current minute
        self._known = 0  # requests of this minute that are accounted for: own finished ones, and those of others

    def count_finished(self) -> None:
        """Count a request of this client that is no longer in flight."""
        self._known += 1

    def update(self, *, minute: float, used: int, in_flight: int) -> None:
        """Compare the used requests of a minute with the known ones. Other clients sent the difference.

        In the first minute, the requests before the first response may be of a client that has stopped since.

        :param minute: identifies the minute: its reset.
        :param used: how many requests of this minute are used, by the headers.
        :param in_flight: how many requests of this client are in flight, which ``used`` may or may not include.
        """
        is_first = not self._minute
        if minute > self._minute:
            self._minimum = self._carried_over()
            self._minute, self._known = minute, used if is_first else 1
        others = max(0, used - self._known - in_flight)
        self._known += others
        if not is_first:
            mean = others if self.mean is None else self.mean + (others - self.mean) / CAUTION
            self.mean = max(mean, self._minimum)

    def max_in_flight(self, remaining: int) -> int:
        """Return how many requests of this client may be in flight.

        One request must remain for each other client, which may be about to send it. Their requests in flight become
        visible only later, so the more they send, the fewer of this client's are in flight at once.

        :param remaining: how many requests remain for all clients.
        """
        if self.mean is None:
            return min(remaining, 1)
        return 0 if remaining < 1 + self.mean else max(1, math.floor(remaining / (1 + CAUTION * self.mean)))

    def _carried_over(self) -> float:
        """Return the part of the estimate that is kept for the next minute, in which other clients may start later.

        It is capped, so that a time in which the server rejected every request is forgotten soon.
        """
        return 0.0 if self.mean is None else min(0.75 * self.mean, CAUTION)
