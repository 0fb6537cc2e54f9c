"""Requests for the totals of 300 owners with 1,000 Tweets each, compared with the fewest possible.

Half of the Tweets are older than 90 days. Each tenth owner has withdrawn the authorization in the last case.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import timedelta

import operators
from figures import figure

from airflow_provider_engagement.simulator import Clock, Handle, Simulator, Tweet, World
from airflow_provider_engagement.tweet_id import first_id_at

BATCH_SIZE = 250
PUBLIC = ("favorites", "retweets")


def main(owners: int = 300, tweets: int = 1000) -> None:
    """Pull totals of many owners.

    :param owners: the number of owners.
    :param tweets: the number of Tweets of each owner, half of them older than 90 days.
    """
    handles = list(World.generate(handles=owners, tweets=0).handles.values())
    listed = list(_listed(handles, tweets))
    world = World(
        handles=handles,
        tweets=[Tweet(id=tweet_id, author_id=owner) for tweet_id, owner in listed],
    )
    young = tweets // 2
    rest = owners * max(0, tweets - young - -young % BATCH_SIZE)
    fewest = {
        "public metrics": -(-owners * tweets // BATCH_SIZE),
        "all metrics": owners * -(-young // BATCH_SIZE) + -(-rest // BATCH_SIZE),
        "one owner at a time": owners * -(-tweets // BATCH_SIZE),
    }
    with Simulator(world, clock=Clock(operators.SNAPSHOT_AT)) as simulator:
        simulator.set_limit(per_minute=1_000_000)
        operators.connect("engagement_default", json.dumps(_connection(simulator, handles)))
        _pull(simulator, "public metrics", listed, fewest["public metrics"], metrics=PUBLIC)
        _pull(simulator, "all metrics", listed, fewest["all metrics"], auth="user")
        figure("one owner at a time: requests", fewest["one owner at a time"], "requests")
        for handle in handles[::10]:
            world.change_handle(handle.user_id, revoked=True)
        expected = fewest["all metrics"] - len(handles[::10]) * -(-young // BATCH_SIZE)
        _pull(simulator, "a tenth of the owners revoked", listed, expected + 8 * len(handles[::10]), auth="user")


def _listed(handles: list[Handle], tweets: int) -> Iterator[tuple[str, str]]:
    for number, handle in enumerate(handles):
        for index in range(tweets):
            days = 30 if index < tweets // 2 else 200
            first = int(first_id_at(operators.SNAPSHOT_AT - timedelta(days=days)))
            yield str(first + number * tweets + index), handle.user_id


def _connection(simulator: Simulator, handles: list[Handle]) -> dict[str, object]:
    app = simulator.world.app
    accounts = {
        handle.user_id: {"access_token": handle.access_token, "access_token_secret": handle.access_token_secret}
        for handle in handles
    }
    extra = {
        "api_key": app.consumer_key,
        "api_key_secret": app.consumer_secret,
        "bearer_token": app.bearer_token,
        "account_tokens": accounts,
    }
    return {"conn_type": "engagement", "host": simulator.base_url, "extra": extra}


def _pull(simulator: Simulator, case: str, listed: list[tuple[str, str]], most: int, **parameters: object) -> None:
    from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

    sent = len(simulator.journal)
    with tempfile.TemporaryDirectory() as folder:
        pull = EngagementTotalsOperator(
            max_delay="unlimited",
            task_id="pull",
            tweets=listed,
            dataset_path=f"file://{folder}",
            accepted_outcomes=["unavailable", "unsupported_video", "unsupported_90d", "unauthorized"],
            **parameters,
        )
        manifest = pull.execute(operators.context())
    figure(f"{case}: requests", len(simulator.journal) - sent, "requests", f"<= {most}")
    figure(f"{case}: rows", manifest["rows"]["tweet_totals"], "rows")
    figure(f"{case}: rejected owners", len(manifest["owners"]["rejected"]), "owners")
