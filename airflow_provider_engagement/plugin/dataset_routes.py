"""The routes of datasets: which there are, and the figures of one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException

from airflow_provider_engagement.connections.storage_options import table_address
from airflow_provider_engagement.inputs.report_options import parse_report_options
from airflow_provider_engagement.plugin.access import CAN_READ_DAG, datasets_for
from airflow_provider_engagement.plugin.figure_responses import (
    Text,
    check_installed,
    figure_response,
    foreseen,
    json_response,
    zone_or_utc,
)
from airflow_provider_engagement.plugin.manifests import (
    FoundDataset,
    FoundManifest,
    dataset_id_of,
    find_datasets,
    find_manifests,
)
from airflow_provider_engagement.plugin.page_roots import store_of
from airflow_provider_engagement.plugin.store_work import RecentResults, StoreWork
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.storage.user_information import without_user

MANIFESTS_TO_CONFIRM = 5
"""How many of the newest manifests are compared with those in a dataset."""


def dataset_routes(work: StoreWork, database: StoreWork) -> APIRouter:
    """Return the routes.

    :param work: runs the reads of datasets.
    :param database: runs the reads of Airflow's database.
    """
    router = APIRouter()
    recent, found = RecentResults(), RecentResults()

    @router.get("/data/datasets")
    async def datasets(user: GetUserDep) -> Any:
        listed, left_out = await foreseen(database.run(partial(datasets_for, user)))
        return json_response({"datasets": list(map(_listed, listed))} | ({"more": left_out} if left_out else {}))

    @router.get("/data/dags/{dag_id}/datasets/{dataset_id}/{name}", dependencies=[CAN_READ_DAG])
    async def dataset_figure(
        dag_id: str,
        dataset_id: str,
        name: str,
        start: Text = "",
        end: Text = "",
        metrics: Text = "",
        granularity: Text = "",
        tweet_ids: Text = "",
        zone: Text = "",
        form: str = "json",
    ) -> Any:
        check_installed()
        from airflow_provider_engagement.plugin.open_dataset import open_dataset
        from airflow_provider_engagement.plugin.shared_figures import SharedFigures
        from airflow_provider_engagement.report.dataset_figures import FIGURES

        if name not in FIGURES:
            raise HTTPException(404)
        options = parse_report_options(
            start=start, end=end, metrics=metrics, granularity=granularity, tweet_ids=tweet_ids
        )
        options["zone"] = zone_or_utc(zone) if zone else None

        def find() -> tuple[str, Sequence[FoundManifest]]:
            return found.get((dag_id, dataset_id), lambda: _folder_of(dag_id, dataset_id))

        folder, manifests = await foreseen(database.run(find))
        # A dataset confirms the pulls of one DAG, not those of another.
        key = (dag_id, folder, start, end, metrics, granularity, tweet_ids, zone)
        shared = recent.get(
            key,
            lambda: SharedFigures(
                lambda: open_dataset(folder, manifests, reader_of), lambda reader: options, zone_is_preference=True
            ),
        )
        figure, selection = await foreseen(work.run(partial(shared.figure, name), store=store_of(folder)))
        shown = {
            "folder": without_user(folder),
            "start": selection.interval.start.isoformat(),
            "end": selection.interval.end.isoformat(),
            "metrics": selection.metrics,
            "granularity": selection.step,
            "zone": selection.zone.key,
        }
        return figure_response(figure, form, shown)

    return router


def reader_of(folder: str) -> Any:
    """Return the reader of a dataset.

    :param folder: the folder, as the manifest names it.
    """
    from airflow.sdk import ObjectStoragePath

    return DatasetReader(ObjectStoragePath(folder), address_of=table_address)


def _listed(dataset: FoundDataset) -> dict[str, Any]:
    return {
        "dag_id": dataset.dag_id,
        "dataset": dataset_id_of(dataset.folder),
        "folder": without_user(dataset.folder),
        "written_at": dataset.time.isoformat(),
        "tasks": dataset.task_ids,
        "metrics": dataset.metrics,
        "pulls": dataset.pulls,
    }


def _folder_of(dag_id: str, dataset_id: str) -> tuple[str, Sequence[FoundManifest]]:
    """Return the folder of a dataset that a task of a DAG wrote, and the newest manifests of its pulls."""
    for dataset in find_datasets([dag_id])[0]:
        if dataset_id_of(dataset.folder) == dataset_id:
            return dataset.folder, find_manifests([dag_id], folder=dataset.folder, limit=MANIFESTS_TO_CONFIRM)
    raise HTTPException(404, "No task of this DAG wrote such a dataset, or its XComs are deleted. Run the DAG again.")
