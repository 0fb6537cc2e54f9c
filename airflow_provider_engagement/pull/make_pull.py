"""The pull of each endpoint."""

from __future__ import annotations

from airflow_provider_engagement.inputs.settings import (
    HistoricalSettings,
    Last28HourSettings,
    PullSettings,
    TotalsSettings,
)
from airflow_provider_engagement.pull.api import Api
from airflow_provider_engagement.pull.pull import Pull, TweetOwners
from airflow_provider_engagement.pull.series import historical_pull, last_28_hours_pull
from airflow_provider_engagement.pull.task_run import RunContext
from airflow_provider_engagement.pull.totals import totals_pull


def make_pull(settings: PullSettings, owners: TweetOwners, run: RunContext, api: Api) -> Pull:
    """Return the pull that settings and a run describe. Nothing is sent.

    :param settings: what the DAG sets.
    :param owners: the Tweets, with their owners.
    :param run: the run of the task.
    :param api: the connection.
    :raises InvalidQueryError: if the settings do not fit the run or the connection.
    """
    match settings:
        case TotalsSettings():
            return totals_pull(settings, owners, run, api)
        case Last28HourSettings():
            return last_28_hours_pull(settings, owners, run, api)
        case HistoricalSettings():
            return historical_pull(settings, owners, run, api)
    raise TypeError(f"There is no pull for {type(settings).__name__}.")
