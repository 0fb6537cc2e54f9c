"""A table cannot lead its readers to files of somebody else: not through its log, and not through links."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.exceptions import IncompatibleTableError
from airflow_provider_engagement.storage.contained_paths import check_contained, is_contained
from airflow_provider_engagement.tables.dataset_format import DatasetFormat, FileFormat
from airflow_provider_engagement.tables.delta_log import compact
from airflow_provider_engagement.tables.tidying import tidy

from .test_table_batches import PLACE, read, write

OUTSIDE = [
    "/etc/passwd",
    "//server/share",
    "\\\\server\\share",
    "..",
    "../other/rows.parquet",
    "period_date=2026-01-05/../../../other.parquet",
    "..\\other.parquet",
    "%2e%2e/other.parquet",
    "%2E%2E%2Fother.parquet",
    "%252e%252e/other.parquet",
    "%2Fetc%2Fpasswd",
    "file:///etc/passwd",
    "s3://bucket/rows.parquet",
    "http://127.0.0.1/rows.parquet",
    "s3a%3A%2F%2Fbucket/rows.parquet",
    "C:\\rows.parquet",
    "~/rows.parquet",
    "a\0b",
    "",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_that_leaves_its_folder_is_not_contained(path: str) -> None:
    assert not is_contained(path)


@pytest.mark.parametrize(
    "path", ["rows.parquet", "period_date=2026-01-05/a..b.parquet", "a=1%2F2/rows.parquet", "...", "a=x:y/f"]
)
def test_a_path_below_its_folder_is_contained(path: str) -> None:
    assert is_contained(path)


@given(st.lists(st.sampled_from(["..", ".", "a", "b=1", "/", "%2e%2e", "%2F", "\\"]), max_size=6))
def test_what_is_contained_stays_below_the_folder_however_often_it_is_decoded(parts: list[str]) -> None:
    path = "/".join(parts)
    if is_contained(path):
        for form in (path, path.replace("%2e", ".").replace("%2F", "/")):
            assert os.path.normpath(f"/table/{form}").startswith("/table")


def forge(folder: Path, path: str) -> None:
    """Let the log of a Delta table name one of its files by another path."""
    log = max((folder / PLACE / "_delta_log").glob("*.json"))
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    actions = [line["add"] for line in lines if "add" in line]
    actions[0]["path"] = path
    log.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


@pytest.mark.parametrize("form", ["absolute", "up", "encoded", "scheme"])
def test_a_file_that_the_log_of_a_delta_table_names_outside_it_is_not_read(tmp_path: Path, form: str) -> None:
    folder, other = tmp_path / "own", tmp_path / "other"
    write(folder, DatasetFormat.DELTA)
    write(other, DatasetFormat.DELTA)
    secret = next((other / PLACE).glob("*/*.parquet"))
    up = f"../../../other/{PLACE}/{secret.parent.name}/{secret.name}"
    forge(
        folder,
        {
            "absolute": str(secret),
            "up": up,
            "encoded": quote(up, safe="").replace(".", "%2e"),
            "scheme": secret.as_uri(),
        }[form],
    )

    with pytest.raises(IncompatibleTableError, match=r"its log names the file '.*', which is not in its folder"):
        read(folder)
    with pytest.raises(IncompatibleTableError, match="which is not in its folder"):
        compact(str(folder / PLACE), {}, retention=timedelta(0))
    assert secret.exists()


@pytest.mark.parametrize("dataset_format", list(FileFormat))
@pytest.mark.parametrize("what", ["file", "partition"])
def test_a_link_out_of_a_table_is_refused_by_name(tmp_path: Path, dataset_format: FileFormat, what: str) -> None:
    folder, other = tmp_path / "own", tmp_path / "other"
    write(folder, DatasetFormat(dataset_format))
    write(other, DatasetFormat(dataset_format))
    secret = next((other / PLACE).glob(f"*/*.{dataset_format}"))
    own = folder / PLACE / secret.parent.name
    place = own / secret.name if what == "file" else own
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to(secret if what == "file" else secret.parent)

    with pytest.raises(IncompatibleTableError, match=f"'{place}' is a link that leads out of it"):
        read(folder)


def move_out(place: Path, other: Path) -> None:
    """Replace a file or folder by a link to it elsewhere."""
    other.mkdir(exist_ok=True)
    place.rename(other / place.name)
    place.symlink_to(other / place.name)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("what", ["log", "entry", "checkpoint", "partition", "file", "foreign folder"])
def test_a_link_out_of_a_delta_table_is_refused_by_name_before_it_is_read_or_written(tmp_path: Path, what: str) -> None:
    folder, other = tmp_path / "own", tmp_path / "other"
    write(folder, DatasetFormat.DELTA)
    log = folder / PLACE / "_delta_log"
    file = next((folder / PLACE).glob("*/*.parquet"))
    place = {
        "log": log,
        "entry": max(log.glob("*.json")),
        "checkpoint": log / "_last_checkpoint",
        "partition": file.parent,
        "file": file,
        "foreign folder": folder / PLACE / "partition_date=2020-01-01",
    }[what]
    if what == "checkpoint":
        place.write_text('{"version": 0, "size": 1}', encoding="utf-8")
    if what == "foreign folder":
        place.mkdir()
        (place / "precious.parquet").write_bytes(b"of somebody else")
        os.utime(place / "precious.parquet", (0, 0))
    move_out(place, other)
    before = contents(other)

    refused = pytest.raises(IncompatibleTableError, match=f"'{place}' is a link that leads out of it")
    with refused:
        read(folder)
    with refused:
        compact(str(folder / PLACE), {}, retention=timedelta(0))
    with refused:
        tidy(folder, retention=timedelta(0))
    with refused:
        write(folder, DatasetFormat.DELTA)
    assert contents(other) == before


@pytest.mark.parametrize("dataset_format", list(DatasetFormat))
def test_a_table_that_is_a_link_out_of_its_dataset_receives_no_rows(
    tmp_path: Path, dataset_format: DatasetFormat
) -> None:
    folder, other = tmp_path / "own", tmp_path / "other"
    write(folder, dataset_format)
    move_out(folder / PLACE, other)
    before = contents(other)

    with pytest.raises(IncompatibleTableError, match="is a link that leads out of it"):
        write(folder, dataset_format)
    if dataset_format is DatasetFormat.DELTA:
        with pytest.raises(IncompatibleTableError, match="is a link that leads out of it"):
            tidy(folder, retention=timedelta(0))
    assert contents(other) == before


@pytest.mark.parametrize("dataset_format", list(FileFormat))
def test_rows_are_not_merged_with_a_file_outside_the_table(tmp_path: Path, dataset_format: FileFormat) -> None:
    folder, other = tmp_path / "own", tmp_path / "other"
    write(folder, DatasetFormat(dataset_format))
    place = next((folder / PLACE).glob(f"*/*.{dataset_format}"))
    move_out(place, other)

    with pytest.raises(IncompatibleTableError, match=f"'{place}' is a link that leads out of it"):
        write(folder, DatasetFormat(dataset_format))
    assert place.is_symlink()


@pytest.mark.parametrize("dataset_format", list(DatasetFormat))
def test_a_folder_that_is_itself_a_link_is_read(tmp_path: Path, dataset_format: DatasetFormat) -> None:
    rows = write(tmp_path / "real", dataset_format)
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert set(read(tmp_path / "link")) == rows


def test_a_link_within_the_folder_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    check_contained(tmp_path, tmp_path / "b")
