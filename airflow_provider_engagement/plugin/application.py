"""The application behind the page: the page itself, and the data of its figures.

Every route checks that the user can see plugins, and a route of a DAG that the user can read the DAG's XComs. A route
reads only datasets that tasks of that DAG wrote.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import resources
from importlib.util import find_spec
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag, requires_access_view
from airflow.models.dag import DagModel
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from airflow_provider_engagement.dataset.storage import unique_name
from airflow_provider_engagement.exceptions import EngagementError, IncompatibleTableError, InvalidQueryError
from airflow_provider_engagement.inputs.report_options import parse_report_options
from airflow_provider_engagement.inputs.times import parse_time_zone
from airflow_provider_engagement.plugin.manifests import (
    FoundManifest,
    find_manifests,
    find_open_backfills,
    find_report,
    state_of,
)
from airflow_provider_engagement.plugin.store_work import BusyError, RecentResults, StoreWork

NO_REPORT = "The report does not exist any more, or the API server cannot read its storage."
MAX_REPORT_BYTES = 20_000_000

UNREADABLE = 502

NOT_INSTALLED = "The page requires altair and vl-convert-python. Install airflow-provider-engagement[report]."

log = logging.getLogger(__name__)

_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_FILES = {"page.css": "text/css", "page.js": "text/javascript"}
_FILE_CACHE = {"Cache-Control": "private, max-age=300"}

CAN_SEE_PLUGINS = Depends(requires_access_view(AccessView.PLUGINS))
CAN_READ_DAG = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))

Task = Annotated[str, Query(max_length=250)]
Run = Annotated[str, Query(max_length=250)]
Text = Annotated[str, Query(max_length=4_000)]


def make_application(work: StoreWork | None = None) -> FastAPI:
    """Return the application.

    :param work: runs the reads of datasets.
    """
    application = FastAPI(
        title="Engagement", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[CAN_SEE_PLUGINS]
    )
    work = work or StoreWork()
    recent = RecentResults()
    _add_error_handlers(application)
    _add_page(application, work)
    _add_data(application, work, recent, RecentResults())
    return application


def _add_error_handlers(application: FastAPI) -> None:
    def handler(status: int, text: Callable[[Any], str]) -> Any:
        def handle(request: Request, error: Any) -> JSONResponse:
            if status == UNREADABLE:
                # The error of a storage can contain secrets, so it is only logged.
                log.warning("A dataset cannot be read.", exc_info=error)
            return JSONResponse({"detail": text(error)}, status_code=status, headers=_SECURITY_HEADERS)

        return handle

    application.add_exception_handler(InvalidQueryError, handler(400, str))
    application.add_exception_handler(IncompatibleTableError, handler(409, str))
    for error_class in (EngagementError, OSError):
        application.add_exception_handler(
            error_class,
            handler(UNREADABLE, lambda error: "The store cannot be read. The log of the API server has the reason."),
        )
    application.add_exception_handler(
        TimeoutError,
        handler(504, lambda error: "The store of the dataset did not answer in time. Choose less, or try again later."),
    )
    application.add_exception_handler(
        BusyError, handler(503, lambda error: "Too many readers are waiting for stores. Try again in a minute.")
    )


def _add_page(application: FastAPI, work: StoreWork) -> None:
    @application.get("/")
    def page() -> Response:
        return Response(_file("index.html"), media_type="text/html", headers=_SECURITY_HEADERS)

    @application.get("/files/{name}")
    def file(name: str) -> Response:
        if name not in _FILES:
            raise HTTPException(404)
        return Response(_file(name), media_type=_FILES[name], headers={**_SECURITY_HEADERS, **_FILE_CACHE})

    @application.get("/vega.js")
    async def vega() -> Response:
        _check_installed()
        from airflow_provider_engagement.plugin.vega_script import vega_script

        content = await work.run(vega_script)
        headers = {**_SECURITY_HEADERS, "Cache-Control": "private, max-age=86400"}
        return Response(content, media_type="text/javascript", headers=headers)

    @application.get("/report", dependencies=[CAN_READ_DAG])
    async def report(dag_id: Task, run_id: Run, task_id: Task, map_index: int = -1) -> Response:
        path = await work.run(partial(find_report, dag_id, run_id, task_id, map_index))
        if path is None:
            raise HTTPException(404, "This task has written no report.")
        content = await work.run(partial(_read_report, path))
        # A report contains no script. The sandbox keeps a file that someone has replaced from having one.
        policy = "sandbox allow-downloads allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        headers = {**_SECURITY_HEADERS, "Content-Security-Policy": policy}
        return Response(content, media_type="text/html", headers=headers)


def _add_data(application: FastAPI, work: StoreWork, recent: RecentResults, folders: RecentResults) -> None:
    @application.get("/data/datasets")
    async def datasets(user: GetUserDep) -> Any:
        manifests = await work.run(lambda: _manifests_for(user))
        return {"datasets": _datasets(manifests)}

    @application.get("/data/rate_limit/{name}")
    async def rate_limit(user: GetUserDep, name: str, zone: Text = "UTC", form: str = "json") -> Any:
        _check_installed()
        from airflow_provider_engagement.plugin import rate_limit_figures

        now, time_zone = datetime.now(UTC), _zone_or_utc(zone)

        def make() -> Any:
            if name == "backfills":
                found = find_open_backfills(_readable_dags(user))
                return rate_limit_figures.backfills_figure(found, now=now, zone=time_zone)
            manifests = _manifests_for(user, since=now - timedelta(days=1))
            if name == "use":
                return rate_limit_figures.use_figure(manifests, now=now, zone=time_zone)
            return rate_limit_figures.pulls_figure(manifests, zone=time_zone)

        if name not in ("use", "pulls", "backfills"):
            raise HTTPException(404)
        return _figure_response(await work.run(make), form)

    @application.get("/data/dags/{dag_id}/pull", dependencies=[CAN_READ_DAG])
    async def pull(dag_id: str, run_id: Run, task_id: Task, map_index: int = -1) -> Any:
        instance = (dag_id, run_id, task_id, map_index)
        manifest = await work.run(partial(_manifest_of, *instance))
        state = await work.run(partial(state_of, *instance))
        if state is None:
            raise HTTPException(404, "There is no such task instance.")
        return {
            "state": state[0],
            "operator": state[1],
            "manifest": None if manifest is None else _without_rows(manifest.content),
            "dataset": manifest and manifest.dataset_id,
        }

    @application.get("/data/dags/{dag_id}/pull/{name}", dependencies=[CAN_READ_DAG])
    async def pull_figure(
        dag_id: str,
        name: str,
        run_id: Run,
        task_id: Task,
        map_index: int = -1,
        zone: Text = "UTC",
        form: str = "json",
    ) -> Any:
        _check_installed()
        from airflow_provider_engagement.plugin.rate_limit_figures import history_figure
        from airflow_provider_engagement.report import pull_figures

        makers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "requests": pull_figures.requests_figure,
            "missing": pull_figures.missing_figure,
            "outputs": pull_figures.outputs_figure,
            "adjustments": pull_figures.adjustments_figure,
        }

        def make() -> Any:
            if name == "history":
                found = find_manifests([dag_id], task_id=task_id, map_index=map_index)
                return history_figure(found[:100], zone=_zone_or_utc(zone))
            manifest = _manifest_of(dag_id, run_id, task_id, map_index)
            if manifest is None:
                raise HTTPException(404, "This task instance has no manifest of a pull.")
            if name in makers:
                return makers[name](manifest.content)
            if manifest.folder is None:
                raise HTTPException(404, "The pull has no dataset. Set output_path to see its Tweets.")
            from airflow_provider_engagement.plugin.shared_figures import tweets_of_pull

            mapped = [map_index] if map_index >= 0 else []
            task = unique_name(dag_id, task_id, *mapped)
            return tweets_of_pull(_reader(manifest.folder), manifest.content, task=task)

        if name not in ("history", "tweets") and name not in makers:
            raise HTTPException(404)
        return _figure_response(await work.run(make), form)

    @application.get("/data/dags/{dag_id}/datasets/{dataset_id}/{name}", dependencies=[CAN_READ_DAG])
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
        _check_installed()
        from airflow_provider_engagement.plugin.shared_figures import SharedFigures
        from airflow_provider_engagement.report.dataset_figures import FIGURES

        if name not in FIGURES:
            raise HTTPException(404)
        options = parse_report_options(
            start=start, end=end, metrics=metrics, granularity=granularity, tweet_ids=tweet_ids
        )
        options["zone"] = _zone_or_utc(zone) if zone else None

        def make() -> Any:
            folder = folders.get((dag_id, dataset_id), lambda: _folder_of(dag_id, dataset_id))
            key = (folder, start, end, metrics, granularity, tweet_ids, zone)
            shared = recent.get(key, lambda: SharedFigures(_reader(folder), options, zone_is_wish=True))
            return shared.figure(name)

        figure, selection = await work.run(make)
        shown = {
            "start": selection.interval.start.isoformat(),
            "end": selection.interval.end.isoformat(),
            "metrics": selection.metrics,
            "granularity": selection.step,
            "zone": selection.zone.key,
        }
        return _figure_response(figure, form, shown)


def _file(name: str) -> bytes:
    return resources.files("airflow_provider_engagement.plugin").joinpath("page", name).read_bytes()


def _check_installed() -> None:
    if find_spec("altair") is None or find_spec("vl_convert") is None:
        raise HTTPException(501, NOT_INSTALLED)


def _zone_or_utc(name: str) -> ZoneInfo:
    try:
        return parse_time_zone(name)
    except InvalidQueryError:
        return ZoneInfo("UTC")


def _manifests_for(user: Any, since: datetime | None = None) -> list[FoundManifest]:
    """Return the manifests of the DAGs whose XComs a user can read."""
    found = find_manifests(_readable_dags(user), since=since)
    readable = {dag_id for dag_id in {manifest.dag_id for manifest in found} if _can_read_xcoms(user, dag_id)}
    return [manifest for manifest in found if manifest.dag_id in readable]


def _readable_dags(user: Any) -> set[str]:
    return get_auth_manager().get_authorized_dag_ids(user=user)


def _can_read_xcoms(user: Any, dag_id: str) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.XCOM, details=details, user=user
    )


def _manifest_of(dag_id: str, run_id: str, task_id: str, map_index: int) -> FoundManifest | None:
    found = find_manifests([dag_id], run_id=run_id, task_id=task_id, map_index=map_index)
    return found[0] if found else None


def _without_rows(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest without the rows that it contains if the pull has no dataset."""
    return {name: value for name, value in manifest.items() if not isinstance(value, list) or len(value) < 100}


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


def _reader(folder: str) -> Any:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_engagement.hooks.storage_options import table_address
    from airflow_provider_engagement.report.dataset_reader import DatasetReader

    return DatasetReader(ObjectStoragePath(folder), address_of=table_address)


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


def _figure_response(figure: Any, form: str, shown: Mapping[str, Any] | None = None) -> Response:
    """Return a figure as JSON, or its table as CSV."""
    from airflow_provider_engagement.report.csv_text import to_csv

    if form == "csv":
        headers = {**_SECURITY_HEADERS, "Content-Disposition": f'attachment; filename="{figure.name}.csv"'}
        return PlainTextResponse(to_csv(figure), media_type="text/csv", headers=headers)
    content = {
        "name": figure.name,
        "title": figure.title,
        "text": figure.text,
        "columns": [{"name": column.name, "title": column.title, "kind": column.kind} for column in figure.columns],
        "rows": [[_json_value(value) for value in row] for row in figure.rows],
        "plots": figure.plots,
        "notes": figure.notes,
        "zone": figure.zone,
        "shown": shown,
    }
    return JSONResponse(content, headers={**_SECURITY_HEADERS, "Cache-Control": "no-store"})


def _json_value(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
