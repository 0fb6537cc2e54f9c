"""The Airflow plugin: an entry of the navigation, a tab on task instances, and the application behind them.

Airflow loads plugins in all of its processes, also in workers. So this module imports nothing of the application. The
application is built when it gets its first request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from threading import Lock
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/engagement"
"""The path of the page below Airflow's address."""

_TASK_INSTANCE = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"

Message = MutableMapping[str, Any]


class LazyApplication:
    """An ASGI application that is built when the first request arrives."""

    def __init__(self) -> None:
        self._application: Any = None
        self._lock = Lock()

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        with self._lock:
            if self._application is None:
                from airflow_provider_engagement.plugin.application import make_application

                self._application = make_application()
        await self._application(scope, receive, send)


class EngagementPlugin(AirflowPlugin):
    """Adds the page *Engagement* to Airflow."""

    name = "engagement"
    fastapi_apps: list[Any] = [  # noqa: RUF012 - as in the base class
        {"app": LazyApplication(), "url_prefix": PREFIX, "name": "Engagement"}
    ]
    external_views: list[Any] = [  # noqa: RUF012 - as in the base class
        {
            "name": "Engagement",
            "href": f"{PREFIX.lstrip('/')}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "engagement",
        },
        {
            "name": "Engagement",
            "href": f"{PREFIX.lstrip('/')}/?{_TASK_INSTANCE}",
            "destination": "task_instance",
            # Airflow leaves out a view whose route another view has.
            "url_route": "engagement-pull",
        },
    ]
