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
from dlt.destinations.impl.postgres.postgres import PostgresCsvCopyJob

from airflow_provider_engagement.dataset.storage import local_address
from airflow_provider_engagement.warehouse import load
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.source_partitions import table_names


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


def in_the_merge() -> None:
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
    "before the load": lambda: before(load, "changed_rows"),
    "before the rows are staged": lambda: [before(job, "run") for job in (DuckDbCopyJob, PostgresCsvCopyJob)] and None,
    "after the rows are staged": lambda: [after(job, "run") for job in (DuckDbCopyJob, PostgresCsvCopyJob)] and None,
    "in the merge": in_the_merge,
    "after the merge": lambda: after(job_client_impl.SqlLoadJob, "run"),
    "before the load is complete": lambda: before(job_client_impl.SqlJobClientBase, "complete_load"),
    "after the load is complete": lambda: after(job_client_impl.SqlJobClientBase, "complete_load"),
}
"""What to do before the load, by the step at which it dies."""


def main(dataset: str, kind: str, database: str, step: str = "none") -> None:
    credentials: Any = database
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
    STEPS[step]()
    report = load.load_dataset(
        folder, tables=table_names(folder), target=target, address_of=local_address, lock_timeout=60.0
    )
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
