"""The routes of a task instance: a pull with its figures, and the report that a task wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, HTTPException, Response

from airflow_provider_engagement.plugin.access import CAN_READ_DAG
from airflow_provider_engagement.plugin.dataset_routes import reader_of
from airflow_provider_engagement.plugin.figure_responses import (
    Identifier,
    MapIndex,
    Text,
    check_installed,
    figure_response,
    foreseen,
    json_response,
    zone_or_utc,
)
from airflow_provider_engagement.plugin.manifests import FoundManifest, find_manifests, find_report, state_of
from airflow_provider_engagement.plugin.page_roots import open_storage, store_of
from airflow_provider_engagement.plugin.progress_states import find_progress
from airflow_provider_engagement.plugin.store_work import RecentResults, StoreWork
from airflow_provider_engagement.pull.progress import ProgressRecord
from airflow_provider_engagement.report.pull_selection import options_of_pull, statuses_of_pull
from airflow_provider_engagement.storage.user_information import without_user

NO_REPORT = "The report no longer exists, or the API server cannot read its storage."
MAX_REPORT_BYTES = 20_000_000

OF_DATASET = ("series", "top", "rhythm", "top_totals", "snapshots")
"""The figures that show the Tweets of the pull in its dataset."""


def task_routes(work: StoreWork, database: StoreWork) -> APIRouter:
    """Return the routes.

    :param work: runs the reads of datasets.
    :param database: runs the reads of Airflow's database.
    """
    router = APIRouter()
    recent = RecentResults()

    @router.get("/report", dependencies=[CAN_READ_DAG])
    async def report(dag_id: Identifier, run_id: Identifier, task_id: Identifier, map_index: MapIndex = -1) -> Response:
        path = await foreseen(database.run(partial(find_report, dag_id, run_id, task_id, map_index)))
        if path is None:
            raise HTTPException(404, "This task has written no report.")
        content = await foreseen(work.run(partial(_read_report, path), store=store_of(path)))
        # A report contains no script. The sandbox keeps a file that someone has replaced from having one.
        policy = "sandbox allow-downloads allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        return Response(content, media_type="text/html", headers={"Content-Security-Policy": policy})

    @router.get("/data/dags/{dag_id}/pull", dependencies=[CAN_READ_DAG])
    async def pull(dag_id: str, run_id: Identifier, task_id: Identifier, map_index: MapIndex = -1) -> Any:
        instance = (dag_id, run_id, task_id, map_index)

        def read() -> dict[str, Any]:
            state, manifest = state_of(*instance), _manifest_of(*instance)
            if state is None:
                raise HTTPException(404, "There is no such task instance.")
            record = None if manifest else find_progress(*instance)
            return {
                "state": state[0],
                "operator": state[1],
                "report": manifest is None and find_report(*instance) is not None,
                "progress": record and _progress(record),
                "manifest": manifest and _shown(manifest.content),
                "dataset": manifest and manifest.dataset_id,
            }

        return json_response(await foreseen(database.run(read)))

    @router.get("/data/dags/{dag_id}/pull/{name}", dependencies=[CAN_READ_DAG])
    async def pull_figure(
        dag_id: str,
        name: str,
        run_id: Identifier,
        task_id: Identifier,
        map_index: MapIndex = -1,
        zone: Text = "UTC",
        form: str = "json",
    ) -> Any:
        check_installed()
        from airflow_provider_engagement.plugin.open_dataset import open_dataset
        from airflow_provider_engagement.plugin.rate_limit_figures import history_figure
        from airflow_provider_engagement.plugin.shared_figures import SharedFigures
        from airflow_provider_engagement.report import pull_figures
        from airflow_provider_engagement.report.completeness_figures import tweets_figure

        makers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "requests": pull_figures.requests_figure,
            "missing": pull_figures.missing_figure,
            "owners": pull_figures.owners_figure,
            "outputs": pull_figures.outputs_figure,
            "adjustments": pull_figures.adjustments_figure,
        }

        if name not in ("history", "tweets", *OF_DATASET) and name not in makers:
            raise HTTPException(404)

        def of_manifest(manifest: FoundManifest) -> Any:
            return makers[name](_shown(manifest.content))

        def of_dataset(manifest: FoundManifest, folder: str) -> Any:
            def open_reader() -> Any:
                return open_dataset(folder, [manifest], reader_of)

            def options(reader: Any) -> Mapping[str, Any]:
                return {**options_of_pull(reader, manifest.content), "zone": zone_or_utc(zone)}

            if name == "tweets":
                return tweets_figure(statuses_of_pull(open_reader(), manifest.content))
            key = (dag_id, run_id, task_id, map_index, manifest.time, zone)
            shared = recent.get(key, lambda: SharedFigures(open_reader, options, zone_is_preference=True))
            figure, _ = shared.figure(name)
            return figure

        if name == "history":
            find = partial(find_manifests, [dag_id], task_id=task_id, map_index=map_index, limit=100)
            found = await foreseen(database.run(find))
            return figure_response(history_figure(found, zone=zone_or_utc(zone)), form)
        manifest = await foreseen(database.run(partial(_manifest_of, dag_id, run_id, task_id, map_index)))
        if manifest is None:
            raise HTTPException(404, "This task instance has no manifest of a pull.")
        if name in makers:
            return figure_response(of_manifest(manifest), form)
        folder = manifest.folder
        if folder is None:
            raise HTTPException(404, "The pull has no dataset. Set dataset_path to see its Tweets.")
        figure = await foreseen(work.run(partial(of_dataset, manifest, folder), store=store_of(folder)))
        return figure_response(figure, form)

    return router


def _manifest_of(dag_id: str, run_id: str, task_id: str, map_index: int) -> FoundManifest | None:
    found = find_manifests([dag_id], run_id=run_id, task_id=task_id, map_index=map_index, limit=1)
    return found[0] if found else None


def _progress(record: ProgressRecord) -> dict[str, Any]:
    progress = record.progress
    return {
        **record.to_dict(),
        "done": progress.done,
        "share": progress.share,
        "minutes_left": progress.minutes_left,
        "text": str(progress),
    }


def _shown(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest without the user information of URLs, which can be a password."""
    outputs = {name: without_user(path) for name, path in manifest["outputs"].items()}
    return {**manifest, "outputs": outputs}


def _read_report(path: str) -> bytes:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_engagement.report.document import GENERATOR

    place: Any = open_storage(path, ObjectStoragePath)
    # The XCom of a task can name any path, so only a report is shown.
    if not place.name.endswith(".html") or not place.exists():
        raise HTTPException(404, NO_REPORT)
    with place.open("rb") as file:
        content: bytes = file.read(MAX_REPORT_BYTES)
    if GENERATOR.encode() not in content[:500]:
        raise HTTPException(404, NO_REPORT)
    return content
