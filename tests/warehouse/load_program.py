"""Load a dataset in a process of its own, which can kill itself at one of its steps.

Arguments: the folder of the dataset, ``duckdb`` or ``postgres``, the path or the name of the database, and the step.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlt.destinations import job_client_impl
from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob

from airflow_provider_engagement.storage.paths import local_address
from airflow_provider_engagement.warehouse import dlt_database, load
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.duckdb_database import DuckDbDatabase
from airflow_provider_engagement.warehouse.postgres_database import PostgresDatabase
from airflow_provider_engagement.warehouse.source_partitions import table_names
from airflow_provider_engagement.warehouse.sql_database import SqlDatabase


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> None:
    setattr(owner, name, lambda *args, **options: die())


def after(owner: Any, name: str) -> None:
    run = getattr(owner, name)

    def dying(*args: Any, **options: Any) -> None:
        run(*args, **options)
        die()

    setattr(owner, name, dying)


def at_statement(word: str) -> None:
    """Die after a statement, before its transaction is committed."""
    for database in (DuckDbDatabase, PostgresDatabase):
        modify = database.modify

        def dying(self: Any, statement: str, *, run: Callable[..., int] = modify) -> int:
            found = run(self, statement)
            if statement.startswith(word):
                die()
            return found

        database.modify = dying


def at_the_rows(change: Callable[[Any, str], None]) -> None:
    for database in (DuckDbDatabase, PostgresDatabase):
        change(database, "append")


def in_the_rows() -> None:
    """Die while the database reads the rows."""
    rows = load.changed_rows

    def dying(*args: Any, **options: Any) -> Any:
        yield next(rows(*args, **options))
        die()

    load.changed_rows = dying


def in_the_merge_of_dlt() -> None:
    """Die after the merge statement, before its transaction is committed."""
    execute = job_client_impl.SqlLoadJob.run

    def run(self: Any) -> None:
        client = self._job_client.sql_client
        client_type = type(client)
        execute_many = client_type.execute_many

        def dying(self: Any, statements: Any, *args: Any, **options: Any) -> Any:
            found = execute_many(self, statements, *args, **options)
            if any("MERGE" in statement for statement in statements):
                die()
            return found

        client_type.execute_many = dying
        execute(self)

    job_client_impl.SqlLoadJob.run = run


STEPS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "before the load": lambda: before(load, "_load"),
    "before the rows are staged": lambda: at_the_rows(before),
    "while the rows are staged": in_the_rows,
    "after the rows are staged": lambda: at_the_rows(after),
    "after the rows are updated": lambda: at_statement("UPDATE"),
    "in the merge": lambda: at_statement("INSERT"),
    "before the record": lambda: before(SqlDatabase, "_record"),
    "before the load is complete": lambda: after(SqlDatabase, "_record"),
    "after the load is complete": lambda: after(load, "load_dataset"),
}
"""What to do before the load, by the step at which it dies."""

STEPS_OF_DLT: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "before the load": lambda: before(load, "_load"),
    "before the rows are staged": lambda: before(DuckDbCopyJob, "run"),
    "after the rows are staged": lambda: after(DuckDbCopyJob, "run"),
    "in the merge": in_the_merge_of_dlt,
    "after the merge": lambda: after(job_client_impl.SqlLoadJob, "run"),
    "before the record": lambda: after(dlt_database.DltDatabase, "_write"),
    "after the load is complete": lambda: after(load, "load_dataset"),
}
"""The same for the databases that need dlt."""


def main(dataset: str, kind: str, database: str, step: str = "none") -> None:
    credentials: Any = database
    kind, _, with_dlt = kind.partition(" ")
    if kind == "postgres":
        credentials = {
            "host": "127.0.0.1",
            "port": 5432,
            "username": "postgres",
            "password": "",
            "database": database,
        }
    target = Target(warehouse=Warehouse(kind), schema="mart", name=kind, settings={"credentials": credentials})
    folder = Path(dataset)
    if with_dlt:
        load._opened = lambda target, dataset, *, folder, lock_timeout: dlt_database.open_with_dlt(
            target, dataset, folder=folder
        )
    (STEPS_OF_DLT if with_dlt else STEPS)[step]()
    report = load.load_dataset(
        folder, tables=table_names(folder), target=target, address_of=local_address, lock_timeout=60.0
    )
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
