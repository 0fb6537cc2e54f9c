"""The ledger of owners: whose data each run requested, by month, because X bills the number of different users."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow

from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.merging import first_of_each_key
from airflow_provider_engagement.tables.tables import OWNER_LEDGER


def month_folder(time: datetime) -> str:
    """Return the folder of the ledger for the calendar month of a time, in UTC."""
    return f"{OWNER_LEDGER.name}/month={time:%Y-%m}"


def read_owners(folder: DatasetFolder, month: datetime) -> set[str]:
    """Return the owners whose data was requested in a calendar month.

    :param folder: the dataset's folder.
    :param month: a time in the month, in UTC.
    """
    return {
        owner for rows in folder.read_files(OWNER_LEDGER, month_folder(month)) for owner in rows["owner"].to_pylist()
    }


def write_owners(
    folder: DatasetFolder, statuses: TweetStatuses, listed: Mapping[str, str | None], run: TaskRun, endpoint: str
) -> int:
    """Add the owners of a run to the ledger. A repeated run adds to them, since X bills each request.

    :param folder: the dataset's folder.
    :param statuses: the status of each Tweet.
    :param listed: the owner that each Tweet id was listed with, for Tweets that app credentials read.
    :param run: the run of the task.
    :param endpoint: the endpoint.
    :return: the number of rows.
    """
    tweets: dict[str, int] = {}
    requested_at: dict[str, datetime] = {}
    for tweet_id, checked_at in statuses.checked.items():
        owner = statuses.owner_of(tweet_id) or listed.get(tweet_id)
        if owner is not None:
            tweets[owner] = tweets.get(owner, 0) + 1
            requested_at[owner] = max(requested_at.get(owner, checked_at), checked_at)
    by_month: dict[str, list[str]] = {}
    for owner, time in requested_at.items():
        by_month.setdefault(month_folder(time), []).append(owner)
    for folder_of_month, owners in by_month.items():
        path = f"{folder_of_month}/{run.file_name}"
        earlier = folder.read_file(OWNER_LEDGER, path)
        added = columns_to_table(
            OWNER_LEDGER,
            {
                "owner": owners,
                "run_id": [run.run_id] * len(owners),
                "task": [run.task] * len(owners),
                "endpoint": [endpoint] * len(owners),
                "tweets": [tweets[owner] for owner in owners],
                "requested_at": [requested_at[owner] for owner in owners],
            },
        )
        rows = first_of_each_key(pyarrow.concat_tables([added, earlier]), OWNER_LEDGER.key, OWNER_LEDGER.columns)
        with folder.open({OWNER_LEDGER: path}) as files:
            files[OWNER_LEDGER.name].append(rows.cast(added.schema))
    return len(requested_at)
