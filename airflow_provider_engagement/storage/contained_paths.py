"""Paths that stay within their folder: what a table names or links to cannot lead a reader to other files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

from airflow_provider_engagement.exceptions import IncompatibleTableError
from airflow_provider_engagement.storage.paths import StoragePath, local_path

_ABSOLUTE = re.compile(r"[/\\~]|[A-Za-z][A-Za-z0-9+.-]*:")


def is_contained(path: str) -> bool:
    """Return whether a path is relative and stays below its folder, also if it is decoded as part of a URL.

    :param path: the path, as a document names it.
    """
    forms = [path]
    # Some readers decode a path twice.
    for _ in range(3):
        forms.append(unquote(forms[-1]))
    return all(
        form and "\0" not in form and not _ABSOLUTE.match(form) and ".." not in re.split(r"[/\\]", form)
        for form in forms
    )


def check_contained(folder: StoragePath, path: StoragePath) -> None:
    """Refuse a path that leaves its folder through a link. Only a disk has links. The folder itself can be one.

    :param folder: the folder.
    :param path: a path below it.
    :raises IncompatibleTableError: if the path is elsewhere. The error names it.
    """
    local_folder, local = local_path(folder), local_path(path)
    if local_folder is None or local is None:
        return
    root = os.path.realpath(local_folder)
    if os.path.commonpath([root, os.path.realpath(local)]) != root:
        raise IncompatibleTableError(
            str(folder), f"'{path}' is a link that leads out of it", "Replace the link by what it leads to"
        )


def check_links(address: str) -> None:
    """Refuse a table if any link in it leads out of it, for libraries that follow links by themselves.

    :param address: the folder of the table, or its URL. An object store has no links.
    :raises IncompatibleTableError: if there is such a link. The error names it.
    """
    if "://" in address:
        return
    for folder, folders, files in os.walk(address):
        for path in (Path(folder, name) for name in (*folders, *files)):
            if path.is_symlink():
                check_contained(Path(address), path)
