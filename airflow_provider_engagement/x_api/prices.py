"""What a pull costs an app that pays by use. X bills each Tweet and user once in a UTC day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.x_api.catalogue import PRICES, PricedRead

_NOUNS: Final = {PricedRead.TWEET: "Tweet", PricedRead.OWN_TWEET: "own Tweet", PricedRead.USER: "user"}


def price_of(read: PricedRead) -> Decimal:
    """Return the newest known price of one read, in US dollars.

    :param read: what is read.
    """
    return max((price for price in PRICES if price.read is read), key=lambda price: price.read_on).dollars


@dataclass(slots=True)
class BilledReads:
    """Counts the reads that X bills.

    X says that a read is billed once in a UTC day. It does not say which price counts if two prices apply. Here the
    first read of the day is billed.
    """

    _billed: dict[tuple[str, str, date], PricedRead] = field(default_factory=dict)

    def add(self, read: PricedRead, resource_ids: Iterable[str], *, at: datetime) -> int:
        """Count reads, and return how many of them are billed.

        :param read: what is read.
        :param resource_ids: the ids of the Tweets or users that an answer contains.
        :param at: when the request was sent, aware.
        """
        resource = "user" if read is PricedRead.USER else "tweet"
        day = at.astimezone(UTC).date()
        before = len(self._billed)
        for resource_id in resource_ids:
            self._billed.setdefault((resource, resource_id, day), read)
        return len(self._billed) - before

    def cost(self) -> Cost:
        """Return what the reads cost."""
        numbers = dict.fromkeys(PricedRead, 0)
        for read in self._billed.values():
            numbers[read] += 1
        return Cost({read: number for read, number in numbers.items() if number})


@dataclass(frozen=True, slots=True)
class Cost:
    """What reads cost.

    :param reads: how many reads of each kind are billed.
    """

    reads: Mapping[PricedRead, int]

    @property
    def tweets(self) -> int:
        """How many Tweets are billed."""
        return sum(number for read, number in self.reads.items() if read is not PricedRead.USER)

    @property
    def dollars(self) -> Decimal:
        """The price in US dollars."""
        return sum((price_of(read) * number for read, number in self.reads.items()), Decimal(0))

    def __add__(self, other: Cost) -> Cost:
        kinds = {**self.reads, **other.reads}
        return Cost({read: self.reads.get(read, 0) + other.reads.get(read, 0) for read in kinds})

    def __str__(self) -> str:
        reads = ", ".join(counted(number, _NOUNS[read]) for read, number in self.reads.items()) or "nothing"
        return f"{reads}: ${self.dollars}"

    def to_dict(self) -> dict[str, Any]:
        """Return the cost as JSON-compatible values, with the day of the price list."""
        return {
            "reads": {str(read): number for read, number in self.reads.items()},
            "dollars": float(self.dollars),
            "prices_of": max(price.read_on for price in PRICES).isoformat(),
        }


def cheaper_way(own_tweets: int) -> str | None:
    """Return the cheaper way to read Tweets that a look-up names, in words, or ``None`` if there is none.

    :param own_tweets: how many of the Tweets the user of the connection posted.
    """
    if not own_tweets:
        return None
    looked_up, listed = Cost({PricedRead.TWEET: own_tweets}), Cost({PricedRead.OWN_TWEET: own_tweets})
    return (
        f"{counted(own_tweets, 'Tweet')} of the connection's own user: to look them up costs ${looked_up.dollars}. To "
        f"list them with UserTweetsOperator costs ${listed.dollars}, if that user owns the app."
    )
