"""The endpoint that says how many Tweets an app has read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from airflow_provider_engagement.simulator.entities import App
from airflow_provider_engagement.simulator.x_api.answer import Answer
from airflow_provider_engagement.simulator.x_api.billed_reads import Ledger

_DEFAULT_DAYS: Final = 7


def usage_of_app(app: App, ledger: Ledger, query: Mapping[str, Any], now: datetime) -> Answer:
    """Return how many Tweets an app has read. Numbers are texts, as in the specification.

    :param app: the app.
    :param ledger: the billed reads.
    :param query: the parameters.
    :param now: the time of the rate clock.
    """
    first = now.date() - timedelta(days=query.get("days", _DEFAULT_DAYS) - 1)
    days = [
        {"date": f"{day.isoformat()}T00:00:00.000Z", "usage": str(number)}
        for day, number in sorted(ledger.tweets_by_day(app).items())
        if day >= first
    ]
    values: dict[str, Any] = {
        "cap_reset_day": 1,
        "project_cap": None if app.x_monthly_tweets is None else str(app.x_monthly_tweets),
        "project_id": account_id(app),
        "project_usage": str(ledger.tweets_of_month(app)),
        "daily_project_usage": {"project_id": account_id(app), "usage": days},
        "daily_client_app_usage": [{"client_app_id": account_id(app), "usage": days, "usage_result_count": len(days)}],
    }
    wanted = query.get("usage.fields", ("cap_reset_day", "project_cap", "project_id", "project_usage"))
    return Answer(data={name: values[name] for name in values if name in wanted and values[name] is not None})


def account_id(app: App) -> str:
    """Return the number of the account that an app belongs to."""
    return str(int.from_bytes(app.consumer_key.encode()) % 10**19)
