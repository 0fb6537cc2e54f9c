"""The formats of a dataset and of its files. Nothing is imported for them."""

from __future__ import annotations

from enum import StrEnum


class FileFormat(StrEnum):
    """The format of a file of a table. Its value is the suffix of the file."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON_LINES = "jsonl"


class DatasetFormat(StrEnum):
    """The format of a dataset."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON_LINES = "jsonl"
    DELTA = "delta"
    """Delta Lake tables for the rows that several runs merge, and Parquet files for the other tables."""

    @property
    def of_files(self) -> FileFormat:
        """The format of the files that only one run writes."""
        return FileFormat.PARQUET if self is DatasetFormat.DELTA else FileFormat(self.value)
