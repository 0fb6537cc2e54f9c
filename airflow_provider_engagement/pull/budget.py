"""Bound how many Tweets a pull from X API v2 reads and what they cost, before its first request and while it lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from airflow_provider_engagement.exceptions import BoundExceededError
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.x_api.catalogue import PricedRead
from airflow_provider_engagement.x_api.prices import BilledReads, Cost

_STORED = "The answers until then are stored."


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a pull may read.

    :param tweets: how many Tweets; ``None`` for any number.
    :param dollars: what the reads may cost in US dollars; ``None`` for any price.
    """

    tweets: int | None = None
    dollars: Decimal | None = None

    def check(self, cost: Cost, *, consequence: str = "No request was sent.") -> None:
        """Refuse a cost beyond the budget.

        :param cost: the cost.
        :param consequence: what has happened until then, for the error.
        :raises BoundExceededError: if it is beyond the budget.
        """
        if self.tweets is not None and cost.tweets > self.tweets:
            raise BoundExceededError(
                "max_tweets", self.tweets, f"the pull reads {counted(cost.tweets, 'Tweet')}", consequence=consequence
            )
        if self.dollars is not None and cost.dollars > self.dollars:
            raise BoundExceededError(
                "max_dollars", self.dollars, f"the pull costs ${cost.dollars}", consequence=consequence
            )


class Spending:
    """What a pull has read so far. It stops a listing that exceeds the budget.

    :param budget: the budget.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._reads = BilledReads()

    def add(self, read: PricedRead, ids: Iterable[str], *, at: datetime) -> None:
        """Add reads.

        :param read: what they are billed as.
        :param ids: the Tweets or users.
        :param at: when they were read.
        :raises BoundExceededError: if they exceed the budget.
        """
        self._reads.add(read, ids, at=at)
        self._budget.check(self._reads.cost(), consequence=_STORED)
