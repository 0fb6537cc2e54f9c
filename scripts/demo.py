"""Pull the totals of 5,000 simulated Tweets with an Airflow DAG, and compare every count with the simulator's.

A second DAG runs the whole chain for one handle: totals, history, a load into DuckDB, and the best Tweets. The program
ends with the result of a query on the database.

``scripts/demo`` creates the environment and runs this program. All files are below ``.demo``. The exit status is 0 only
if the dataset equals the simulator's world: every count, and every missing count with its reason; and if the database
does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import duckdb
import pyarrow
import pyarrow.compute
import pyarrow.dataset
from airflow import __version__ as airflow_version

from airflow_provider_engagement.report.ranking import TopTweet, top_tweets
from airflow_provider_engagement.simulator import Tweet, World

SEED, HANDLES, TWEETS = 28, 3, 5000
DAG_ID, CHAIN_DAG_ID = "engagement_totals", "engagement_whole_chain"
CHAIN_DAYS = 3

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / ".demo"
DATASET = DEMO / "dataset"
HISTORY = DEMO / "history"
CHAIN = DEMO / "chain"
DATABASE = DEMO / "warehouse.duckdb"
TWEET_IDS = DEMO / "tweet_ids"
WORLD = DEMO / "world.json"
REPORT = DEMO / "report.json"
PLOTS = DEMO / "report.html"

PUBLIC = ("favorites", "retweets", "replies", "quote_tweets", "video_views")
AGE_LIMITS = {"impressions": timedelta(days=90), "engagements": timedelta(days=90), "video_views": timedelta(days=1800)}
METRICS_OF = {"user": ("impressions", "engagements", *PUBLIC), "app": PUBLIC}
CREDENTIALS = {"user": "user credentials", "app": "app credentials"}

QUERY = """\
SELECT tweet_id, impressions_now, sum(m.impressions) AS impressions_gained
FROM engagement.tweet_metrics AS m
JOIN (SELECT tweet_id, impressions AS impressions_now FROM engagement.tweet_totals) USING (tweet_id)
WHERE m.granularity = 'hour'
GROUP BY tweet_id, impressions_now
ORDER BY impressions_gained DESC, tweet_id::BIGINT
LIMIT 5"""
"""The Tweets that gained the most impressions, with their totals."""

Cells = dict[tuple[str, str, str], int | None]
"""Counts by kind of credentials, Tweet and metric."""


def main() -> int:
    """Run the demo, and return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit("Stopped."))
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for leftover in (DATASET, HISTORY, CHAIN, TWEET_IDS):
        shutil.rmtree(leftover, ignore_errors=True)
    DATABASE.unlink(missing_ok=True)
    TWEET_IDS.mkdir(parents=True)
    say(f"Starting the simulator with {HANDLES} handles and {TWEETS:,} Tweets.")
    with simulator(now) as world:
        environment = airflow_environment(world)
        migrate(environment)
        write_tweet_ids(world)
        say(f"Running the DAG {DAG_ID} in Airflow {airflow_version}.")
        run_dag(environment, DAG_ID, {"tweet_ids_folder": str(TWEET_IDS), "dataset_path": str(DATASET)}, "airflow.log")
        received = requests_received(world["base_url"])
        say("Pulling a month of one handle's history, once in one pull and once day by day.")
        history = pull_history(environment, world["handles"][0]["screen_name"], now)
        say(f"Running the DAG {CHAIN_DAG_ID}: totals, history, load into DuckDB, top Tweets.")
        run_chain(environment, world["handles"][1]["screen_name"], now)
    say("Comparing the datasets with the simulator's world.")
    true_world = World.generate(seed=SEED, handles=HANDLES, tweets=TWEETS, end=now)
    report = make_report(received, true_world, now)
    report["history"] = history
    report["chain"] = query_database(true_world, list(true_world.handles)[1], now)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    show(report)
    say("\nA report about the history with plots, for your browser:")
    provider("report", str(HISTORY / "daily"), "--out", str(PLOTS), "--title", "Engagement in the demo")
    return 1 if any(report[name]["differences"] for name in ("truth", "history", "chain")) else 0


@contextmanager
def simulator(now: datetime) -> Iterator[dict[str, Any]]:
    """Run the simulator with its data clock stopped at a time, and yield its description."""
    WORLD.unlink(missing_ok=True)
    options = {"handles": HANDLES, "tweets": TWEETS, "seed": SEED, "now": now.isoformat(), "world": WORLD}
    options["requests-per-minute"] = 600
    command = [sys.executable, "-m", "airflow_provider_engagement.simulator"]
    command += [f"--{name}={value}" for name, value in options.items()]
    with running(command, DEMO / "simulator.log") as process:
        while not WORLD.exists():
            if process.poll() is not None:
                sys.exit(f"The simulator did not start. See {shown(DEMO / 'simulator.log')}.")
            time.sleep(0.05)
        yield json.loads(WORLD.read_text(encoding="utf-8"))


