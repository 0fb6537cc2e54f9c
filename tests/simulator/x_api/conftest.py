"""A small world on X API v2, and a client of it: requests with requests-oauthlib."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from requests_oauthlib import OAuth1

from airflow_provider_engagement.simulator import (
    App,
    Clock,
    ExplicitCounts,
    Handle,
    Reference,
    Simulator,
    Tweet,
    World,
    XApiSwitches,
)

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)

AUTHOR, OTHER = "7588892", "370773112"
NEW, VIDEO, OLD, DELETED, FOREIGN, REPLY, RETWEET = (
    "2000000000000000001",
    "2000000000000000002",
    "1850000000000000001",
    "2000000000000000003",
    "2000000000000000009",
    "2001000000000000001",
    "2001000000000000002",
)


class XClient:
    """Sends requests to X API v2 of a simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.session = requests.Session()

    def get(
        self,
        path: str,
        *,
        user: str | None = None,
        oauth2: str | None = None,
        headers: dict[str, str] | None = None,
        **parameters: Any,
    ) -> requests.Response:
        """Send a request with the credentials of a user, or with the app's bearer token.

        :param user: the user who signs with OAuth 1.0a.
        :param oauth2: the user whose OAuth 2.0 token is sent.
        :param parameters: the query; two underscores stand for a dot.
        """
        world = self.simulator.world
        token = world.handles[oauth2].oauth2_token if oauth2 else world.app.bearer_token
        return self.session.get(
            f"{self.simulator.base_url}/2/{path}",
            params={name.replace("__", "."): value for name, value in parameters.items()},
            auth=self.oauth1(user) if user else None,
            headers=headers if headers is not None else {} if user else {"Authorization": f"Bearer {token}"},
            timeout=10,
        )

    def oauth1(self, user_id: str) -> OAuth1:
        app, handle = self.simulator.world.app, self.simulator.world.handles[user_id]
        return OAuth1(app.consumer_key, app.consumer_secret, handle.access_token, handle.access_token_secret)

    def tweets(self, *ids: str, **options: Any) -> Any:
        """Look up Tweets, and return the body of the response."""
        response = self.get("tweets", ids=",".join(ids), **options)
        assert response.status_code == 200, response.text
        return response.json()

    def pages(self, user_id: str, **options: Any) -> Iterator[Any]:
        """List the Tweets of a user to the end, and yield the body of each page."""
        token: dict[str, str] = {}
        while True:
            response = self.get(f"users/{user_id}/tweets", **options, **token)
            assert response.status_code == 200, response.text
            body = response.json()
            yield body
            if "next_token" not in body.get("meta", {}):
                return
            token = {"pagination_token": body["meta"]["next_token"]}

    def listed(self, user_id: str, **options: Any) -> list[str]:
        """Return the ids of all Tweets of a user."""
        return [tweet["id"] for page in self.pages(user_id, **options) for tweet in page.get("data", ())]


def handle(user_id: str, screen_name: str, **changes: Any) -> Handle:
    return Handle(
        user_id=user_id,
        screen_name=screen_name,
        access_token=f"{user_id}-accessToken",
        access_token_secret=f"secret of {user_id}",
        **changes,
    )


@pytest.fixture
def world() -> World:
    """Two users. The first has young Tweets, one with a video, an old one and a deleted one."""
    at = datetime(2026, 1, 11, tzinfo=UTC)
    return World(
        apps=[App(consumer_key="key", consumer_secret="secret & more", bearer_token="AAAA%2Fbearer%3D")],
        handles=[handle(AUTHOR, "acme"), handle(OTHER, "other_one")],
        tweets=[
            Tweet(id=OLD, author_id=AUTHOR, text="Long ago"),
            Tweet(id=NEW, author_id=AUTHOR, text="Hello, world", lang="en", promoted=0.5),
            Tweet(id=VIDEO, author_id=AUTHOR, text="Look!", video_id="77"),
            Tweet(id=DELETED, author_id=AUTHOR, deleted=True),
            Tweet(id=FOREIGN, author_id=OTHER, text="Not yours"),
            Tweet(id=REPLY, author_id=AUTHOR, text="@other_one indeed", reference=Reference("replied_to", FOREIGN)),
            Tweet(id=RETWEET, author_id=AUTHOR, reference=Reference("retweeted", FOREIGN)),
        ],
        counts=ExplicitCounts(
            hourly={
                (NEW, "impressions", at): 40,
                (NEW, "favorites", at): 4,
                (NEW, "retweets", at): 2,
                (NEW, "replies", at): 6,
                (NEW, "quote_tweets", at): 1,
                (NEW, "url_clicks", at): 8,
                (NEW, "user_profile_clicks", at): 10,
                (NEW, "engagements", at): 31,
                (VIDEO, "video_views", at): 100,
                (FOREIGN, "favorites", at): 5,
            }
        ),
    )


Start = Callable[..., XClient]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start simulators, and stop them after the test. Other words than settings are switches."""
    running: list[Simulator] = []

    def start_simulator(
        world: World, *, now: datetime = NOW, rate_clock: Clock | None = None, **switches: Any
    ) -> XClient:
        simulator = Simulator(
            world, clock=Clock(now), rate_clock=rate_clock, x_switches=XApiSwitches(**switches)
        ).start()
        running.append(simulator)
        return XClient(simulator)

    yield start_simulator
    for simulator in running:
        simulator.stop()


@pytest.fixture
def x(start: Start, world: World) -> XClient:
    """A client of a simulator with the small world, at 2026-01-12T09:30Z."""
    return start(world)
