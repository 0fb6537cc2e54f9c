"""The application behind the page: the page itself, its errors, and the routes of its data.

Every route checks that the user can see plugins, and a route of a DAG that the user can read the DAG's XComs. A route
reads only datasets that tasks of that DAG wrote.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import resources
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from airflow_provider_engagement.exceptions import EngagementError, IncompatibleTableError, InvalidQueryError
from airflow_provider_engagement.plugin.access import CAN_SEE_PLUGINS
from airflow_provider_engagement.plugin.dataset_routes import dataset_routes
from airflow_provider_engagement.plugin.figure_responses import SECURITY_HEADERS, check_installed
from airflow_provider_engagement.plugin.rate_limit_routes import rate_limit_routes
from airflow_provider_engagement.plugin.store_work import BusyError, StoreWork
from airflow_provider_engagement.plugin.task_routes import task_routes

UNREADABLE = 502

log = logging.getLogger(__name__)

_FILES = {"page.css": "text/css", "page.js": "text/javascript"}
_FILE_CACHE = {"Cache-Control": "private, max-age=300"}


def make_application(work: StoreWork | None = None) -> FastAPI:
    """Return the application.

    :param work: runs the reads of datasets.
    """
    application = FastAPI(
        title="Engagement", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[CAN_SEE_PLUGINS]
    )
    work = work or StoreWork()
    _add_error_handlers(application)
    _add_page(application, work)
    for routes in (task_routes, dataset_routes, rate_limit_routes):
        application.include_router(routes(work))
    return application


def _add_error_handlers(application: FastAPI) -> None:
    def handler(status: int, text: Callable[[Any], str]) -> Any:
        def handle(request: Request, error: Any) -> JSONResponse:
            if status == UNREADABLE:
                # The error of a storage can contain secrets, so it is only logged.
                log.warning("A dataset cannot be read.", exc_info=error)
            return JSONResponse({"detail": text(error)}, status_code=status, headers=SECURITY_HEADERS)

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
        return Response(_file("index.html"), media_type="text/html", headers=SECURITY_HEADERS)

    @application.get("/files/{name}")
    def file(name: str) -> Response:
        if name not in _FILES:
            raise HTTPException(404)
        return Response(_file(name), media_type=_FILES[name], headers={**SECURITY_HEADERS, **_FILE_CACHE})

    @application.get("/vega.js")
    async def vega() -> Response:
        check_installed()
        from airflow_provider_engagement.plugin.vega_script import vega_script

        content = await work.run(vega_script)
        headers = {**SECURITY_HEADERS, "Cache-Control": "private, max-age=86400"}
        return Response(content, media_type="text/javascript", headers=headers)


def _file(name: str) -> bytes:
    return resources.files("airflow_provider_engagement.plugin").joinpath("page", name).read_bytes()
