"""What the last task learnt of the rate limit, kept beside the parts for the next one.

Advisory: the API's headers remain the only truth. It spares the next task a request that would be refused where the one
before used the window up, and tells it how many others there are.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING

from airflow_provider_engagement.api.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.dataset.storage import write_atomically

if TYPE_CHECKING:
    from airflow_provider_engagement.dataset.storage import StoragePath

FOLDER = "_budget"


def keep(folder: StoragePath, app: str, snapshot: RateLimitSnapshot) -> None:
    """Keep what was learnt.

    :param folder: the dataset's folder.
    :param app: a text that differs between contracts.
    :param snapshot: what is known now.
    """
    with write_atomically(_path(folder, app)) as file:
        file.write(json.dumps(snapshot.to_dict()).encode())


def known(folder: StoragePath, app: str) -> RateLimitSnapshot | None:
    """Return what was learnt, as long as it says something of the running window.

    :param folder: the dataset's folder.
    :param app: a text that differs between contracts.
    """
    path = _path(folder, app)
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            snapshot = RateLimitSnapshot.from_dict(json.loads(file.read()))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    lasts_until = max(snapshot.resets_at or 0.0, snapshot.held_until or 0.0)
    return snapshot if lasts_until > time.time() else None


def _path(folder: StoragePath, app: str) -> StoragePath:
    return folder / FOLDER / f"{hashlib.sha256(app.encode()).hexdigest()[:16]}.json"
