"""The routes of datasets: which there are, and the figures of one."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException

from airflow_provider_engagement.inputs.report_options import parse_report_options
from airflow_provider_engagement.plugin.access import CAN_READ_DAG, manifests_for
from airflow_provider_engagement.plugin.figure_responses import Text, check_installed, figure_response, zone_or_utc
from airflow_provider_engagement.plugin.manifests import FoundManifest, find_manifests
from airflow_provider_engagement.plugin.store_work import RecentResults, StoreWork


def dataset_routes(work: StoreWork) -> APIRouter:
    """Return the routes.

    :param work: runs the reads of datasets.
    """
    router = APIRouter()
    recent, folders = RecentResults(), RecentResults()

    @router.get("/data/datasets")
    async def datasets(user: GetUserDep) -> Any:
        manifests = await work.run(lambda: manifests_for(user))
        return {"datasets": _datasets(manifests)}

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
        from airflow_provider_engagement.plugin.shared_figures import SharedFigures
        from airflow_provider_engagement.report.dataset_figures import FIGURES

        if name not in FIGURES:
            raise HTTPException(404)
        options = parse_report_options(
            start=start, end=end, metrics=metrics, granularity=granularity, tweet_ids=tweet_ids
        )
        options["zone"] = zone_or_utc(zone) if zone else None

        def make() -> Any:
            folder = folders.get((dag_id, dataset_id), lambda: _folder_of(dag_id, dataset_id))
            key = (folder, start, end, metrics, granularity, tweet_ids, zone)
            shared = recent.get(key, lambda: SharedFigures(reader_of(folder), lambda: options, zone_is_wish=True))
            return folder, *shared.figure(name)

        folder, figure, selection = await work.run(make)
        shown = {
            "folder": folder,
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

    from airflow_provider_engagement.hooks.storage_options import table_address
    from airflow_provider_engagement.report.dataset_reader import DatasetReader

    return DatasetReader(ObjectStoragePath(folder), address_of=table_address)


def _datasets(manifests: list[FoundManifest]) -> list[dict[str, Any]]:
    """Return the datasets of manifests, from the one that was written last."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for manifest in manifests:
        if manifest.dataset_id is None:
            continue
        dataset = found.setdefault(
            (manifest.dag_id, manifest.dataset_id),
            {
                "dag_id": manifest.dag_id,
                "dataset": manifest.dataset_id,
                "folder": manifest.folder,
                "written_at": manifest.time.isoformat(),
                "tasks": [],
                "metrics": [],
                "pulls": 0,
            },
        )
        dataset["pulls"] += 1
        dataset["tasks"] = sorted({*dataset["tasks"], manifest.task_id})
        dataset["metrics"] = list(dict.fromkeys([*dataset["metrics"], *manifest.content.get("metrics", ())]))
    return list(found.values())


def _folder_of(dag_id: str, dataset_id: str) -> str:
    """Return the folder of a dataset that a task of a DAG wrote."""
    for manifest in find_manifests([dag_id]):
        if manifest.dataset_id == dataset_id and manifest.folder is not None:
            return manifest.folder
    raise HTTPException(404, "No task of this DAG wrote such a dataset, or its XComs are deleted. Run the DAG again.")
