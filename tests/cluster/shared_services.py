"""The database and the broker: PostgreSQL and Redis servers that run already, of which a cluster takes a share.

As a program, it tells which server is missing and how to start it. The exit status is 0 only if none is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg2
import redis

from cluster.programs import ProgramError

POSTGRESQL = os.environ.get("CLUSTER_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("CLUSTER_REDIS", "redis://127.0.0.1:6379")

_DATABASE_PREFIX = "engagement_cluster_"
_OWNER_KEY = "engagement-cluster-owner"

_NO_POSTGRESQL = """\
There is no PostgreSQL at {address}: {problem}
Start one, for example with one of these commands:
  docker run --rm --detach --publish 5432:5432 --env POSTGRES_HOST_AUTH_METHOD=trust postgres:17
  pg_ctlcluster 15 main start        (Debian and Ubuntu, after apt-get install postgresql)
Or set CLUSTER_POSTGRESQL to the URL of a server, such as postgresql://user:password@host:5432/postgres.
The user must be allowed to create databases."""

_NO_REDIS = """\
There is no Redis at {address}: {problem}
Start one, for example with one of these commands:
  docker run --rm --detach --publish 6379:6379 redis:7
  redis-server --port 6379 --save '' --daemonize yes
Or set CLUSTER_REDIS to the URL of a server, such as redis://host:6379."""


class Database:
    """A PostgreSQL database of its own. Its name contains the id of this process."""

    def __init__(self) -> None:
        self.name = f"{_DATABASE_PREFIX}{os.getpid()}"
        self._exists = False

    @property
    def url(self) -> str:
        """The URL for SQLAlchemy."""
        parts = urlsplit(POSTGRESQL)
        return urlunsplit(("postgresql+psycopg2", parts.netloc, f"/{self.name}", "", ""))

    def create(self) -> None:
        """Create the database. Drop those that killed processes left behind.

        :raises ProgramError: if there is no PostgreSQL.
        """
        for name in self.names():
            if name.startswith(_DATABASE_PREFIX) and not _is_running(name.removeprefix(_DATABASE_PREFIX)):
                _execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._exists = True
        _execute(f'CREATE DATABASE "{self.name}"')

    @staticmethod
    def names() -> list[str]:
        """Return the names of all databases.

        :raises ProgramError: if there is no PostgreSQL.
        """
        try:
            return [name for (name,) in _execute("SELECT datname FROM pg_database")]
        except psycopg2.OperationalError as problem:
            raise ProgramError(
                _NO_POSTGRESQL.format(address=_without_password(POSTGRESQL), problem=str(problem).strip())
            ) from None

    def drop(self) -> None:
        """Drop the database, even if there are connections to it."""
        if self._exists:
            _execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
            self._exists = False

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Close the database to its clients for a while, as a server that restarts does."""
        _execute(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS false')
        try:
            _execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'")
            yield
        finally:
            _execute(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS true')


class Broker:
    """A numbered database of Redis that nothing else uses.

    :param server: the URL of the Redis server.
    """

    def __init__(self, server: str = REDIS) -> None:
        self._server = server
        self._number: int | None = None

    @property
    def url(self) -> str:
        """The URL for Celery."""
        return f"{self._server.rstrip('/')}/{self._number}"

    def claim(self) -> None:
        """Claim an empty database, or one that a killed process left behind. The last one comes first.

        :raises ProgramError: if there is no Redis, or if all of its databases are in use.
        """
        databases = self.databases()
        for self._number in reversed(range(databases)):
            with closing(redis.Redis.from_url(self.url, decode_responses=True)) as client:
                owner = client.get(_OWNER_KEY)
                if owner is not None and not _is_running(str(owner)):
                    client.flushdb()
                if client.dbsize() == 0 and client.set(_OWNER_KEY, os.getpid(), nx=True):
                    return
        self._number = None
        server = _without_password(self._server)
        raise ProgramError(f"Every database of the Redis at {server} is in use. Empty one of them.")

    def databases(self) -> int:
        """Return how many databases the server has.

        :raises ProgramError: if there is no Redis.
        """
        try:
            with closing(redis.Redis.from_url(self._server)) as client:
                return int(str(client.config_get("databases")["databases"]))
        except redis.RedisError as problem:
            raise ProgramError(_NO_REDIS.format(address=_without_password(self._server), problem=problem)) from None

    def flush(self) -> None:
        """Delete everything in the claimed database."""
        if self._number is not None:
            with suppress(redis.ConnectionError), closing(redis.Redis.from_url(self.url)) as client:
                client.flushdb()
            self._number = None


def main() -> int:
    """Print which servers are missing, and return the exit status."""
    status = 0
    for check in (Database.names, Broker().databases):
        try:
            check()
        except ProgramError as problem:
            print(problem)
            status = 1
    return status


def _execute(statement: str) -> list[tuple[str, ...]]:
    with closing(psycopg2.connect(POSTGRESQL, connect_timeout=5)) as connection:
        # PostgreSQL creates and drops databases only outside of transactions.
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []


def _is_running(process_id: str) -> bool:
    return process_id.isdigit() and psutil.pid_exists(int(process_id))


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}"


if __name__ == "__main__":
    sys.exit(main())
