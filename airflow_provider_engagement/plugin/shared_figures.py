"""The figures of a dataset for several requests: what one of them reads, the others use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.report.choice import choose
from airflow_provider_engagement.report.dataset_figures import DatasetFigures
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.report.figure import Figure
from airflow_provider_engagement.report.selection import Selection


class SharedFigures:
    """Makes the figures of one dataset and one choice of options, one at a time.

    :param reader: reads the dataset.
    :param options: returns the parameters of :func:`~airflow_provider_engagement.report.choice.choose`, when
        the first figure is made.
    :param zone_is_wish: whether to use another time zone if days of the given one cannot be made.
    """

    def __init__(self, reader: DatasetReader, options: Callable[[], Mapping[str, Any]], *, zone_is_wish: bool) -> None:
        self._reader = reader
        self._options = options
        self._zone_is_wish = zone_is_wish
        self._figures: DatasetFigures | None = None
        self._made: dict[str, Figure] = {}
        self._lock = Lock()

    def figure(self, name: str) -> tuple[Figure, Selection]:
        """Return a figure, and what it shows."""
        with self._lock:
            if self._figures is None:
                self._figures = DatasetFigures(self._reader, self._choose())
            if name not in self._made:
                self._made[name] = self._figures.figure(name)
            return self._made[name], self._figures.selection

    def _choose(self) -> Selection:
        if not self._reader.exists():
            raise InvalidQueryError(
                "dataset",
                f"the folder {self._reader.folder} does not exist on the API server",
                "It was deleted, or it is on another machine. Store datasets on a shared folder or an object store.",
            )
        options = self._options()
        try:
            return choose(self._reader, **options)
        except InvalidQueryError as error:
            if error.field != "time_zone" or not self._zone_is_wish:
                raise
        # The days of the dataset have another time zone, or days of this one do not start on a whole hour of UTC.
        try:
            return choose(self._reader, **{**options, "zone": None})
        except InvalidQueryError:
            return choose(self._reader, **{**options, "zone": ZoneInfo("UTC")})
