"""What a client needs to know of a running simulator: addresses, credentials, ids and Airflow connections."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from airflow_provider_engagement.simulator.server import Simulator
from airflow_provider_engagement.simulator.world import Handle


def description(simulator: Simulator) -> dict[str, Any]:
    """Return all a client needs to know of a running simulator, as JSON values; secrets included.

    :return: ``base_url``, ``token_url``, ``app``, ``handles``, ``tweets`` (ids by user id) and ``connections``: by
        screen name, an Airflow connection that reads that handle's Tweets, and under ``public`` one without a user.
    """
    world = simulator.world
    app = replace(world.app, requests_per_minute=simulator.budgets.limit(world.app)[0])
    return {
        "base_url": simulator.base_url,
        "token_url": simulator.token_url,
        "app": asdict(app),
        "handles": [asdict(handle) for handle in world.handles.values()],
        "tweets": {user_id: world.tweets_of(user_id) for user_id in world.handles},
        "connections": {
            **{handle.screen_name: connection(simulator, handle) for handle in world.handles.values()},
            "public": connection(simulator, None),
        },
    }


def connection(simulator: Simulator, handle: Handle | None) -> dict[str, Any]:
    """Return an Airflow connection to the simulator as JSON values, as ``AIRFLOW_CONN_…`` takes it.

    :param handle: the user whose Tweets are read; without one, the connection has only the app's credentials.
    """
    app = simulator.world.app
    extra: dict[str, Any] = {
        "consumer_key": app.consumer_key,
        "consumer_secret": app.consumer_secret,
        "token_url": simulator.token_url,
        "requests_per_minute": simulator.budgets.limit(app)[0],
    }
    if handle is None:
        extra["bearer_token"] = simulator.service.bearer_token(app)
    else:
        extra["access_token"] = handle.access_token
        extra["access_token_secret"] = handle.access_token_secret
    return {"conn_type": "engagement", "host": simulator.base_url, "extra": extra}
