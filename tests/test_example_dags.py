"""The example DAGs: each parses without connections, documents itself, and runs against the simulator."""

from __future__ import annotations

import json
import re
import runpy
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import DAG, BaseHook, Connection
from pyarrow import parquet

from airflow_provider_engagement.simulator import Handle, Simulator, World

EXAMPLES = sorted((Path(__file__).parent.parent / "example_dags").glob("*.py"))
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

NEEDS_ROWS_OF = {"engagement_brand_report": "engagement_brand_totals"}
"""DAGs that send no requests, and the DAG that another one starts them after."""

DAG_ID = re.compile(r'dag_id="(\w+)"')

example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def dags_in(path: Path) -> dict[str, DAG]:
    found = {dag.dag_id: dag for dag in runpy.run_path(str(path)).values() if isinstance(dag, DAG)}
    assert found
    return found


@pytest.fixture
def no_access(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every use of a connection or of the network fail."""

    def fail(*args: Any, **kwargs: Any) -> NoReturn:
        raise AssertionError("A DAG file used a connection or the network while it was parsed.")

    monkeypatch.setattr(BaseHook, "get_connection", fail)
    monkeypatch.setattr(socket.socket, "connect", fail)
    monkeypatch.setattr(socket, "getaddrinfo", fail)


@example
def test_an_example_parses_without_connections_or_network_and_documents_itself(path: Path, no_access: None) -> None:
    for dag in dags_in(path).values():
        assert dag.tasks
        assert dag.doc_md is not None
        assert "Prerequisites:" in dag.doc_md
        assert not dag.catchup
        assert {"engagement", "example"} <= set(dag.tags)
        assert all(dag.params.get_param(name).description for name in dag.params)


@example
def test_an_example_can_be_serialized(path: Path, no_access: None) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in dags_in(path).values():
        restored = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
        assert sorted(task.task_id for task in restored.tasks) == sorted(task.task_id for task in dag.tasks)


@example
def test_the_excerpts_for_the_documentation_are_marked(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    starts, ends = (re.findall(rf"^ *# \[{edge} (\w+)\]$", text, re.M) for edge in ("START", "END"))
    assert starts == ends != []


@example
def test_an_example_contains_no_secret_and_no_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(token|secret|key|password)\s*=\s*[\"']", text)
    assert not re.search(r"https?://|s3://|gs://|/home/|/tmp/", text)


@pytest.fixture
def world() -> World:
    """Two users with Tweets of the last year. The time is the real one, because Airflow uses it too."""
    return World.generate(
        seed=9, handles=2, tweets=40, deleted=0.05, video=0.3, start=datetime.now(UTC) - 360 * DAY, old=0
    )


@pytest.fixture
def owner(world: World) -> Handle:
    """The user whose access token the connections hold."""
    return next(iter(world.handles.values()))


@pytest.fixture
def simulator(world: World, owner: Handle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulator of that world, with a connection for each name that the examples use."""
    with Simulator(world) as running:
        app = world.app
        as_app = {"api_key": app.consumer_key, "api_key_secret": app.consumer_secret}
        as_user = {"access_token": owner.access_token, "access_token_secret": owner.access_token_secret}
        for name, secrets in (
            ("default", as_app | as_user),
            ("handle_1", as_app | as_user),
            ("public", {"bearer_token": app.bearer_token}),
        ):
            connection = {"conn_type": "engagement", "host": running.base_url, "extra": secrets}
            monkeypatch.setenv(f"AIRFLOW_CONN_ENGAGEMENT_{name.upper()}", json.dumps(connection))
        yield running


@pytest.fixture
def folder(tmp_path: Path, world: World, owner: Handle) -> Path:
    """A folder with the files of Tweet ids that the examples read."""
    (tmp_path / "handle_1.txt").write_text("\n".join(world.tweets_of(owner.user_id)))
    (tmp_path / "public.txt").write_text("\n".join(world.tweets))
    return tmp_path


class WarehouseHook(DbApiHook):
    """Connects to a SQLite file, as the hook of a database's own provider would to the database."""

    path = Path("not set")

    def __init__(self) -> None:
        """Read no connection."""

    def get_conn(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path)


@pytest.fixture
def warehouse(folder: Path, world: World, owner: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with the Tweets of the user, which the connection ``warehouse`` leads to."""
    monkeypatch.setattr(WarehouseHook, "path", folder / "tweets.sqlite")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "sqlite://")
    monkeypatch.setattr(Connection, "get_hook", lambda self, **options: WarehouseHook())
    with closing(sqlite3.connect(folder / "tweets.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE tweets (tweet_id TEXT, owner TEXT)")
        rows = [(tweet_id, None) for tweet_id in world.tweets_of(owner.user_id)]
        connection.executemany("INSERT INTO tweets VALUES (?, ?)", rows)


@pytest.fixture
def run(airflow_database: None, folder: Path, warehouse: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that runs an example in Airflow, by default for yesterday."""
    monkeypatch.setenv("ENGAGEMENT_DATASET_PATH", str(folder / "dataset"))

    def run_dag(name: str, **options: Any) -> Any:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.serialization.definitions.dag import SerializedDAG
        from airflow.serialization.serialized_objects import LazyDeserializedDAG
        from airflow.utils.session import create_session

        dag = next(dags[name] for dags in map(dags_in, EXAMPLES) if name in dags)
        DagBundlesManager().sync_bundles_to_db()
        with create_session() as session:
            serialized = LazyDeserializedDAG.from_dag(dag)
            SerializedDAG.bulk_write_to_db("dags-folder", None, [serialized], session=session)
            session.flush()
            SerializedDagModel.write_dag(serialized, bundle_name="dags-folder", session=session)
        ids = {
            "handles": ["handle_1"],
            "tweet_ids_folder": str(folder),
            "tweets": str(folder / "handle_1.txt"),
            "database": str(folder / "warehouse.duckdb"),
        }
        conf = {"dataset_path": str(folder / "dataset")} | {key: ids[key] for key in ids if key in dag.params}
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        dag_run = dag.test(**{"logical_date": today, "run_after": today, "run_conf": conf | options})
        assert dag_run.state == "success"
        return dag_run

    return run_dag


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted((folder / "dataset" / table).rglob("*.parquet"))
        for row in parquet.ParquetFile(path).read().to_pylist()
    ]


def check_counts(simulator: Simulator, found: list[dict[str, Any]], *metrics: str) -> None:
    """Compare the counts of each row with those of the simulator."""
    assert found
    for row in found:
        for metric in metrics:
            expected = simulator.count(row["tweet_id"], metric, row["period_start"], row["period_end"])
            assert row[metric] == expected, row


@pytest.mark.dag
def test_the_daily_pull_writes_the_hours_of_yesterday_and_of_the_three_days_before(
    run: Callable[..., Any], simulator: Simulator, folder: Path
) -> None:
    dag_run = run("engagement_daily")
    found = rows(folder, "tweet_metrics/hour")
    check_counts(simulator, found, "impressions", "url_clicks")
    assert dag_run.data_interval_end - dag_run.data_interval_start == DAY
    starts = {row["period_start"] for row in found}
    assert min(starts) == dag_run.data_interval_start - 3 * DAY
    assert max(starts) == dag_run.data_interval_end - HOUR


@pytest.mark.dag
def test_the_28_hour_pull_writes_28_or_29_hours_and_none_is_final(
    run: Callable[..., Any], simulator: Simulator, folder: Path
) -> None:
    run("engagement_last_28_hours")
    found = rows(folder, "tweet_metrics/hour")
    now = datetime.now(UTC)
    check_counts(simulator, [row for row in found if row["period_end"] <= now], "impressions")
    assert len({row["period_start"] for row in found}) in (28, 29)
    assert not any(row["is_final"] for row in found)


@pytest.mark.dag
def test_a_run_of_the_year_backfill_writes_its_day(run: Callable[..., Any], simulator: Simulator, folder: Path) -> None:
    dag_run = run("engagement_year_backfill")
    found = rows(folder, "tweet_metrics/day")
    check_counts(simulator, found, "impressions", "favorites")
    assert {(row["period_start"], row["period_end"]) for row in found} == {
        (dag_run.data_interval_start, dag_run.data_interval_end)
    }


@pytest.mark.dag
def test_the_first_week_pull_writes_at_most_seven_days_of_each_tweet(
    run: Callable[..., Any], simulator: Simulator, folder: Path, world: World, owner: Handle
) -> None:
    dag_run = run("engagement_first_week")
    found = rows(folder, "tweet_metrics/hour")
    check_counts(simulator, found, "impressions")
    by_tweet: dict[str, set[datetime]] = {}
    for row in found:
        by_tweet.setdefault(row["tweet_id"], set()).add(row["period_start"])
    for tweet_id in world.tweets_of(owner.user_id, deleted=False):
        created = world.tweets[tweet_id].created_at
        assert created is not None
        first = created.replace(minute=0, second=0, microsecond=0)
        last = min(first + 7 * DAY, dag_run.data_interval_end)
        assert by_tweet.get(tweet_id, set()) == {first + hour * HOUR for hour in range((last - first) // HOUR)}


@pytest.mark.dag
def test_the_totals_pull_writes_a_user_snapshot_and_a_public_snapshot(
    run: Callable[..., Any], simulator: Simulator, folder: Path, world: World, owner: Handle
) -> None:
    run("engagement_totals")
    found = {(row["auth"], row["tweet_id"]) for row in rows(folder, "tweet_totals")}
    assert found == {("user", tweet_id) for tweet_id in world.tweets_of(owner.user_id, deleted=False)} | {
        ("app", tweet.id) for tweet in world.tweets.values() if not tweet.deleted
    }


@pytest.mark.dag
def test_the_report_ranks_the_tweets_of_the_snapshot_that_started_it(
    run: Callable[..., Any], simulator: Simulator, folder: Path, world: World, owner: Handle
) -> None:
    # A popular Tweet is viewed between the pull and the comparison.
    simulator.clock.freeze()
    run("engagement_brand_totals")
    run("engagement_brand_report")
    impressions = {row["tweet_id"]: row["impressions"] for row in rows(folder, "tweet_totals") if row["impressions"]}
    best, count = min(impressions.items(), key=lambda item: (-item[1], int(item[0])))
    text = (folder / "dataset" / "reports" / "top_tweets.md").read_text()
    assert f"| 1 | [{best}](https://twitter.com/i/web/status/{best}) | {count:,} |" in text
    assert count == simulator.total(best, "impressions")


@pytest.mark.dag
def test_the_pull_from_the_warehouse_requests_the_tweets_of_the_query(
    run: Callable[..., Any], simulator: Simulator, folder: Path, world: World, owner: Handle
) -> None:
    run("engagement_from_warehouse")
    assert {row["tweet_id"] for row in rows(folder, "tweet_status")} == set(world.tweets_of(owner.user_id))


@pytest.mark.dag
def test_the_agency_loads_the_totals_of_its_users_into_a_database(
    run: Callable[..., Any], simulator: Simulator, folder: Path, world: World, owner: Handle
) -> None:
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("dlt")
    simulator.clock.freeze()
    run("engagement_agency")
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as database:
        loaded = database.execute("SELECT tweet_id, favorites FROM engagement.tweet_totals").fetchall()
    assert dict(loaded) == {
        tweet_id: simulator.total(tweet_id, "favorites") for tweet_id in world.tweets_of(owner.user_id, deleted=False)
    }


@pytest.mark.dag
def test_the_whole_chain_ends_in_a_database_and_a_ranking_that_agree(
    run: Callable[..., Any], simulator: Simulator, folder: Path
) -> None:
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("dlt")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - 3 * DAY
    dag_run = run("engagement_whole_chain", start=start.isoformat(), end=today.isoformat())
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as database:
        sums = database.execute(
            "SELECT tweet_id, sum(impressions) FROM engagement.tweet_metrics WHERE granularity = 'hour' GROUP BY 1"
        ).fetchall()
    assert dict(sums) == {tweet_id: simulator.count(tweet_id, "impressions", start, today) for tweet_id, _ in sums}
    [top] = [one for one in dag_run.get_task_instances() if one.task_id == "top"]
    ranking = top.xcom_pull(task_ids="top")["top"]["impressions"]
    best = sorted(sums, key=lambda row: (-row[1], int(row[0])))[:10]
    assert [(row["tweet_id"], row["count"]) for row in ranking] == best


@pytest.mark.dag
@pytest.mark.parametrize("name", sorted(name for path in EXAMPLES for name in DAG_ID.findall(path.read_text())))
def test_every_example_succeeds_and_sends_requests(run: Callable[..., Any], simulator: Simulator, name: str) -> None:
    if name in NEEDS_ROWS_OF:
        run(NEEDS_ROWS_OF[name])
    run(name)
    assert {200, 400} & {entry.status for entry in simulator.journal}
