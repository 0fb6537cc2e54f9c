"""Check the size of a pull against the bounds of its task, before the first request."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from airflow_provider_engagement.exceptions import BoundExceededError
from airflow_provider_engagement.inputs.numbers import parse_whole_number
from airflow_provider_engagement.quantities import counted

if TYPE_CHECKING:
    from airflow_provider_engagement.operators.base import EngagementPullOperator


def check_bounds(
    operator: EngagementPullOperator, *, tweets: int, requests: int, owners: Collection[str], ledger: Collection[str]
) -> None:
    """Raise an error if a pull is larger than its task allows.

    :param operator: the operator, with the bounds.
    :param tweets: how many Tweets the pull requests.
    :param requests: how many requests it sends.
    :param owners: the owners of the Tweets.
    :param ledger: the owners whose data other pulls requested in the same month.
    :raises BoundExceededError: if the pull exceeds a bound.
    """
    new = set(owners).difference(ledger)
    all_owners = len(new) + len(ledger)
    in_month = f", {len(new)} of them new in this month" if ledger else ""
    sizes = {
        "max_tweets": (tweets, f"the pull requests {counted(tweets, 'Tweet')}"),
        "max_requests": (requests, f"the pull sends {counted(requests, 'request')}"),
        "max_owners": (
            all_owners,
            f"there {'is' if all_owners == 1 else 'are'} {counted(all_owners, 'owner')}{in_month}",
        ),
    }
    for bound, (size, subject) in sizes.items():
        limit = getattr(operator, bound)
        if limit is not None and size > parse_whole_number(limit, field=bound, minimum=0):
            raise BoundExceededError(bound, int(limit), subject)
