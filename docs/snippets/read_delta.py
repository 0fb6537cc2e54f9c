"""Read a Delta table of a dataset with DuckDB, with Polars and with deltalake alone."""

# [START duckdb]
import duckdb
from deltalake import DeltaTable


def impressions_by_day(folder: str) -> list[tuple[str, int]]:
    """Return the impressions of each day, summed over all Tweets."""
    hours = DeltaTable(f"{folder}/tweet_metrics/hour").to_pyarrow_dataset()
    rows = duckdb.from_arrow(hours).aggregate("partition_date::text AS day, sum(impressions)::bigint", "day")
    return rows.order("day").fetchall()


# [END duckdb]

# [START polars]
import polars


def final_hours(folder: str) -> polars.DataFrame:
    """Return the hours whose counts are final."""
    return polars.scan_delta(f"{folder}/tweet_metrics/hour").filter("is_final").collect()


# [END polars]

# [START version]
import pyarrow
from deltalake import QueryBuilder


def rows_of_version(folder: str, version: int) -> pyarrow.Table:
    """Return the rows that the table had in an earlier version."""
    hours = DeltaTable(f"{folder}/tweet_metrics/hour", version=version)
    return pyarrow.table(QueryBuilder().register("hours", hours).execute("SELECT * FROM hours").read_all())


# [END version]
