"""Groups of parameters of the operators: where the Tweets come from, and what only some DAGs set.

A group is a mapping with the names of its parameters. Airflow renders the templates in it, finds the tasks whose XComs
it contains, and shows it by name. So a group can also be a plain mapping, such as the XCom of another task.

A parameter that is ``None`` or a blank text has its default. A duration is a ``timedelta``, or a text such as ``90s``,
``36h``, ``7d`` or ``2w``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from airflow.sdk import XComArg

    Template: TypeAlias = str | XComArg
    """A text, which can be a template, or the XCom of another task."""

    Duration: TypeAlias = timedelta | Template
    """A duration, its text such as ``36h``, or a template of the text."""


class ParameterGroup(dict[str, Any]):
    """A mapping of parameters to the values that a DAG sets."""

    def __init__(self, **values: Any) -> None:
        super().__init__({name: value for name, value in values.items() if value is not None})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.items())})"


class FromFile(ParameterGroup):
    """Tweet ids of a file, and how to read them.

    :param path: the path or URL of a file, of a folder of files, or a pattern such as ``s3://bucket/part-*.csv``. A
        file can be text, CSV, JSON, JSON Lines, Parquet or ``tweets.js`` of a user's archive. It can be compressed with
        gzip. (templated)
    :param column: the column of a CSV or Parquet file, or the key of JSON objects, that contains the ids; by default
        ``tweet_id``, ``status_id``, ``post_id``, ``id_str`` or ``id``. If a CSV file has no header, the number of the
        column, counted from 1. (templated)
    :param owner_column: the column or key that contains the owner of each Tweet; by default ``owner``, if there is
        one. ``False`` to read no owners. (templated)
    """

    def __init__(
        self,
        path: Template,
        *,
        column: Template | int | None = None,
        owner_column: Template | int | bool | None = None,
    ) -> None:
        super().__init__(path=path, column=column, owner_column=owner_column)


class FromSql(ParameterGroup):
    """Tweet ids of a database, and how to read them.

    :param query: a query whose result contains Tweet ids, or the path of a ``.sql`` file. (templated)
    :param conn_id: the id of the connection of the database. Its hook must be one of Airflow's provider
        ``common.sql``. (templated)
    :param column: the column of the result that contains the ids; by default ``tweet_id``, ``status_id``, ``post_id``,
        ``id_str`` or ``id``. (templated)
    :param owner_column: the column of the result that contains the owner of each Tweet; by default ``owner``, if there
        is one. ``False`` to read no owners. (templated)
    """

    def __init__(
        self,
        query: Template,
        *,
        conn_id: Template,
        column: Template | None = None,
        owner_column: Template | bool | None = None,
    ) -> None:
        super().__init__(query=query, conn_id=conn_id, column=column, owner_column=owner_column)


class Owners(ParameterGroup):
    """Whose Tweets are pulled, and with which credentials.

    :param default: the owner of the Tweets that are listed without an owner: a user id, or a name in
        ``account_tokens`` of the connection. By default, the user of the connection's access token. (templated)
    :param conn_id: the id of each owner's own connection, with ``{owner}`` in place of the owner, for example
        ``engagement_{owner}``. The operator uses it for owners that are not in ``account_tokens`` of the connection.
        (templated)
    """

    def __init__(self, *, default: Template | None = None, conn_id: Template | None = None) -> None:
        super().__init__(default=default, conn_id=conn_id)


class Limits(ParameterGroup):
    """How much a pull can cost: Tweets, requests and owners, and how long it can wait.

    :param tweets: the number of Tweets above which the task fails before it sends a request. By default, the option
        ``max_tweets`` of the configuration. (templated)
    :param requests: the number of requests above which the task fails before it sends one. Requests that have a stored
        response do not count. By default, the option ``max_requests`` of the configuration. (templated)
    :param owners: the number of different owners above which the task fails before it sends a request. With the extra
        table ``owner_ledger``, the owners of the calendar month count. By default, the option ``max_owners`` of the
        configuration. (templated)
    :param concurrent_requests: how many requests are in flight at the same time; 8 by default. (templated)
    :param wait: how long after the start of the attempt a wait for the rate limit can end; six hours by default. If the
        rate limit resets later than that, the task fails. (templated)
    :param wait_on_worker: the longest time for which the task sleeps on its worker to wait for the rate limit; 30
        seconds by default. For a longer wait, the task releases its worker slot. Without ``dataset_path``, the task
        always sleeps on its worker. (templated)
    """

    def __init__(
        self,
        *,
        tweets: int | Template | None = None,
        requests: int | Template | None = None,
        owners: int | Template | None = None,
        concurrent_requests: int | Template | None = None,
        wait: Duration | None = None,
        wait_on_worker: Duration | None = None,
    ) -> None:
        super().__init__(
            tweets=tweets,
            requests=requests,
            owners=owners,
            concurrent_requests=concurrent_requests,
            wait=wait,
            wait_on_worker=wait_on_worker,
        )


class Interval(ParameterGroup):
    """How the interval between ``start`` and ``end`` becomes the hours that are pulled.

    :param lookback: how long before the start each run pulls again, because the counts may have changed; nothing by
        default. With granularity ``day``, each run pulls all days that contain these hours. (templated)
    :param on_unaligned: what to do if the start or the end is not a whole hour: ``fail`` (default), or ``expand`` or
        ``shrink`` the interval to whole hours. The manifest lists the adjustments. (templated)
    :param on_out_of_range: what to do if the API does not have all hours of the interval, because some hours are too
        old or not over yet: ``fail`` (default), or ``clip`` the interval. The manifest lists the adjustments.
        (templated)
    :param max_age: for how long the API has hours; 365 days by default. ``unlimited`` means since 2014-09-01.
        (templated)
    """

    def __init__(
        self,
        *,
        lookback: Duration | None = None,
        on_unaligned: Template | None = None,
        on_out_of_range: Template | None = None,
        max_age: Duration | None = None,
    ) -> None:
        super().__init__(lookback=lookback, on_unaligned=on_unaligned, on_out_of_range=on_out_of_range, max_age=max_age)


class AfterPost(ParameterGroup):
    """The days after the creation of each Tweet. Without ``start`` and ``end``, of all that the API has.

    :param days: how many days to pull for each Tweet, counted from the hour of its creation. (templated)
    :param period: which period of this many days to pull: 1 (default) for the first one after the creation of the
        Tweet, 2 for the second, and so on. (templated)
    :param on_unaligned: as of :class:`Interval`. (templated)
    :param on_out_of_range: as of :class:`Interval`. (templated)
    :param max_age: as of :class:`Interval`. (templated)
    """

    def __init__(
        self,
        days: int | Template,
        *,
        period: int | Template | None = None,
        on_unaligned: Template | None = None,
        on_out_of_range: Template | None = None,
        max_age: Duration | None = None,
    ) -> None:
        super().__init__(
            days=days, period=period, on_unaligned=on_unaligned, on_out_of_range=on_out_of_range, max_age=max_age
        )


class Freshness(ParameterGroup):
    """When counts are final, and which responses are requested again.

    :param settles_after: how old an hour must be before its counts are considered final; 72 hours by default.
        (templated)
    :param reuse_for: for how long retries and other runs reuse a response whose counts are not final; 24 hours by
        default. They always reuse responses with final counts. (templated)
    :param share_backfill_requests: whether the runs of a backfill share requests, so that a backfill of daily runs
        sends about as many requests as one pull; ``True`` by default. (templated)
    """

    def __init__(
        self,
        *,
        settles_after: Duration | None = None,
        reuse_for: Duration | None = None,
        share_backfill_requests: bool | Template | None = None,
    ) -> None:
        super().__init__(
            settles_after=settles_after, reuse_for=reuse_for, share_backfill_requests=share_backfill_requests
        )
