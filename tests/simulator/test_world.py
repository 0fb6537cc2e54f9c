"""Worlds that follow from a seed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_engagement.api.tweet_id import FIRST_SNOWFLAKE_ID, created_at
from airflow_provider_engagement.simulator import App, Handle, World

START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


def made(**changes: Any) -> World:
    return World.generate(**{"seed": 1, "tweets": 500, "start": START, "end": END, **changes})


def test_the_same_seed_gives_the_same_world() -> None:
    assert made().to_json() == made().to_json()
    assert made().to_json() != made(seed=2).to_json()


def test_the_ids_carry_the_times_they_were_asked_to() -> None:
    moments = [created_at(tweet_id) for tweet_id in made(old=0.0).tweets]
    assert len(moments) == 500
    assert all(moment is not None and START <= moment < END for moment in moments)
    assert moments == sorted(moments, key=lambda moment: moment or START)


@pytest.mark.parametrize(
    ("share", "found"),
    [
        ({"deleted": 0.3}, lambda world: sum(tweet.deleted for tweet in world.tweets.values())),
        ({"video": 0.3}, lambda world: sum(tweet.has_video for tweet in world.tweets.values())),
        ({"old": 0.3}, lambda world: sum((tweet.created_at or END) < START for tweet in world.tweets.values())),
        ({"pre_snowflake": 0.3}, lambda world: sum(int(tweet_id) < FIRST_SNOWFLAKE_ID for tweet_id in world.tweets)),
    ],
)
def test_shares_are_kept(share: dict[str, float], found: Any) -> None:
    assert 120 <= found(made(**share)) <= 180
    assert found(made(**dict.fromkeys(share, 0.0))) == 0


def test_some_videos_are_carried_by_several_tweets() -> None:
    world = made(video=1.0, shared_video=0.5)
    videos = {tweet.video_id for tweet in world.tweets.values()}
    assert 200 <= len(videos) <= 300


def test_tokens_begin_with_the_id_of_their_user() -> None:
    for user_id, handle in made(handles=5).handles.items():
        assert handle.access_token.startswith(f"{user_id}-")


def test_the_first_handle_writes_the_most() -> None:
    world = made()
    written = [len(world.tweets_of(user_id)) for user_id in world.handles]
    assert sum(written) == 500
    assert written[0] == max(written)


@pytest.mark.parametrize(
    ("wrong", "told"), [({"video": 1.2}, "video=1.2"), ({"handles": 0}, "handles=0"), ({"start": END}, "not before")]
)
def test_an_impossible_world_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        made(**wrong)


def test_no_secret_shows_in_a_representation() -> None:
    app = App(consumer_key="key", consumer_secret="hush", bearer_token="hush")
    handle = Handle(user_id="1", screen_name="a", access_token="1-hush", access_token_secret="hush")
    assert "hush" not in f"{app!r} {handle!r}"


def test_a_tweet_can_be_deleted_while_the_simulator_runs(client: Any) -> None:
    tweet_id = "2000000000000000001"
    assert client.totals(tweet_id).status_code == 200
    client.simulator.world.change_tweet(tweet_id, deleted=True)
    assert client.totals(tweet_id).status_code == 400
    with pytest.raises(KeyError, match="not part of this world"):
        client.simulator.world.change_tweet("1", deleted=True)
