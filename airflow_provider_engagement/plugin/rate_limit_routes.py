"""The routes of the rate limit: its use over all DAGs that the user can read."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException

from airflow_provider_engagement.http.limits.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.plugin.access import datasets_for, manifests_for, readable_dags, unfinished_pulls_for
from airflow_provider_engagement.plugin.current_figures import MAX_FOLDERS, saved_figure
from airflow_provider_engagement.plugin.dataset_routes import reader_of
from airflow_provider_engagement.plugin.figure_responses import (
    Text,
    check_installed,
    figure_response,
    foreseen,
    zone_or_utc,
)
from airflow_provider_engagement.plugin.manifests import (
    FoundDataset,
    FoundManifest,
    find_manifests,
    find_open_backfills,
)
from airflow_provider_engagement.plugin.page_roots import store_of
from airflow_provider_engagement.plugin.store_work import BusyError, StoreWork
from airflow_provider_engagement.pull.saved_rate_limit import saved_rate_limits
from airflow_provider_engagement.storage.contained_paths import check_contained
from airflow_provider_engagement.storage.layout import RATE_LIMIT_FOLDER

NAMES = ("unfinished", "use", "saved", "pulls", "backfills")

MANIFESTS_TO_CONFIRM = 5
"""How many of the newest manifests are compared with those in a dataset."""

TIMEOUT_OF_STORE = 8.0
"""After how many seconds the page leaves out the datasets of a store that does not answer."""

log = logging.getLogger(__name__)

Snapshots = Mapping[str, RateLimitSnapshot]


def rate_limit_routes(work: StoreWork, database: StoreWork) -> APIRouter:
    """Return the routes.

    :param work: runs the reads of datasets.
    :param database: runs the reads of Airflow's database.
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
            manifests = manifests_for(user, since=now - timedelta(days=1))
            if name == "use":
                return rate_limit_figures.use_figure(manifests, now=now, zone=time_zone)
            return rate_limit_figures.pulls_figure(manifests, zone=time_zone)

        if name not in NAMES:
            raise HTTPException(404)
        if name == "saved":
            datasets = await foreseen(database.run(partial(_datasets_and_pulls, user)))
            saved = await _read_saved(work, {dataset.folder: pulls for dataset, pulls in datasets})
            figure = saved_figure([dataset for dataset, _ in datasets], saved.__getitem__, now=now, zone=time_zone)
            return figure_response(figure, form)
        return figure_response(await foreseen(database.run(make)), form)

    return router


def _datasets_and_pulls(user: Any) -> list[tuple[FoundDataset, list[FoundManifest]]]:
    datasets, _ = datasets_for(user)
    folders = list(dict.fromkeys(dataset.folder for dataset in datasets))
    newest = set(folders[:MAX_FOLDERS])
    return [
        (
            dataset,
            find_manifests([dataset.dag_id], folder=dataset.folder, limit=MANIFESTS_TO_CONFIRM)
            if dataset.folder in newest
            else [],
        )
        for dataset in datasets
    ]


async def _read_saved(work: StoreWork, pulls: Mapping[str, list[FoundManifest]]) -> Mapping[str, Snapshots]:
    """Return the saved snapshots of each folder. A folder that cannot be read in time is left out."""
    by_store: dict[str, list[str]] = defaultdict(list)
    for folder, found in pulls.items():
        if found:
            by_store[store_of(folder)].append(folder)
    saved: dict[str, Snapshots] = {}

    def read(folders: Iterable[str]) -> None:
        for folder in folders:
            try:
                saved[folder] = _saved_rate_limits(folder, pulls[folder])
            except Exception:
                # The page shows the other datasets. The error of a storage can contain secrets, so it is only logged.
                log.warning("A saved rate limit cannot be read.", exc_info=True)

    async def read_store(store: str, folders: Iterable[str]) -> None:
        try:
            await work.run(partial(read, folders), store=store, timeout=TIMEOUT_OF_STORE)
        except (TimeoutError, BusyError):
            log.warning("A store did not answer in time, so its saved rate limits are left out.")

    await asyncio.gather(*(read_store(store, folders) for store, folders in by_store.items()))
    return dict(saved)


def _saved_rate_limits(folder: str, pulls: list[FoundManifest]) -> Snapshots:
    from airflow_provider_engagement.plugin.open_dataset import open_dataset

    dataset = open_dataset(folder, pulls, reader_of).folder
    place = dataset / RATE_LIMIT_FOLDER
    for entry in (place, *place.iterdir()) if place.exists() else ():
        check_contained(dataset, entry)
    return saved_rate_limits(dataset)
