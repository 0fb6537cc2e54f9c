"""A small world, a simulator of it, and an independent client: requests with requests-oauthlib."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from requests_oauthlib import OAuth1

from airflow_provider_engagement.simulator import App, Clock, ExplicitCounts, Handle, Simulator, Switches, Tweet, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
BY_TWEET = {"by_tweet": {"group_by": ["tweet.id", "engagement.type"]}}


class Client:
    """Sends requests to a simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.session = requests.Session()

    def oauth1(self, user_id: str) -> OAuth1:
        app, handle = self.simulator.world.app, self.simulator.world.handles[user_id]
        return OAuth1(app.consumer_key, app.consumer_secret, handle.access_token, handle.access_token_secret)

    def post(
        self,
        endpoint: str,
        body: Any,
        *,
        user: str | None = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> requests.Response:
        """Post a body with user credentials, or with the app's bearer token."""
        auth = options.pop("auth", None) or (self.oauth1(user) if user else None)
        bearer = {} if auth else {"Authorization": f"Bearer {self.simulator.world.app.bearer_token}"}
        return self.session.post(
            f"{self.simulator.base_url}/insights/engagement/{endpoint}",
            json=body,
            auth=auth,
            headers={**bearer, **(headers or {})},
            timeout=10,
            **options,
        )

    def totals(self, *tweet_ids: str, metrics: tuple[str, ...] = ("favorites",), **options: Any) -> requests.Response:
        body = {"tweet_ids": list(tweet_ids), "engagement_types": list(metrics), "groupings": BY_TWEET}
        return self.post("totals", body, **options)

    def historical(
        self,
        *tweet_ids: str,
        user: str,
        start: str | None = None,
        end: str | None = None,
        metrics: tuple[str, ...] = ("impressions",),
        group_by: tuple[str, ...] = ("tweet.id", "engagement.type"),
        endpoint: str = "historical",
    ) -> requests.Response:
        body: dict[str, Any] = {
            "tweet_ids": list(tweet_ids),
            "engagement_types": list(metrics),
            "groupings": {"counts": {"group_by": list(group_by)}},
        }
        window = {"start": start, "end": end}
        return self.post(endpoint, body | {name: at for name, at in window.items() if at is not None}, user=user)


AUTHOR, OTHER = "7588892", "370773112"
NEW, SECOND, OLD, DELETED, FOREIGN, ANCIENT = (
    "2000000000000000001",
    "2000000000000000002",
    "1850000000000000001",
    "2000000000000000003",
    "2000000000000000009",
    "20",
)


def handle(user_id: str, **changes: Any) -> Handle:
    return Handle(
        user_id=user_id,
        screen_name=f"user_{user_id}",
        access_token=f"{user_id}-accessToken",
        access_token_secret=f"secret of {user_id}",
        **changes,
    )


@pytest.fixture
def world() -> World:
    """Two users. The first has two new Tweets, one past 90 days, a deleted one and one from before snowflake."""
    return World(
        apps=[App(consumer_key="key", consumer_secret="secret & more", bearer_token="AAAA%2Fbearer%3D")],
        handles=[handle(AUTHOR), handle(OTHER)],
        tweets=[
            *(Tweet(id=tweet_id, author_id=AUTHOR) for tweet_id in (NEW, SECOND, OLD, ANCIENT)),
            Tweet(id=DELETED, author_id=AUTHOR, deleted=True),
            Tweet(id=FOREIGN, author_id=OTHER),
        ],
        counts=ExplicitCounts(
            hourly={
                (NEW, "impressions", datetime(2026, 1, 10, 22, tzinfo=UTC)): 40,
                (NEW, "impressions", datetime(2026, 1, 11, 22, tzinfo=UTC)): 2,
                (NEW, "favorites", datetime(2026, 1, 11, 1, tzinfo=UTC)): 3,
                (SECOND, "impressions", datetime(2026, 1, 11, 0, tzinfo=UTC)): 7,
                (OLD, "impressions", datetime(2026, 1, 11, 0, tzinfo=UTC)): 11,
                (OLD, "favorites", datetime(2026, 1, 11, 0, tzinfo=UTC)): 5,
                (ANCIENT, "video_views", datetime(2026, 1, 11, 0, tzinfo=UTC)): 9,
            }
        ),
    )


@pytest.fixture
def start() -> Iterator[Callable[..., Client]]:
    """Start simulators, and stop them after the test."""
    running: list[Simulator] = []

    def start_simulator(world: World, *, now: datetime = NOW, **settings: Any) -> Client:
        simulator = Simulator(world, clock=Clock(now), **settings).start()
        running.append(simulator)
        return Client(simulator)

    yield start_simulator
    for simulator in running:
        simulator.stop()


@pytest.fixture
def client(start: Callable[..., Client], world: World) -> Client:
    """A client of a simulator with the small world, at 2026-01-12T09:30Z."""
    return start(world)


@pytest.fixture
def switched(start: Callable[..., Client], world: World) -> Callable[..., Client]:
    """Start a simulator with the small world and other switches."""
    return lambda **changes: start(world, switches=Switches(**changes))
