"""The databases that a dataset can be loaded into, and what each of them needs. Imports nothing of dlt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Warehouse(StrEnum):
    """A kind of database. Its value is the name of dlt's destination."""

    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    SNOWFLAKE = "snowflake"
    BIGQUERY = "bigquery"
    REDSHIFT = "redshift"
    DATABRICKS = "databricks"
    CLICKHOUSE = "clickhouse"
    MOTHERDUCK = "motherduck"


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """What a kind of database needs from dlt.

    :param file_format: the format in which dlt loads rows into it; ``None`` for dlt's choice.
    :param strategy: how dlt replaces rows by key.
    """

    file_format: str | None = "parquet"
    strategy: str = "upsert"


TRAITS: Mapping[Warehouse, Traits] = MappingProxyType(
    {
        Warehouse.DUCKDB: Traits(),
        Warehouse.POSTGRES: Traits(file_format="insert_values"),
        Warehouse.SNOWFLAKE: Traits(),
        Warehouse.BIGQUERY: Traits(),
        Warehouse.REDSHIFT: Traits(file_format=None, strategy="delete-insert"),
        Warehouse.DATABRICKS: Traits(),
        Warehouse.CLICKHOUSE: Traits(strategy="delete-insert"),
        Warehouse.MOTHERDUCK: Traits(),
    }
)
"""What each kind of database needs. Redshift and ClickHouse have no statement that updates and inserts at once. DuckDB
and PostgreSQL do not need dlt, but the tests use them in place of the databases that do: PostgreSQL with the format of
Redshift."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A database, and the schema in it that receives the tables.

    :param warehouse: the kind of the database.
    :param schema: the schema, called dataset in BigQuery.
    :param name: the database as messages name it, without secrets.
    :param settings: the parameters of dlt's destination, among them ``credentials``. They contain secrets.
    :param secrets: the texts that must not appear in messages.
    """

    warehouse: Warehouse
    schema: str
    name: str
    settings: Mapping[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def traits(self) -> Traits:
        """What this kind of database needs."""
        return TRAITS[self.warehouse]
