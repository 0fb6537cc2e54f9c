"""The HTTP server, in a thread and as a program."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from requests_oauthlib import OAuth1

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint, metrics_of
from airflow_provider_engagement.simulator import Simulator, World
from airflow_provider_engagement.simulator.__main__ import main

NEW, AUTHOR = "2000000000000000001", "7588892"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost", "192.0.2.1"])
def test_only_loopback_is_allowed(host: str) -> None:
    with pytest.raises(ValueError, match="Use 127\\.0\\.0\\.1 only"):
        Simulator(World(), host=host)


def test_a_connection_is_kept_alive(client: Any) -> None:
    assert [client.totals(NEW).status_code for _ in range(20)] == [200] * 20
    pools = client.session.get_adapter("http://").poolmanager.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118


def test_concurrent_requests_are_all_in_the_journal(client: Any) -> None:
    client.simulator.set_limit(per_minute=1000)
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: client.totals(NEW, user=AUTHOR).status_code, range(64)))
    assert statuses == [200] * 64
    assert [entry.number for entry in client.simulator.journal] == list(range(1, 65))


def test_a_stopped_simulator_accepts_no_connection(start: Callable[..., Any], world: World) -> None:
    with Simulator(world) as simulator:
        url = simulator.base_url + "/insights/engagement/totals"
        session = requests.Session()
        assert session.post(url, timeout=5).status_code == 401
    with pytest.raises(requests.ConnectionError):
        session.post(url, timeout=5)


def test_the_program_writes_a_description_and_stops_on_sigterm(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    arguments = [
        "--tweets",
        "40",
        "--edited",
        "0.5",
        "--handles",
        "2",
        "--now",
        "2026-01-12",
        "--requests-per-minute",
        "7",
    ]
    program = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_engagement.simulator", *arguments, "--world", str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        ready = program.stdout.readline()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        world = json.loads(path.read_text())
        assert ready.split()[-1] == world["base_url"]
        screen_name = world["handles"][0]["screen_name"]
        connection = world["connections"][screen_name]
        extra = connection["extra"]
        assert connection["conn_type"] == "engagement"
        assert extra["requests_per_minute"] == 7
        credentials = ("api_key", "api_key_secret", "access_token", "access_token_secret")
        response = requests.post(
            connection["host"] + "/insights/engagement/totals",
            json={
                "tweet_ids": world["tweets"][world["handles"][0]["user_id"]][:5],
                "engagement_types": ["favorites"],
                "groupings": {"all": {"group_by": ["engagement.type"]}},
            },
            auth=OAuth1(*(extra[name] for name in credentials)),
            timeout=10,
        )
        assert response.status_code == 200
        assert response.headers["x-per-minute-limit"] == "7"
        assert sum(map(len, world["tweets"].values())) > 40
        me = requests.get(
            world["base_url"] + "/2/users/me",
            headers={"Authorization": f"Bearer {world['oauth2_tokens'][world['handles'][0]['user_id']]}"},
            timeout=10,
        )
        assert me.json()["data"]["username"] == screen_name
        assert set(world["connections"]) == {"handle_1", "handle_2", "public", "all_owners"}
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=10) == 0
    finally:
        program.kill()
        program.communicate()


def test_the_program_reports_invalid_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--start", "2026-01-02", "--end", "2026-01-01"])
    assert exit_.value.code == 2
    assert "is not before" in capsys.readouterr().err


def test_the_largest_response_has_every_count(start: Callable[..., Any]) -> None:
    now = datetime(2026, 1, 12, tzinfo=UTC)
    client = start(World.generate(seed=1, handles=1, tweets=25, end=now, deleted=0.0, old=0.0), now=now)
    (user_id,) = client.simulator.world.handles
    metrics = metrics_of(Endpoint.HISTORICAL, Auth.USER)
    counts = client.historical(
        *client.simulator.world.tweets,
        user=user_id,
        start="2025-12-15",
        end="2026-01-12",
        metrics=metrics,
        group_by=("tweet.id", "engagement.type", "engagement.day", "engagement.hour"),
    ).json()["counts"]
    assert {
        (tweet_id, metric): sum(int(count) for day in days.values() for count in day.values())
        for tweet_id, by_metric in counts.items()
        for metric, days in by_metric.items()
    } == {
        (tweet_id, metric): client.simulator.world.count(tweet_id, metric, datetime(2025, 12, 15, tzinfo=UTC), now)
        for tweet_id in client.simulator.world.tweets
        for metric in metrics
    }
    cells = [count for by in counts.values() for days in by.values() for day in days.values() for count in day.values()]
    assert len(cells) == 25 * 17 * 672
