"""Parts of a pull of totals -> the tables ``tweet_totals`` and ``tweet_status``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.api.response import Outcome
from airflow_provider_engagement.api.tweet_id import created_at
from airflow_provider_engagement.dataset.completeness import check_complete
from airflow_provider_engagement.dataset.fetch import FetchResult, Parts
from airflow_provider_engagement.dataset.folder import Output
from airflow_provider_engagement.dataset.response_store import StoredResponse
from airflow_provider_engagement.dataset.result import Result
from airflow_provider_engagement.dataset.schema import TWEET_STATUS, TWEET_TOTALS, columns_to_table
from airflow_provider_engagement.dataset.status import failed_statuses, status_rows
from airflow_provider_engagement.dataset.tree import merged

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What all rows of a snapshot share.

    :param snapshot_at: the run's own time, so that a rerun replaces what it wrote before.
    :param run: the run's id.
    :param task: the task's name, with its DAG's and its map index.
    :param owner: the id of the user whose Tweets these are, where a user's token was used.
    :param auth: as whom the API was asked.
    """

    snapshot_at: datetime
    run: str
    task: str
    owner: str | None
    auth: str


def assemble_totals(
    pulled: FetchResult,
    parts: Parts,
    output: Output,
    *,
    snapshot: Snapshot,
    name: str,
    accepted: tuple[Outcome, ...],
) -> Result:
    """Write what became of the Tweets, and a snapshot of their totals if it is complete.

    :param pulled: what became of the requests.
    :param parts: where the answers are kept.
    :param output: where the tables go.
    :param snapshot: what all rows share.
    :param name: the name of the files.
    :param accepted: the outcomes that do not keep the snapshot from being complete.
    :raises EngagementError: if it is not complete; of the tables only ``tweet_status`` is written then.
    """
    result = Result()
    day = f"{snapshot.snapshot_at:%Y-%m-%d}"
    with output.open({TWEET_STATUS: f"{TWEET_STATUS.name}/run_date={day}/{name}"}) as tables:
        for request in pulled.requests:
            part = parts.read(request)
            statuses = part.statuses if part else failed_statuses(request, pulled.why_missing(request))
            authors = part.authors if part else {}
            checked = dict.fromkeys(statuses, part.fetched_at) if part else {}
            tables[TWEET_STATUS.name].append(
                status_rows(statuses, authors, checked, run=snapshot.run, task=snapshot.task, owner=snapshot.owner)
            )
            result.outcomes.add(statuses.items())
        result.rows[TWEET_STATUS.name] = tables[TWEET_STATUS.name].rows
    check_complete(result.outcomes, accepted, pulled.failures)
    with output.open({TWEET_TOTALS: f"{TWEET_TOTALS.name}/snapshot_date={day}/{name}"}) as tables:
        for request in pulled.requests:
            part = parts.read(request)
            if part is not None:
                result.groupings = merged(result.groupings, part.groupings)
                tables[TWEET_TOTALS.name].append(_totals(part, snapshot))
        result.rows[TWEET_TOTALS.name] = tables[TWEET_TOTALS.name].rows
    if result.groupings:
        output.add_json("groupings", f"groupings/run_date={day}/{name}.json", result.groupings)
    return result


def _totals(part: StoredResponse, snapshot: Snapshot) -> pyarrow.Table:
    counts = part.counts
    tweet_ids = counts["tweet_id"].to_pylist()
    shared: dict[str, Any] = {
        "snapshot_at": snapshot.snapshot_at,
        "owner": snapshot.owner,
        "auth": snapshot.auth,
        "fetched_at": part.fetched_at,
    }
    return columns_to_table(
        TWEET_TOTALS,
        {
            "tweet_id": tweet_ids,
            "tweet_created_at": [created_at(tweet_id) for tweet_id in tweet_ids],
            **{column: [value] * len(tweet_ids) for column, value in shared.items()},
            **{metric: counts[metric] for metric in TWEET_TOTALS.metrics if metric in counts.column_names},
        },
    )
