"""The routes of the rate limit: its use over all DAGs that the user can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException

from airflow_provider_engagement.api.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.dataset.saved_rate_limit import saved_rate_limits
from airflow_provider_engagement.plugin.access import manifests_for, readable_dags, unfinished_pulls_for
from airflow_provider_engagement.plugin.figure_responses import Text, check_installed, figure_response, zone_or_utc
from airflow_provider_engagement.plugin.manifests import find_open_backfills
from airflow_provider_engagement.plugin.store_work import StoreWork

NAMES = ("unfinished", "use", "saved", "pulls", "backfills")


def rate_limit_routes(work: StoreWork) -> APIRouter:
    """Return the routes.

    :param work: runs the reads of datasets.
    """
    router = APIRouter()

    @router.get("/data/rate_limit/{name}")
    async def rate_limit(user: GetUserDep, name: str, zone: Text = "UTC", form: str = "json") -> Any:
        check_installed()
        from airflow_provider_engagement.plugin import current_figures, rate_limit_figures

        now, time_zone = datetime.now(UTC), zone_or_utc(zone)

        def make() -> Any:
            if name == "backfills":
                found = find_open_backfills(readable_dags(user))
                return rate_limit_figures.backfills_figure(found, now=now, zone=time_zone)
            if name == "unfinished":
                return current_figures.unfinished_figure(unfinished_pulls_for(user), zone=time_zone)
            if name == "saved":
                return current_figures.saved_figure(manifests_for(user), _saved_rate_limits, now=now, zone=time_zone)
            manifests = manifests_for(user, since=now - timedelta(days=1))
            if name == "use":
                return rate_limit_figures.use_figure(manifests, now=now, zone=time_zone)
            return rate_limit_figures.pulls_figure(manifests, zone=time_zone)

        if name not in NAMES:
            raise HTTPException(404)
        return figure_response(await work.run(make), form)

    return router


def _saved_rate_limits(folder: str) -> dict[str, RateLimitSnapshot]:
    from airflow.sdk import ObjectStoragePath

    return saved_rate_limits(ObjectStoragePath(folder))