def airflow_environment(world: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of the demo's Airflow, with connections to the simulator."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    connections = {
        f"AIRFLOW_CONN_ENGAGEMENT_{name.upper()}": json.dumps(connection)
        for name, connection in world["connections"].items()
    }
    return {
        **inherited,
        **connections,
        "AIRFLOW_HOME": str(DEMO / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def migrate(environment: Mapping[str, str]) -> None:
    """Create the database of Airflow, unless there is one of this version of Airflow."""
    home = Path(environment["AIRFLOW_HOME"])
    stamp = home / "migrated"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != airflow_version:
        say("Creating the database of Airflow.")
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        airflow(environment, DEMO / "migration.log", "db", "migrate")
        stamp.write_text(airflow_version, encoding="utf-8")


def write_tweet_ids(world: Mapping[str, Any]) -> None:
    """Write the files of Tweet ids that the DAG reads."""
    files = {handle["screen_name"]: world["tweets"][handle["user_id"]] for handle in world["handles"]}
    files["public"] = [tweet_id for tweet_ids in world["tweets"].values() for tweet_id in tweet_ids]
    for name, tweet_ids in files.items():
        (TWEET_IDS / f"{name}.txt").write_text("\n".join(tweet_ids) + "\n", encoding="utf-8")


def run_dag(environment: Mapping[str, str], dag_id: str, conf: Mapping[str, Any], log: str) -> None:
    """Run an example DAG with ``airflow dags test``, which executes its tasks one after the other."""
    airflow(environment, DEMO / log, "dags", "test", dag_id, "--conf", json.dumps(conf))


def run_chain(environment: Mapping[str, str], screen_name: str, now: datetime) -> None:
    """Run the DAG of the whole chain for one handle."""
    conf = {
        "handle": screen_name,
        "tweet_ids_folder": str(TWEET_IDS),
        "dataset_path": str(CHAIN),
        "database": str(DATABASE),
        "start": (now - timedelta(days=CHAIN_DAYS)).isoformat(),
        "end": now.isoformat(),
    }
    run_dag(environment, CHAIN_DAG_ID, conf, "chain.log")


def query_database(world: World, user_id: str, now: datetime) -> dict[str, Any]:
    """Query the database, and compare the whole tables in it with the simulator's world.

    :param world: the simulator's world, generated again.
    :param user_id: the user whose Tweets the chain pulled.
    :param now: the time of the simulator's data clock, and the end of the history.
    """
    start = now - timedelta(days=CHAIN_DAYS)
    with duckdb.connect(str(DATABASE), read_only=True) as database:
        answer = database.execute(QUERY)
        columns = [column[0] for column in answer.description]
        result = answer.fetchall()
        totals = dict(database.execute("SELECT tweet_id, impressions FROM engagement.tweet_totals").fetchall())
        hours = database.execute(
            "SELECT tweet_id, period_start, impressions FROM engagement.tweet_metrics WHERE granularity = 'hour'"
        ).fetchall()
    tweets = {tweet.id: tweet for tweet in world.tweets.values() if tweet.author_id == user_id and not tweet.deleted}
    expected_totals = {
        tweet.id: None if has_no_count(tweet, "impressions", now) else world.total(tweet.id, "impressions", now)
        for tweet in tweets.values()
    }
    expected_hours = {
        (tweet.id, hour): world.count(tweet.id, "impressions", hour, hour + timedelta(hours=1))
        for tweet in tweets.values()
        for hour in (start + timedelta(hours=number) for number in range(CHAIN_DAYS * 24))
        if tweet.created_at is None or hour + timedelta(hours=1) > tweet.created_at
    }
    found_hours = {(tweet_id, time.astimezone(UTC)): count for tweet_id, time, count in hours}
    gained: Counter[str] = Counter()
    for (tweet_id, _), count in expected_hours.items():
        gained[tweet_id] += count
    best = sorted(gained.items(), key=lambda item: (-item[1], int(item[0])))[: len(result)]
    expected = [(tweet_id, expected_totals[tweet_id], count) for tweet_id, count in best]
    return {
        "query": QUERY,
        "columns": columns,
        "result": [list(row) for row in result],
        "rows": {"tweet_totals": len(totals), "tweet_metrics": len(hours)},
        "differences": (
            len(dict(totals.items() ^ expected_totals.items()))
            + len(dict(found_hours.items() ^ expected_hours.items()))
            + (len(found_hours) != len(hours))
            + (result != expected)
            + (not result)
        ),
    }


def airflow(environment: Mapping[str, str], log: Path, *arguments: str) -> None:
    """Run a command of Airflow until it ends."""
    with running([sys.executable, "-m", "airflow", *arguments], log, environment) as process:
        if process.wait():
            sys.stderr.writelines(log.read_text(encoding="utf-8").splitlines(keepends=True)[-20:])
            sys.exit(f"airflow {' '.join(arguments[:2])} failed. See {shown(log)}.")


@contextmanager
def running(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a new process group, and stop the whole group when the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this script defines the commands
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            except ProcessLookupError:
                pass


def pull_history(environment: Mapping[str, str], screen_name: str, now: datetime) -> dict[str, Any]:
    """Run ``demo_history.py`` with the connections in its environment, and return its result."""
    arguments = (screen_name, TWEET_IDS / f"{screen_name}.txt", HISTORY, SEED, HANDLES, TWEETS, now.isoformat())
    log = DEMO / "history.log"
    script = ROOT / "scripts" / "demo_history.py"
    with running([sys.executable, str(script), *map(str, arguments)], log, environment) as process:
        failed = process.wait()
    lines = log.read_text(encoding="utf-8").splitlines()
    if failed:
        sys.stderr.write("\n".join(lines[-20:]) + "\n")
        sys.exit(f"Pulling history failed. See {shown(log)}.")
    result: dict[str, Any] = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
    return result


def requests_received(base_url: str) -> int:
    """Return how many requests for totals the journal of the simulator has."""
    with build_opener(ProxyHandler({})).open(f"{base_url}/__simulator__/journal?path=totals", timeout=30) as response:
        return len(json.load(response)["entries"])


def make_report(received: int, world: World, now: datetime) -> dict[str, Any]:
    """Compare the dataset with the simulator's world, and summarize it.

    :param received: how many requests the simulator received.
    :param world: the simulator's world, generated again.
    :param now: the time of the simulator's data clock.
    """
    totals, statuses = read_table("tweet_totals"), read_table("tweet_status")
    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((DATASET / "_manifests").iterdir())]
    sent = sum(manifest["requests"]["sent"] for manifest in manifests)
    stored = {
        (row["auth"], row["tweet_id"], metric): row[metric]
        for row in totals.to_pylist()
        for metric in METRICS_OF[row["auth"]]
    }
    with_reason = {
        (credentials_of(row), row["tweet_id"], metric)
        for row in statuses.to_pylist()
        if row["metrics_affected"]
        for metric in row["metrics_affected"].split(",")
    }
    truth = true_cells(world, now)
    with_all_metrics = totals.filter(pyarrow.compute.field("auth") == "user")
    top = top_tweets(with_all_metrics, METRICS_OF["user"])
    problems = [
        *(
            f"{' '.join(cell)}: stored {count}, expected {truth.get(cell)}"
            for cell, count in stored.items()
            if count != truth.get(cell)
        ),
        *(
            f"{' '.join(cell)}: not stored, expected {count}"
            for cell, count in truth.items()
            if count is not None and cell not in stored
        ),
        *(
            f"{' '.join(cell)}: null without a reason"
            for cell, count in truth.items()
            if count is None and cell not in with_reason
        ),
        *(f"{' '.join(cell)}: a reason, but not missing" for cell in with_reason if truth.get(cell) is not None),
        *(f"top Tweets by {metric} differ" for metric in top if not is_correct(top[metric], metric, truth)),
    ]
    rows = len({cell[:2] for cell in stored})
    if rows != totals.num_rows:
        problems.append(f"{totals.num_rows} rows of {rows} Tweets")
    if sent != received:
        problems.append(f"{sent} requests in the manifests, but the simulator received {received}")
    return {
        "requested": {
            auth: sum(manifest["requested"] for manifest in manifests if manifest["auth"] == auth)
            for auth in METRICS_OF
        },
        "requests": {"sent": sent, "received_by_simulator": received},
        "rows": {"tweet_totals": totals.num_rows, "tweet_status": statuses.num_rows},
        "missing": missing(statuses),
        "top": {metric: [[tweet.count, tweet.link] for tweet in tweets] for metric, tweets in top.items()},
        "truth": {
            "counts": sum(count is not None for count in truth.values()),
            "nulls": sum(count is None for count in truth.values()),
            "differences": len(problems),
            "examples": problems[:10],
        },
        "files": {
            "rows": shown(DATASET / "tweet_totals"),
            "outcome of each Tweet": shown(DATASET / "tweet_status"),
            "manifests of the tasks": shown(DATASET / "_manifests"),
            "database": shown(DATABASE),
            "log of Airflow": shown(DEMO / "airflow.log"),
            "this report": shown(REPORT),
        },
    }


def read_table(name: str) -> pyarrow.Table:
    """Read all files of one table."""
    return pyarrow.dataset.dataset(DATASET / name, format="parquet").to_table()


def true_cells(world: World, now: datetime) -> Cells:
    """Return the expected value of every cell: the count of the simulator, or null where the API has none."""
    return {
        (auth, tweet.id, metric): None if has_no_count(tweet, metric, now) else world.total(tweet.id, metric, now)
        for auth, metrics in METRICS_OF.items()
        for tweet in world.tweets.values()
        for metric in metrics
    }


def has_no_count(tweet: Tweet, metric: str, now: datetime) -> bool:
    """Return whether the API has no value: the Tweet is deleted, or too old for the metric."""
    too_old = metric in AGE_LIMITS and (tweet.created_at is None or now - tweet.created_at > AGE_LIMITS[metric])
    return tweet.deleted or too_old


def is_correct(top: list[TopTweet], metric: str, truth: Cells) -> bool:
    """Return whether a ranking agrees with the counts of the simulator."""
    counts = [
        count for (auth, _, name), count in truth.items() if (auth, name) == ("user", metric) and count is not None
    ]
    return [tweet.count for tweet in top] == sorted(counts, reverse=True)[: len(top)] and all(
        truth["user", tweet.tweet_id, metric] == tweet.count for tweet in top
    )


def missing(statuses: pyarrow.Table) -> dict[str, list[dict[str, Any]]]:
    """Return how many Tweets have missing counts, with outcome and reason, by kind of credentials."""
    gaps = Counter(
        (credentials_of(row), row["outcome"], row["message"]) for row in statuses.to_pylist() if row["outcome"] != "ok"
    )
    return {
        auth: [
            {"outcome": outcome, "tweets": tweets, "reason": reason}
            for (kind, outcome, reason), tweets in gaps.most_common()
            if kind == auth
        ]
        for auth in METRICS_OF
    }


def credentials_of(status: Mapping[str, Any]) -> str:
    """Return the kind of credentials of a row of ``tweet_status``. Only rows of user credentials have an owner."""
    return "user" if status["owner"] else "app"


def show(report: Mapping[str, Any]) -> None:
    """Print the report in readable form."""
    requests, rows, truth = report["requests"], report["rows"], report["truth"]
    say(f"\nRequests: {requests['sent']} sent, {requests['received_by_simulator']} received by the simulator.")
    say(f"The dataset {shown(DATASET)}, of all handles: {rows['tweet_totals']:,} rows in tweet_totals.")
    for auth, gaps in report["missing"].items():
        say(f"Incomplete among {report['requested'][auth]:,} Tweets requested with {CREDENTIALS[auth]}:")
        for gap in gaps:
            say(f"  {gap['tweets']:>6,} {gap['outcome']}: {gap['reason']}")
    for metric, tweets in report["top"].items():
        say(f"Top Tweets by {metric}:")
        for place, (count, link) in enumerate(tweets, start=1):
            say(f"  {place:>2} {count:>12,}  {link}")
    history = report["history"]
    say(
        f"The datasets in {shown(HISTORY)}, of one handle: {history['days']} days of {history['tweets']} Tweets, "
        f"{history['rows']:,} rows in each. Requests:"
    )
    for what, number in history["requests"].items():
        say(f"  {number:>6,} {what}")
    say("Files:")
    for what, path in report["files"].items():
        say(f"  {path}  ({what})")
    if history["differences"]:
        say(f"WRONG: {history['differences']} differences from the simulator or between the pulls of the history.")
    if truth["differences"]:
        say(f"WRONG: {truth['differences']} differences from the simulator, for example:")
        for problem in truth["examples"]:
            say(f"  {problem}")
    else:
        say(
            f"All {truth['counts'] + history['counts']:,} counts equal the simulator's. "
            f"The {truth['nulls']:,} missing counts are the expected ones, and each has a reason."
        )
    show_chain(report["chain"])


def show_chain(chain: Mapping[str, Any]) -> None:
    """Print the query on the database, and its result."""
    rows = chain["rows"]
    if chain["differences"]:
        say(f"WRONG: {chain['differences']} differences between the database and the simulator.")
    say(
        f"\nThe dataset {shown(CHAIN)}, of another handle, is in the database {shown(DATABASE)}: "
        f"{rows['tweet_totals']:,} totals and {rows['tweet_metrics']:,} hours of {CHAIN_DAYS} days. The query"
    )
    say("\n".join(f"    {line}" for line in chain["query"].splitlines()))
    say("returns:")
    for row in (chain["columns"], *chain["result"]):
        say("    " + "".join(f"{value:>20}" if isinstance(value, str) else f"{value:>20,}" for value in row))


def provider(*arguments: str) -> None:
    """Run the command line of the provider, which prints the paths that it has written."""
    command = [sys.executable, "-m", "airflow_provider_engagement", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603 - this script defines the arguments
        sys.exit("The report was not written.")


def shown(path: Path) -> str:
    """Return a path relative to the root of the project."""
    return str(path.relative_to(ROOT))


def say(text: str) -> None:
    """Print a text without buffering."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
