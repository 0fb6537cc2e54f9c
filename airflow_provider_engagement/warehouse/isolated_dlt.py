"""Run dlt apart from the rest of the process: in a folder of the task, with settings of this package alone.

By default, dlt reads settings from environment variables, from ``.dlt/secrets.toml`` in the working folder and from
Airflow's variables, keeps a folder below the home folder, and reports usage. Here it does none of that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import CustomLoaderDocProvider
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.specs.base_configuration import BaseConfiguration
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext, RunContextBase
from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
from dlt.common.pipeline import PipelineContext

from airflow_provider_engagement.warehouse.environment import without_client_settings

SETTINGS: Mapping[str, Any] = {
    "enable_runtime_trace": False,
    "runtime": {"intercept_signals": False, "dlthub_telemetry": False},
    "normalize": {"workers": 1, "parquet_normalizer": {"add_dlt_load_id": True}},
    "extract": {"workers": 1},
    "load": {"workers": 4, "raise_on_max_retries": 3},
}
"""All settings that dlt gets except the destination. Each row names the load that wrote it last."""

_ONE_AT_A_TIME = threading.RLock()
"""dlt keeps its run context for the whole process."""


@contextmanager
def isolated_dlt(folder: Path) -> Iterator[None]:
    """Let dlt run while the block runs. Threads of one process take turns.

    :param folder: the folder for all files of dlt.
    """
    container = Container()
    with (
        _ONE_AT_A_TIME,
        without_client_settings(),
        _own_contexts(container),
        container.injectable_context(PluggableRunContext(_IsolatedContext(str(folder)))),
        container.injectable_context(PipelineContext()) as pipelines,
    ):
        try:
            yield
        finally:
            if pipelines.is_active():
                pipelines.deactivate()


@contextmanager
def _own_contexts(container: Container) -> Iterator[None]:
    """Set aside the contexts of other users of dlt in this process, and delete those that dlt makes for this package.

    One of them records each setting that dlt looks up, with its value.
    """
    # The run context belongs to the process, the others to the thread.
    contexts = [container._thread_context(kind)[0] for kind in (PluggableRunContext, PipelineContext)]
    previous = [dict(context) for context in contexts]
    for context in contexts:
        context.clear()
    try:
        yield
    finally:
        for context, content in zip(contexts, previous, strict=True):
            context.clear()
            context.update(content)


class _IsolatedContext(RunContextBase):
    """The surroundings of dlt: one folder for everything, and settings from this package alone."""

    def __init__(self, run_dir: str | None, *args: Any, **kwargs: Any) -> None:
        self._folder = run_dir or "."
        self._runtime_config = RuntimeConfiguration()
        self._runtime_config.dlthub_telemetry = False
        self._runtime_config.resolve()

    @property
    def name(self) -> str:
        return "engagement"

    @property
    def uri(self) -> str:
        return Path(self._folder).as_uri()

    @property
    def global_dir(self) -> str:
        return self._folder

    @property
    def run_dir(self) -> str:
        return self._folder

    @property
    def local_dir(self) -> str:
        return self._folder

    @property
    def settings_dir(self) -> str:
        return str(Path(self._folder, "settings"))

    @property
    def data_dir(self) -> str:
        return self._folder

    @property
    def module(self) -> ModuleType | None:
        return None

    @property
    def runtime_kwargs(self) -> dict[str, Any]:
        return {}

    def initial_providers(self) -> list[ConfigProvider]:
        extras = {"providers": {"enable_airflow_secrets": False}}
        return [CustomLoaderDocProvider("engagement", lambda: {**SETTINGS, **extras}, supports_secrets=True)]

    def initialize_runtime(self, runtime_config: RuntimeConfiguration | None = None) -> None:
        """Start neither the logging nor the telemetry of dlt."""

    @property
    def runtime_config(self) -> RuntimeConfiguration:
        return self._runtime_config

    @property
    def config(self) -> BaseConfiguration:
        return BaseConfiguration()

    def get_data_entity(self, entity: str) -> str:
        return str(Path(self._folder, entity))

    def get_run_entity(self, entity: str) -> str:
        return str(Path(self._folder, entity))

    def get_setting(self, setting_path: str) -> str:
        return str(Path(self.settings_dir, setting_path))

    def plug(self) -> None:
        """Do nothing."""

    def unplug(self) -> None:
        """Do nothing."""

    def reset_config(self) -> None:
        """Do nothing."""
