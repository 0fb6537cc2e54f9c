"""The routes of a task instance: a pull with its figures, and the report that a task wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, HTTPException, Response

from airflow_provider_engagement.dataset.progress import ProgressRecord
from airflow_provider_engagement.plugin.access import CAN_READ_DAG
from airflow_provider_engagement.plugin.dataset_routes import reader_of
from airflow_provider_engagement.plugin.figure_responses import (
    SECURITY_HEADERS,
    Identifier,
    Text,
    check_installed,
    figure_response,
    zone_or_utc,
)
from airflow_provider_engagement.plugin.manifests import FoundManifest, find_manifests, find_report, state_of
from airflow_provider_engagement.plugin.progress_states import find_progress
from airflow_provider_engagement.plugin.store_work import RecentResults, StoreWork

NO_REPORT = "The report does not exist any more, or the API server cannot read its storage."
MAX_REPORT_BYTES = 20_000_000

OF_DATASET = ("series", "top", "rhythm", "top_totals", "snapshots")
"""The figures that show the Tweets of the pull in its dataset."""


def task_routes(work: StoreWork) -> APIRouter:
    """Return the routes.

    :param work: runs the reads of datasets.
    """
    router = APIRouter()
    recent = RecentResults()

    @router.get("/report", dependencies=[CAN_READ_DAG])
    async def report(dag_id: Identifier, run_id: Identifier, task_id: Identifier, map_index: int = -1) -> Response:
        path = await work.run(partial(find_report, dag_id, run_id, task_id, map_index))
        if path is None:
            raise HTTPException(404, "This task has written no report.")
        content = await work.run(partial(_read_report, path))
        # A report contains no script. The sandbox keeps a file that someone has replaced from having one.
        policy = "sandbox allow-downloads allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        headers = {**SECURITY_HEADERS, "Content-Security-Policy": policy}
        return Response(content, media_type="text/html", headers=headers)

    @router.get("/data/dags/{dag_id}/pull", dependencies=[CAN_READ_DAG])
    async def pull(dag_id: str, run_id: Identifier, task_id: Identifier, map_index: int = -1) -> Any:
        instance = (dag_id, run_id, task_id, map_index)
        manifest = await work.run(partial(_manifest_of, *instance))
        state = await work.run(partial(state_of, *instance))
        if state is None:
            raise HTTPException(404, "There is no such task instance.")
        record = None if manifest else await work.run(partial(find_progress, *instance))
        return {
            "state": state[0],
            "operator": state[1],
            "progress": record and _progress(record),
            "manifest": None if manifest is None else _without_rows(manifest.content),
            "dataset": manifest and manifest.dataset_id,
        }

    @router.get("/data/dags/{dag_id}/pull/{name}", dependencies=[CAN_READ_DAG])
    async def pull_figure(
        dag_id: str,
        name: str,
        run_id: Identifier,
        task_id: Identifier,
        map_index: int = -1,
        zone: Text = "UTC",
        form: str = "json",
    ) -> Any:
        check_installed()
        from airflow_provider_engagement.plugin.rate_limit_figures import history_figure
        from airflow_provider_engagement.plugin.shared_figures import SharedFigures
        from airflow_provider_engagement.report import pull_figures
        from airflow_provider_engagement.report.completeness_figures import tweets_figure
        from airflow_provider_engagement.report.pull_selection import options_of_pull, statuses_of_pull

        makers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "requests": pull_figures.requests_figure,
            "missing": pull_figures.missing_figure,
            "owners": pull_figures.owners_figure,
            "outputs": pull_figures.outputs_figure,
            "adjustments": pull_figures.adjustments_figure,
        }

        def make() -> Any:
            if name == "history":
                found = find_manifests([dag_id], task_id=task_id, map_index=map_index)
                return history_figure(found[:100], zone=zone_or_utc(zone))
            manifest = _manifest_of(dag_id, run_id, task_id, map_index)
            if manifest is None:
                raise HTTPException(404, "This task instance has no manifest of a pull.")
            content, folder = manifest.content, manifest.folder
            if name in makers:
                return makers[name](content)
            if folder is None:
                raise HTTPException(404, "The pull has no dataset. Set output_path to see its Tweets.")
            reader = reader_of(folder)
            if name == "tweets":
                return tweets_figure(statuses_of_pull(reader, content))

            def options() -> Mapping[str, Any]:
                return {**options_of_pull(reader, content), "zone": zone_or_utc(zone)}

            key = (dag_id, run_id, task_id, map_index, zone)
            shared = recent.get(key, lambda: SharedFigures(reader, options, zone_is_wish=True))
            figure, _ = shared.figure(name)
            return figure

        if name not in ("history", "tweets", *OF_DATASET) and name not in makers:
            raise HTTPException(404)
        return figure_response(await work.run(make), form)

    return router


def _manifest_of(dag_id: str, run_id: str, task_id: str, map_index: int) -> FoundManifest | None:
    found = find_manifests([dag_id], run_id=run_id, task_id=task_id, map_index=map_index)
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


def _without_rows(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest without the rows that it contains if the pull has no dataset."""
    return {name: value for name, value in manifest.items() if not isinstance(value, list) or len(value) < 100}


def _read_report(path: str) -> bytes:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_engagement.report.document import GENERATOR

    place: Any = ObjectStoragePath(path)
    # The XCom of a task can name any path, so only a report is shown.
    if not place.name.endswith(".html") or not place.exists():
        raise HTTPException(404, NO_REPORT)
    with place.open("rb") as file:
        content: bytes = file.read(MAX_REPORT_BYTES)
    if GENERATOR.encode() not in content[:500]:
        raise HTTPException(404, NO_REPORT)
    return content
