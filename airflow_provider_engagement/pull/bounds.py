"""Check the size of a pull against its limits, before the first request."""

from __future__ import annotations

from collections.abc import Collection

from airflow_provider_engagement.exceptions import BoundExceededError
from airflow_provider_engagement.inputs.settings import Bounds
from airflow_provider_engagement.quantities import counted


def check_bounds(
    limits: Bounds, *, tweets: int, requests: int, owners: Collection[str], ledger: Collection[str]
) -> None:
    """Raise an error if a pull is larger than its task allows.

    :param limits: the limits.
    :param tweets: how many Tweets the pull requests.
    :param requests: how many requests it sends.
    :param owners: the owners of the Tweets.
    :param ledger: the owners whose data other pulls requested in the same month.
    :raises BoundExceededError: if the pull exceeds a limit.
    """
    new = set(owners).difference(ledger)
    all_owners = len(new) + len(ledger)
    in_month = f", {len(new)} of them new in this month" if ledger else ""
    are = "is" if all_owners == 1 else "are"
    for name, limit, size, subject in (
        ("limits.tweets", limits.tweets, tweets, f"the pull requests {counted(tweets, 'Tweet')}"),
        ("limits.requests", limits.requests, requests, f"the pull sends {counted(requests, 'request')}"),
        ("limits.owners", limits.owners, all_owners, f"there {are} {counted(all_owners, 'owner')}{in_month}"),
    ):
        if limit is not None and size > limit:
            raise BoundExceededError(name, limit, subject)
