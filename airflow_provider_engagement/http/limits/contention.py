"""How many requests other clients send on the same quota. Pure: no clock, no I/O.

Other clients are visible only through what remains of a window, which falls by their requests too.
"""

from __future__ import annotations

import math
from typing import Final

#: The mean is taken over about this many responses.
RESPONSES_IN_MEAN: Final = 8
#: How many requests to leave for each request that other clients send, because those in flight are not visible yet.
LEFT_FOR_EACH_OTHER: Final = 8
#: The largest estimate that is kept for the next window.
MOST_CARRIED_OVER: Final = 8


class Contention:
    """Estimates how many requests other clients send for each request of this client.

    ``scripts/bench contention`` measures what it is for: with it, 0.8 % of the requests of 8 tasks at 60 a minute are
    rate-limited, without it 31.9 %. The price is that the tasks take 11 % longer than one task alone.

    :param mean: an earlier estimate, if there is one.
    """

    def __init__(self, mean: float | None = None) -> None:
        self.mean = mean
        self._minimum = self._carried_over()  # the estimate does not fall below it within a window
        self._window = 0.0  # the reset of the current window
        self._known = 0  # requests of this window that are accounted for: own finished ones, and those of others

    def count_finished(self) -> None:
        """Count a request of this client that is no longer in flight."""
        self._known += 1

    def update(self, *, window: float, used: int, in_flight: int) -> None:
        """Compare the used requests of a window with the known ones. Other clients sent the difference.

        In the first window, the requests before the first response may be of a client that has stopped since.

        :param window: identifies the window: its reset.
        :param used: how many requests of this window are used, by the headers.
        :param in_flight: how many requests of this client are in flight, which ``used`` may or may not include.
        """
        is_first = not self._window
        if window > self._window:
            self._minimum = self._carried_over()
            self._window, self._known = window, used if is_first else 1
        others = max(0, used - self._known - in_flight)
        self._known += others
        if not is_first:
            mean = others if self.mean is None else self.mean + (others - self.mean) / RESPONSES_IN_MEAN
            self.mean = max(mean, self._minimum)

    def max_in_flight(self, remaining: int) -> int:
        """Return how many requests of this client may be in flight.

        One request must remain for each other client, which may be about to send it. Their requests in flight become
        visible only later, so the more they send, the fewer of this client's are in flight at once.

        :param remaining: how many requests remain for all clients.
        """
        if self.mean is None:
            return min(remaining, 1)
        return 0 if remaining < 1 + self.mean else max(1, math.floor(remaining / (1 + LEFT_FOR_EACH_OTHER * self.mean)))

    def _carried_over(self) -> float:
        """Return the part of the estimate that is kept for the next window, in which other clients may start later.

        It is capped, so that a time in which the server rejected every request is forgotten soon.
        """
        return 0.0 if self.mean is None else min(0.75 * self.mean, MOST_CARRIED_OVER)
