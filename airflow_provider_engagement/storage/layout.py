"""The names of the folders in a dataset that are not tables. Readers of datasets ignore names with an underscore."""

from __future__ import annotations

from typing import Final

RESPONSES_FOLDER: Final = "_responses"
MANIFESTS_FOLDER: Final = "_manifests"
REPORTS_FOLDER: Final = "_reports"
RATE_LIMIT_FOLDER: Final = "_rate_limit"
TEMPORARY_FOLDER: Final = "_temporary"
STAGED_FOLDER: Final = "_staged"
LOCKS_FOLDER: Final = "_locks"

DELTA_LOG_FOLDER: Final = "_delta_log"
"""The folder in that of a Delta table, as the Delta protocol names it."""
