"""Generated worlds, and changes of a world."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_engagement.simulator import App, Handle, World
from airflow_provider_engagement.tweet_id import FIRST_SNOWFLAKE_ID, created_at

START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


def generated(**changes: Any) -> World:
    return World.generate(**{"seed": 1, "tweets": 500, "start": START, "end": END, **changes})


def test_the_same_seed_gives_the_same_world() -> None:
    assert generated().to_json() == generated().to_json()
    assert generated().to_json() != generated(seed=2).to_json()


def test_tweet_ids_contain_times_between_start_and_end() -> None:
    times = [created_at(tweet_id) for tweet_id in generated(old=0.0).tweets]
    assert len(times) == 500
    assert all(time is not None and START <= time < END for time in times)
    assert times == sorted(times, key=lambda time: time or START)


@pytest.mark.parametrize(
    ("share", "number_of"),
    [
        ({"deleted": 0.3}, lambda world: sum(tweet.deleted for tweet in world.tweets.values())),
        ({"video": 0.3}, lambda world: sum(tweet.has_video for tweet in world.tweets.values())),
        ({"image": 0.3, "video": 0.0}, lambda world: sum(tweet.image for tweet in world.tweets.values())),
        ({"old": 0.3}, lambda world: sum((tweet.created_at or END) < START for tweet in world.tweets.values())),
        ({"pre_snowflake": 0.3}, lambda world: sum(int(tweet_id) < FIRST_SNOWFLAKE_ID for tweet_id in world.tweets)),
    ],
)
def test_a_share_of_the_tweets_has_a_property(share: dict[str, float], number_of: Any) -> None:
    assert 120 <= number_of(generated(**share)) <= 180
    assert number_of(generated(**dict.fromkeys(share, 0.0))) == 0


def test_images_change_nothing_else_of_a_world() -> None:
    def without_images(world: World) -> list[dict[str, Any]]:
        return [
            {name: value for name, value in tweet.items() if name != "image"} for tweet in world.to_json()["tweets"]
        ]

    assert without_images(generated(image=0.0)) == without_images(generated(image=1.0))
    assert not any(tweet.image and tweet.has_video for tweet in generated(image=1.0).tweets.values())


def test_several_tweets_can_have_the_same_video() -> None:
    world = generated(video=1.0, shared_video=0.5)
    videos = {tweet.video_id for tweet in world.tweets.values()}
    assert 200 <= len(videos) <= 300


def test_an_access_token_begins_with_the_user_id() -> None:
    for user_id, handle in generated(handles=5).handles.items():
        assert handle.access_token.startswith(f"{user_id}-")


def test_the_first_user_has_the_most_tweets() -> None:
    world = generated()
    numbers = [len(world.tweets_of(user_id)) for user_id in world.handles]
    assert sum(numbers) == 500
    assert numbers[0] == max(numbers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"video": 1.2}, "video: 1.2"), ({"handles": 0}, "handles: 0"), ({"start": END}, "not before")],
)
def test_impossible_arguments_raise_an_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generated(**arguments)


def test_a_repr_contains_no_secret() -> None:
    app = App(consumer_key="key", consumer_secret="canary", bearer_token="canary")
    handle = Handle(user_id="1", screen_name="a", access_token="1-canary", access_token_secret="canary")
    assert "canary" not in f"{app!r} {handle!r}"


def test_a_tweet_can_be_deleted_while_the_simulator_runs(client: Any) -> None:
    tweet_id = "2000000000000000001"
    assert client.totals(tweet_id).status_code == 200
    client.simulator.world.change_tweet(tweet_id, deleted=True)
    assert client.totals(tweet_id).status_code == 400
    with pytest.raises(KeyError, match="does not exist in this world"):
        client.simulator.world.change_tweet("1", deleted=True)
