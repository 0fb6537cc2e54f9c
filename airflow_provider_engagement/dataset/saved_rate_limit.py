"""What the last task knew of the rate limit, saved beside the stored responses for the next task.

The saved state is a hint; the API's headers decide. With the hint, the next task does not send a request that the API
would reject because the task before it used up the quota.
"""

from __future__ import annotations

import hashlib
import json
import time

from airflow_provider_engagement.api.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.dataset.storage import StoragePath, write_atomically
from airflow_provider_engagement.dataset.temporary_files import TemporaryFiles

FOLDER = "_rate_limit"


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
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            snapshot = RateLimitSnapshot.from_dict(json.loads(file.read()))
        valid_until = max(snapshot.resets_at or 0.0, snapshot.held_until or 0.0)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return snapshot if valid_until > time.time() else None


def _path(folder: StoragePath, quota_key: str) -> StoragePath:
    return folder / FOLDER / f"{hashlib.sha256(quota_key.encode()).hexdigest()[:16]}.json"
