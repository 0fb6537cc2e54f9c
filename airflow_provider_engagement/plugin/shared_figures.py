"""The figures of a dataset for several requests: what one of them reads, the others use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.compute as compute

from airflow_provider_engagement.dataset.schema import TWEET_STATUS
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.report.completeness_figures import tweets_figure
from airflow_provider_engagement.report.dataset_figures import DatasetFigures, choose
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.report.figure import Figure
from airflow_provider_engagement.report.selection import Selection

_RUN_DATE = re.compile(r"/run_date=(\d{4}-\d{2}-\d{2})/")


def tweets_of_pull(reader: DatasetReader, manifest: Mapping[str, Any], *, task: str) -> Figure:
    """Return the outcome of each Tweet of a pull.

    :param reader: reads the dataset of the pull.
    :param manifest: the manifest of the pull.
    :param task: the name of the task in ``tweet_status``.
    """
    found = _RUN_DATE.search(str(manifest["outputs"].get(TWEET_STATUS.name)))
    partitions = (found[1], found[1]) if found else None
    columns = ("tweet_id", "run_id", "task", "outcome", "metrics_affected", "message", "checked_at")
    rows = reader.read(TWEET_STATUS, TWEET_STATUS.name, columns, partitions=partitions)
    is_of_pull = (compute.field("run_id") == str(manifest.get("run_id"))) & (compute.field("task") == task)
    return tweets_figure(rows.filter(is_of_pull))


class SharedFigures:
    """Makes the figures of one dataset and one choice of options, one at a time.

    :param reader: reads the dataset.
    :param options: the parameters of :func:`~airflow_provider_engagement.report.dataset_figures.choose`.
    :param zone_is_wish: whether to use another time zone if days of the given one cannot be made.
    """

    def __init__(self, reader: DatasetReader, options: Mapping[str, Any], *, zone_is_wish: bool) -> None:
        self._reader = reader
        self._options = dict(options)
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
                "output_path",
                "the folder of the dataset does not exist on this machine",
                "Store datasets where the API server can read them: on a shared folder or an object store.",
            )
        try:
            return choose(self._reader, **self._options)
        except InvalidQueryError as error:
            if error.field != "time_zone" or not self._zone_is_wish:
                raise
        # The days of the dataset have another time zone, or days of this one do not start on a whole hour of UTC.
        try:
            return choose(self._reader, **{**self._options, "zone": None})
        except InvalidQueryError:
            return choose(self._reader, **{**self._options, "zone": ZoneInfo("UTC")})
