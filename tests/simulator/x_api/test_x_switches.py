"""The switches of X API v2. A list and its public metrics are the same under each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_engagement.simulator import World, XApiSwitches

from .conftest import NOW, XClient

Start = Callable[..., XClient]
ALL = [(name, value) for name, values in XApiSwitches.choices().items() for value in values]


def test_the_default_of_every_switch_comes_first() -> None:
    assert XApiSwitches() == XApiSwitches(**{name: values[0] for name, values in XApiSwitches.choices().items()})
    assert all(len(set(values)) > 1 for values in XApiSwitches.choices().values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"pages": "sideways"}, "pages: 'sideways' is unknown"), ({"weather": 1}, "weather: no such switch")],
)
def test_a_switch_accepts_its_values_only(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        XApiSwitches().changed(changes)


@pytest.fixture(scope="module")
def generated() -> World:
    return World.generate(seed=6, handles=1, tweets=60, end=NOW, edited=0.1)


@pytest.mark.parametrize(("name", "value"), ALL, ids=[f"{name}={value}" for name, value in ALL])
def test_no_switch_changes_public_metrics(start: Start, generated: World, name: str, value: Any) -> None:
    x = start(generated, **{name: value})
    (user_id,) = generated.handles
    listed = [
        (tweet["id"], tweet["public_metrics"])
        for page in x.pages(user_id, max_results=20, tweet__fields="public_metrics")
        for tweet in page.get("data", ())
    ]
    assert listed == [
        (tweet.id, x.simulator.figures.public(tweet))
        for tweet in reversed(generated.tweets.values())
        if not tweet.deleted and tweet.history[-1] == tweet.id
    ]
