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

    :param open_reader: opens the dataset, when the first figure is made.
    :param options: returns the parameters of :func:`~airflow_provider_engagement.report.choice.choose`.
    :param zone_is_preference: whether to use another time zone if days of the given one cannot be made.
    """

    def __init__(
        self,
        open_reader: Callable[[], DatasetReader],
        options: Callable[[DatasetReader], Mapping[str, Any]],
        *,
        zone_is_preference: bool,
    ) -> None:
        self._open_reader = open_reader
        self._options = options
        self._zone_is_preference = zone_is_preference
        self._figures: DatasetFigures | None = None
        self._made: dict[str, Figure] = {}
        self._lock = Lock()

    def figure(self, name: str) -> tuple[Figure, Selection]:
        """Return a figure, and what it shows."""
        with self._lock:
            if self._figures is None:
                reader = self._open_reader()
                self._figures = DatasetFigures(reader, self._choose(reader))
            if name not in self._made:
                self._made[name] = self._figures.figure(name)
            return self._made[name], self._figures.selection

    def _choose(self, reader: DatasetReader) -> Selection:
        options = self._options(reader)
        try:
            return choose(reader, **options)
        except InvalidQueryError as error:
            if error.field != "time_zone" or not self._zone_is_preference:
                raise
        # The days of the dataset have another time zone, or days of this one do not start on a whole hour of UTC.
        try:
            return choose(reader, **{**options, "zone": None})
        except InvalidQueryError:
            return choose(reader, **{**options, "zone": ZoneInfo("UTC")})
