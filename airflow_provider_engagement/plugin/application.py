"""The application behind the page: the page itself, its errors, and the routes of its data.

Every route checks that the user can see the page, and a route of a DAG that the user can read the DAG's XComs. A route
reads only datasets that the XComs of that DAG name, that the configuration allows, and that contain the same manifest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import resources
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from airflow_provider_engagement.exceptions import EngagementError, IncompatibleTableError, InvalidQueryError
from airflow_provider_engagement.plugin.access import CAN_SEE_PAGE, CAN_SEND_MORE
from airflow_provider_engagement.plugin.dataset_routes import dataset_routes
from airflow_provider_engagement.plugin.figure_responses import check_installed, foreseen
from airflow_provider_engagement.plugin.page_roots import MissingStorageError, RefusedPathError
from airflow_provider_engagement.plugin.rate_limit_routes import rate_limit_routes
from airflow_provider_engagement.plugin.secure_answers import SecureAnswers
from airflow_provider_engagement.plugin.store_work import DATABASE_THREADS, BusyError, StoreWork, UnreadableError
from airflow_provider_engagement.plugin.task_routes import task_routes
from airflow_provider_engagement.plugin.vega_script import vega_script

UNREADABLE = 502

log = logging.getLogger(__name__)

_FILES = {"page.css": "text/css", "page.js": "text/javascript"}
_FILE_CACHE = {"Cache-Control": "private, max-age=300"}
_NOT_READ = "The store cannot be read. The log of the API server has the reason."


class PageApplication(FastAPI):
    """The application, whose every answer has the headers of the page."""

    def build_middleware_stack(self) -> Any:
        """Return the application with all that is around it."""
        return SecureAnswers(super().build_middleware_stack())


def make_application(work: StoreWork | None = None) -> FastAPI:
    """Return the application.

    :param work: runs the reads of datasets. Reads of Airflow's database have threads of their own.
    """
    application = PageApplication(
        title="Engagement", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[CAN_SEE_PAGE, CAN_SEND_MORE]
    )
    work = work or StoreWork()
    database = StoreWork(threads=DATABASE_THREADS, threads_per_store=DATABASE_THREADS)
    _add_error_handlers(application)
    _add_page(application, work)
    for routes in (task_routes, dataset_routes, rate_limit_routes):
        application.include_router(routes(work, database))
    return application


def _add_error_handlers(application: FastAPI) -> None:
    def handler(status: int, text: Callable[[Any], str]) -> Any:
        def handle(request: Request, error: Any) -> JSONResponse:
            if status == UNREADABLE:
                # The error of a storage can contain secrets, so it is only logged.
                log.warning("A dataset cannot be read.", exc_info=error)
            detail = text(error).encode(errors="replace").decode()
            return JSONResponse({"detail": detail}, status_code=status)

        return handle

    application.add_exception_handler(InvalidQueryError, handler(400, str))
    application.add_exception_handler(RefusedPathError, handler(403, str))
    application.add_exception_handler(IncompatibleTableError, handler(409, str))
    application.add_exception_handler(MissingStorageError, handler(UNREADABLE, str))
    for error_class in (EngagementError, OSError, UnreadableError):
        application.add_exception_handler(error_class, handler(UNREADABLE, lambda error: _NOT_READ))
    application.add_exception_handler(
        TimeoutError,
        handler(
            504,
            lambda error: "The store of the dataset did not answer in time. Narrow the selection, or try again later.",
        ),
    )
    application.add_exception_handler(
        BusyError, handler(503, lambda error: "Too many readers are waiting for stores. Try again in a minute.")
    )


def _add_page(application: FastAPI, work: StoreWork) -> None:
    @application.get("/")
    def page() -> Response:
        return Response(_file("index.html"), media_type="text/html")

    @application.get("/files/{name}")
    def file(name: str) -> Response:
        if name not in _FILES:
            raise HTTPException(404)
        return Response(_file(name), media_type=_FILES[name], headers=_FILE_CACHE)

    @application.get("/vega.js")
    async def vega() -> Response:
        check_installed()
        content = await foreseen(work.run(vega_script, store=vega_script))
        return Response(content, media_type="text/javascript", headers={"Cache-Control": "private, max-age=86400"})


def _file(name: str) -> bytes:
    return resources.files("airflow_provider_engagement.plugin").joinpath("page", name).read_bytes()
