"""An operator that tidies up a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class EngagementTidyOperator(BaseOperator):
    """Compacts the Delta tables of a dataset, and deletes the files that earlier versions and killed pulls left.

    Run it once a day or week, in a DAG of its own. Pulls can run at the same time. Rows, stored responses and manifests
    are not deleted.

    .. seealso:: ``docs/operators/tidy.md``

    :param dataset_path: the path or URL of the dataset folder. (templated)
    :param retention_hours: how long to keep the files of earlier versions of a Delta table, in hours; 168 by default,
        at least 24. Readers of a version that is older than this fail. An uncommitted pull never needs its files that
        long. (templated)
    """

    template_fields: Sequence[str] = ("dataset_path", "retention_hours")
    ui_color = "#d7ecfb"

    def __init__(self, *, dataset_path: str, retention_hours: float | str = 168, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset_path = dataset_path
        self.retention_hours = retention_hours

    def execute(self, context: Context) -> dict[str, Any]:
        """Tidy up the dataset, and return what was done to each Delta table."""
        from airflow_provider_engagement.operators.tidy_execution import execute_tidy

        return execute_tidy(self)
