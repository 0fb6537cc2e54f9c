"""What the last task knew of the rate limit, saved beside the stored responses for the next task.

The saved state is a hint; the API's headers decide. With the hint, the next task does not send a request that the API
would reject because the task before it used up the quota.
"""

from __future__ import annotations

import hashlib
import json
import time
from itertools import islice

from airflow_provider_engagement.http.limits.headers import LONGEST_PERIOD
from airflow_provider_engagement.http.limits.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.storage.layout import RATE_LIMIT_FOLDER
from airflow_provider_engagement.storage.paths import StoragePath, write_atomically
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles

LARGEST = 10_000
"""How many bytes a file has at most. A larger one was not written by a task."""

MOST_SAVED = 1_000
"""How many quotas of a dataset are read at most."""


def save_rate_limit(
    folder: StoragePath, quota_key: str, snapshot: RateLimitSnapshot, *, writer: str | None = None
) -> None:
    """Save a snapshot of the rate limit.

    :param folder: the dataset's folder.
    :param quota_key: identifies the quota that the snapshot belongs to.
    :param snapshot: what is known now.
    :param writer: identifies the run of the task, the same in every attempt.
    """
    with write_atomically(_path(folder, quota_key), TemporaryFiles(folder, writer=writer).new()) as file:
        file.write(json.dumps(snapshot.to_dict()).encode())


def load_rate_limit(folder: StoragePath, quota_key: str) -> RateLimitSnapshot | None:
    """Return the saved snapshot, or ``None`` if there is none or if it has expired.

    :param folder: the dataset's folder.
    :param quota_key: identifies the quota.
    """
    path = _path(folder, quota_key)
    snapshot = _snapshot_of(path) if path.exists() else None
    if snapshot is None:
        return None
    valid_until = max(snapshot.resets_at or 0.0, snapshot.held_until or 0.0)
    return snapshot if valid_until > time.time() else None


def saved_rate_limits(folder: StoragePath) -> dict[str, RateLimitSnapshot]:
    """Return the saved snapshots of a dataset by quota, whether they have expired or not.

    :param folder: the dataset's folder.
    :return: the snapshots by a digest that identifies the quota, the same in every dataset.
    :raises OSError: if the storage cannot be read.
    """
    saved = folder / RATE_LIMIT_FOLDER
    named = (path for path in saved.iterdir() if path.name.endswith(".json")) if saved.exists() else ()
    paths = islice(named, MOST_SAVED)
    found = {path.name.removesuffix(".json"): _snapshot_of(path) for path in paths}
    return {quota: snapshot for quota, snapshot in found.items() if snapshot is not None}


def _snapshot_of(path: StoragePath) -> RateLimitSnapshot | None:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            return None
        snapshot = RateLimitSnapshot.from_dict(json.loads(content))
        return snapshot if _is_plausible(snapshot) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _is_plausible(snapshot: RateLimitSnapshot) -> bool:
    """Return whether the values are numbers, and no time of them is later than any limit renews."""
    values = [value for value in snapshot.to_dict().values() if value is not None]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return False
    latest = time.time() + LONGEST_PERIOD
    return all(abs(value) <= latest for value in values)


def _path(folder: StoragePath, quota_key: str) -> StoragePath:
    return folder / RATE_LIMIT_FOLDER / f"{hashlib.sha256(quota_key.encode()).hexdigest()[:16]}.json"
