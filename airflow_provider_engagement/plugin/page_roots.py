"""What the API server may open for the page: folders and storages that an administrator allows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from airflow.configuration import conf

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.storage.contained_paths import is_contained
from airflow_provider_engagement.storage.user_information import (
    NO_CONNECTION,
    USE_CONNECTION,
    holds_secret,
    without_user,
)

DEFAULT_ROOTS = ("file:///", "s3://", "gs://", "abfs://", "abfss://", "adl://")
"""Local folders and object stores. An address of the web is none, so a path cannot send a request to any host."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_LOCAL = ("file", "local")

ResultT = TypeVar("ResultT")


class RefusedPathError(Exception):
    """A path is not below one of the allowed roots.

    :param path: the path.
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            f"The page is not allowed to read '{without_user(path)}'. An administrator can allow its folder in the "
            "option page_roots of the section [engagement] of Airflow's configuration."
        )


class MissingStorageError(Exception):
    """The API server has no package for a storage.

    :param path: the path of the dataset.
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            f"The API server cannot open '{without_user(path)}'. Install the Airflow provider of this storage there."
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a storage.

    :param scheme: the scheme; ``file`` for a local path.
    :param bucket: the bucket or container, with the id of the connection in front of it; empty for a local path.
    :param parts: the components of the path.
    """

    scheme: str
    bucket: str
    parts: tuple[str, ...]

    def contains(self, other: _Place) -> bool:
        if self.scheme != other.scheme:
            return False
        is_whole_storage = not self.bucket and not self.parts
        return is_whole_storage or (self.bucket == other.bucket and self.parts == other.parts[: len(self.parts)])


def check_root(path: str) -> None:
    """Refuse a path that the API server must not open for the page. Open nothing.

    :param path: the path or URL of a dataset or a report, as an XCom names it.
    :raises RefusedPathError: if it is not below one of the roots of the configuration.
    :raises InvalidQueryError: if a root of the configuration is not valid.
    """
    place = _place_of(path)
    if place is None or not any(root.contains(place) for root in _roots()):
        raise RefusedPathError(path)


def open_storage(path: str, opened: Callable[[str], ResultT]) -> ResultT:
    """Return what a function opens at a path.

    :param path: the path or URL, as an XCom names it.
    :param opened: opens it.
    :raises RefusedPathError: if an administrator does not allow the path. Nothing is opened.
    :raises MissingStorageError: if there is no package for the storage.
    """
    check_root(path)
    result = opened(path)
    try:
        # Airflow looks for the package of the storage only now.
        getattr(getattr(result, "folder", result), "fs", None)
    except (ImportError, ValueError) as error:
        raise MissingStorageError(path) from error
    return result


def store_of(folder: str) -> str:
    """Return what identifies the store of a dataset: its bucket, or on a disk its folder.

    :param folder: the path or URL of the dataset.
    """
    scheme, separator, rest = folder.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}" if separator and scheme not in _LOCAL else folder


def _roots() -> list[_Place]:
    listed = [root.strip() for root in conf.get("engagement", "page_roots", fallback="").split(",") if root.strip()]
    own = conf.get("engagement", "default_dataset_path", fallback="").strip()
    places = []
    for option, paths in (("page_roots", listed), ("default_dataset_path", [own])):
        if any(map(holds_secret, paths)):
            raise InvalidQueryError(f"[engagement] {option}", NO_CONNECTION, USE_CONNECTION)
    for root in listed or DEFAULT_ROOTS:
        place = _place_of(f"{root}//" if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:", root) else root)
        if place is None:
            raise InvalidQueryError(
                "[engagement] page_roots",
                f"'{without_user(root)}' is neither an absolute path nor a URL",
                "Correct Airflow's configuration.",
            )
        places.append(place)
    if own and (place := _place_of(own)) is not None:
        places.append(place)
    return places


def _place_of(path: str) -> _Place | None:
    """Return the place of a path, with all links resolved; ``None`` if it is relative or unclear."""
    if not path.isprintable() or "::" in path or "\\" in path or holds_secret(path):
        return None
    scheme, separator, rest = path.partition("://")
    scheme = scheme.lower() if separator else "file"
    if not _SCHEME.fullmatch(scheme):
        return None
    if scheme in _LOCAL:
        local = rest if separator else path
        local = local[local.index("/") :] if separator and "@" in local.partition("/")[0] and "/" in local else local
        parts = [part for part in local.split("/") if part]
        if not local.startswith("/") or not all(map(is_contained, parts)):
            return None
        return _Place("file", "", tuple(part for part in os.path.realpath(local).split("/") if part))
    bucket, _, key = rest.partition("/")
    parts = [part for part in key.split("/") if part]
    return _Place(scheme, bucket, tuple(parts)) if all(map(is_contained, parts)) else None
