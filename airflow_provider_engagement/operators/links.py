"""Links that Airflow shows on a task: to the best Tweet, to the dataset and to the manifest.

Airflow resolves them when the task ends, from what the operator knows then. They need neither network nor database.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink

from airflow_provider_engagement.storage.user_information import without_user

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

_CONSOLES: Mapping[str, str] = MappingProxyType(
    {
        "s3": "https://console.aws.amazon.com/s3/buckets/{bucket}?prefix={key}",
        "gs": "https://console.cloud.google.com/storage/browser/{bucket}/{key}",
    }
)
"""The pages that show a path of a storage in a browser."""


class BestTweetLink(BaseOperatorLink):
    """Leads to the Tweet with the highest count of the first metric."""

    name = "Best Tweet"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL of the Tweet. It is empty if no Tweet was ranked."""
        return getattr(operator, "best_tweet", None) or ""


class DatasetLink(BaseOperatorLink):
    """Leads to the folder of the dataset."""

    name = "Dataset"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL of the folder. It is empty without ``dataset_path``."""
        return storage_link(getattr(operator, "dataset_path", None))


class ManifestLink(BaseOperatorLink):
    """Leads to the manifest of the pull."""

    name = "Manifest"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL of the manifest. It is empty if the pull wrote none."""
        return storage_link(getattr(operator, "manifest_path", None))


def storage_link(path: object) -> str:
    """Return a URL that a browser can open, if the storage has a page for the path, and else the URL of the path.

    :param path: a path or URL. The user information of a URL, which can be a password, is left out.
    """
    if not path:
        return ""
    parts = urlsplit(without_user(str(path)))
    bucket, key = parts.netloc, parts.path.lstrip("/")
    if not parts.scheme:
        return f"file://{quote(parts.path)}"
    if parts.scheme in _CONSOLES:
        return _CONSOLES[parts.scheme].format(bucket=bucket, key=quote(key))
    return f"{parts.scheme}://{bucket}{quote(parts.path)}"
