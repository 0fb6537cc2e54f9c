"""Use the simulator as a fixture in your own tests."""

# [START fixture]
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.simulator import Clock, Fault, Simulator, World, connection

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The Engagement API with two users and 200 Tweets, as the connection engagement_default."""
    world = World.generate(seed=1, handles=2, tweets=200, end=NOW)
    with Simulator(world, clock=Clock(NOW)) as running:
        user = next(iter(world.handles.values()))
        monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(connection(running, user)))
        yield running


# [END fixture]


# [START test]
def test_totals_equal_the_counts_of_the_world(simulator: Simulator) -> None:
    user = next(iter(simulator.world.handles))
    tweet_ids = simulator.world.tweets_of(user, deleted=False)
    simulator.faults.add(Fault(status=503, times=1))

    (response,) = EngagementHook().totals(tweet_ids, metrics=["impressions", "retweets"], auth="user")

    retweets = dict(zip(response.counts.tweet_ids, response.counts.by_metric["retweets"], strict=True))
    assert retweets == {tweet_id: simulator.total(tweet_id, "retweets") for tweet_id in tweet_ids}  # noqa: S101
    assert [entry.status for entry in simulator.journal] == [503, 200]  # noqa: S101


# [END test]
