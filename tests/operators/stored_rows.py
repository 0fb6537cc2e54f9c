"""Read the tables of a dataset with the readers of other projects, whatever their format."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars
from pyarrow import parquet

INTEGERS = {"old_value", "new_value", "tweets", "hour_of_day"}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a file, of all files below a folder, or of the Delta table there."""
    if (folder / "_delta_log").exists():
        return [_typed(row) for row in polars.read_delta(str(folder)).to_dicts()]
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*.*") if path.is_file())
    return [_typed(row) for path in paths for row in _rows_of_file(path)]


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the content of all files below a folder except locks."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "_locks" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def tweets_of_response(content: bytes) -> frozenset[str]:
    """Return the Tweets that a stored response is about."""
    from io import BytesIO

    about = json.loads(parquet.read_schema(BytesIO(content)).metadata[b"engagement"])
    return frozenset(about["statuses"])


def _rows_of_file(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".parquet":
        yield from parquet.ParquetFile(path).read().to_pylist()
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            yield from ({name: value or None for name, value in row.items()} for row in csv.DictReader(file))
    elif path.suffix == ".jsonl":
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if value is None or name.endswith("_date") or name.endswith("_month"):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if name.endswith(("_at", "_start", "_end")):
        return datetime.fromisoformat(value).astimezone(UTC)
    if name == "is_final":
        return value in (True, "true", "True")
    is_count = name in INTEGERS or (isinstance(value, str) and name in ("impressions", "favorites", "retweets"))
    return int(value) if is_count else value
