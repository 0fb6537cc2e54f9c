"""The files that a path stands for: one file, the files of a folder, or those that a pattern matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.id_source import FIELD

if TYPE_CHECKING:
    from airflow_provider_engagement.storage.paths import StoragePath

_HIDDEN = (".", "_")
"""How the names of files start that describe others, such as ``_SUCCESS``."""

_PATTERN = re.compile(r"[*?\[]")
_MOST_FOLDERS = 20
"""How deep folders can lie in each other. A link can lead back to its own folder."""


def part_files(path: StoragePath, *, format_of: Callable[[StoragePath], object]) -> list[StoragePath]:
    """Return the files that a path stands for, in the order of their names.

    Files and folders are left out whose name starts with a dot or an underscore, such as ``_SUCCESS``.

    :param path: a file, a folder, or a path with ``*``, ``?`` or ``[`` in place of names.
    :param format_of: returns the format of a file.
    :raises InvalidQueryError: if there is no file, or if the files have several formats.
    """
    matches = _matches(path)
    files = [file for match in matches for file in _files_below(match, _MOST_FOLDERS)]
    if not files:
        is_pattern = matches != [path]
        problem = f"no file matches {path}" if is_pattern else f"{path} is a folder without files"
        raise InvalidQueryError(FIELD, problem, "Check the path.")
    formats = {format_of(file): file for file in files}
    if len(formats) > 1:
        first, other, *_ = formats.values()
        raise InvalidQueryError(
            FIELD,
            f"{path} stands for files of several formats, such as {first.name} and {other.name}",
            "Pass a pattern such as part-*.csv.",
        )
    return files


def _matches(path: StoragePath) -> list[StoragePath]:
    """Return the path or, if it is a pattern, the paths that it matches."""
    if not _PATTERN.search(str(path)) or _exists(path):
        return [path]
    if "**" in str(path):
        raise InvalidQueryError(
            FIELD, f"{path} contains **", "Pass a folder, whose files are read at any depth, or use single stars."
        )
    matches = []
    for folder in _matches(path.parent):
        if not _PATTERN.search(path.name):
            if _exists(folder / path.name):
                matches.append(folder / path.name)
            continue
        matches += [entry for entry in _entries(folder) if fnmatchcase(entry.name, path.name)]
    return matches


def _files_below(path: StoragePath, depth: int) -> Iterator[StoragePath]:
    """Yield a file, or the files of a folder and of the folders in it."""
    if not path.is_dir():
        yield path
    elif depth == 0:
        raise InvalidQueryError(FIELD, f"{path} is too deep in other folders", "Pass a folder that is closer to it.")
    else:
        for entry in _entries(path):
            yield from _files_below(entry, depth - 1)


def _entries(folder: StoragePath) -> list[StoragePath]:
    """Return what is in a folder, in the order of the names, without what is hidden."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(_HIDDEN)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(entries, key=lambda entry: entry.name)


def _exists(path: StoragePath) -> bool:
    """Return whether a path exists that a pattern could be taken for, such as ``ids [1].csv``."""
    return any(entry.name == path.name for entry in _entries(path.parent))
