"""What a database has after loads of datasets, as the documentation says it: plain dictionaries by key.

The page is ``docs/warehouse.md``: a key occurs once, each metric has its newest known count, and nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .history_model import LONG_AGO, Key, Row, older_counts
from .history_world import METRICS
from .stored_rows import rows_of

PERIOD_KEY = ("tweet_id", "period_start", "period_end", "granularity", "time_zone")
KEYS = {
    "tweet_totals": ("tweet_id", "snapshot_at", "auth"),
    "tweet_metrics": PERIOD_KEY,
    "tweet_hours_of_day": ("tweet_id", "period_start", "period_end", "hour_of_day", "time_zone"),
    "tweet_status": ("tweet_id", "run_id", "task"),
    "coverage": ("tweet_id", "window_start", "window_end", "granularity", "time_zone", "run_id", "task"),
    "restatements": (*PERIOD_KEY, "metric", "new_fetched_at"),
    "owner_ledger": ("owner", "run_id", "task", "requested_at"),
}
TIMES = {
    "tweet_status": "checked_at",
    "coverage": "fetched_at",
    "restatements": "old_fetched_at",
    "owner_ledger": "requested_at",
}
COLUMNS = {
    "tweet_status": ("outcome", "owner", "checked_at"),
    "coverage": ("outcome", "fetched_at", "metrics"),
    "restatements": ("old_value", "new_value", "old_fetched_at"),
    "owner_ledger": ("tweets",),
}


@dataclass
class LoadedTables:
    """The rows of all loads so far.

    :param counted: of each table with metrics, the merged rows.
    :param others: of each other table, the newest rows of each key. Several can be equally new.
    """

    counted: dict[str, dict[Key, Row]] = field(default_factory=dict)
    others: dict[str, dict[Key, tuple[datetime, list[tuple[Any, ...]]]]] = field(default_factory=dict)

    def add(self, folder: Path) -> None:
        """Add the rows of a dataset."""
        for table, key in KEYS.items():
            for row in rows_of(folder / table) if table != "tweet_metrics" else _metrics_of(folder):
                row_key = tuple(row[column] for column in key)
                if table in TIMES:
                    self._add_other(table, row_key, row)
                else:
                    rows = self.counted.setdefault(table, {})
                    added = _counted(row)
                    rows[row_key] = rows[row_key].merged(added) if row_key in rows else added

    def _add_other(self, table: str, key: Key, row: Mapping[str, Any]) -> None:
        time = row[TIMES[table]] or LONG_AGO
        values = tuple(row[column] for column in COLUMNS[table])
        rows = self.others.setdefault(table, {})
        newest, found = rows.get(key, (LONG_AGO, []))
        if time > newest:
            rows[key] = time, [values]
        elif time == newest:
            rows[key] = time, [*found, values]

    def check(self, connection: Any) -> None:
        """Compare the tables of a DuckDB database with these rows."""
        found = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        present = {name for (name,) in found}
        for table, key in KEYS.items():
            names = (*key, *(COLUMNS[table] if table in TIMES else ("fetched_at", "older_counts", *METRICS)))
            query = f"SELECT {', '.join(names)} FROM mart.{table}"
            rows = connection.execute(query).fetchall() if table in present else []
            loaded = {row[: len(key)]: row[len(key) :] for row in rows}
            assert len(loaded) == len(rows), f"{table} has a key twice"
            if table in TIMES:
                expected = self.others.get(table, {})
                assert loaded.keys() == expected.keys(), table
                for row_key, values in loaded.items():
                    assert values in expected[row_key][1], (table, row_key, values, expected[row_key])
                continue
            counted = {row_key: row.values() for row_key, row in self.counted.get(table, {}).items()}
            known = {
                row_key: {"fetched_at": time, "older_counts": older_counts(older)}
                | dict(zip(METRICS, counts, strict=True))
                for row_key, (time, older, *counts) in loaded.items()
            }
            assert known == counted, table


def _metrics_of(folder: Path) -> list[dict[str, Any]]:
    found = (folder / "tweet_metrics").iterdir() if (folder / "tweet_metrics").exists() else ()
    return [row for granularity in found for row in rows_of(granularity)]


def _counted(row: Mapping[str, Any]) -> Row:
    older = older_counts(row["older_counts"])
    times = {metric: datetime.fromisoformat(time) for metric, time in older.items()}
    counts = {
        metric: (times.get(metric, row["fetched_at"]), row[metric]) for metric in METRICS if row.get(metric) is not None
    }
    return Row(row["fetched_at"], counts, {})
