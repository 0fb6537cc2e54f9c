"""Opens a dataset for the page, if an administrator allows it and the dataset itself confirms the pull.

A manifest is an XCom, which any task can push. It opens a dataset only if the dataset contains the same manifest. So a
task that cannot write to a dataset cannot show it to others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from fastapi import HTTPException

from airflow_provider_engagement.exceptions import IncompatibleTableError
from airflow_provider_engagement.plugin.manifests import LONGEST_LIST, FoundManifest
from airflow_provider_engagement.plugin.page_roots import open_storage
from airflow_provider_engagement.report.dataset_reader import DatasetReader, read_manifest
from airflow_provider_engagement.report.pull_figures import is_manifest
from airflow_provider_engagement.storage.contained_paths import is_contained
from airflow_provider_engagement.storage.layout import MANIFESTS_FOLDER as MANIFESTS
from airflow_provider_engagement.storage.paths import StoragePath
from airflow_provider_engagement.storage.user_information import without_user


def open_dataset(
    folder: str, manifests: Sequence[FoundManifest], reader_of: Callable[[str], DatasetReader]
) -> DatasetReader:
    """Return the reader of a dataset.

    :param folder: the path or URL of the dataset.
    :param manifests: manifests of pulls that wrote to it, as the XComs contain them.
    :param reader_of: returns the reader of a folder.
    :raises fastapi.HTTPException: with the status 404 if the dataset contains none of these manifests.
    :raises IncompatibleTableError: if the manifest names files outside of the dataset.
    """
    reader = open_storage(folder, reader_of)
    confirmed = next((each for each in manifests if each.folder == folder and _is_in(reader.folder, each)), None)
    if confirmed is None:
        raise HTTPException(
            404,
            f"The API server finds no dataset of this pull in '{without_user(folder)}'. It was deleted, or it is on "
            "another machine. Store datasets on a shared folder or an object store.",
        )
    for path in confirmed.content["outputs"].values():
        if not path.startswith(f"{folder}/") or not is_contained(path.removeprefix(f"{folder}/")):
            raise IncompatibleTableError(without_user(folder), f"its manifest names '{path}', which is not in it")
    return reader


def _is_in(folder: StoragePath, manifest: FoundManifest) -> bool:
    outputs: Mapping[str, Any] = manifest.content["outputs"]
    name = PurePosixPath(outputs["manifest"]).name
    file = folder / MANIFESTS / name
    if not is_contained(name) or not file.exists():
        return False
    stored = read_manifest(folder, file)
    if stored is None or not is_manifest(stored):
        return False
    expected = {**manifest.content, "outputs": {key: path for key, path in outputs.items() if key != "manifest"}}
    return all(
        expected.get(key) == value or (isinstance(value, list) and len(value) >= LONGEST_LIST)
        for key, value in stored.items()
    )
