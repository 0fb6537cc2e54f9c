"""What a client needs to reach a running simulator: addresses, credentials, ids and Airflow connections."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from airflow_provider_engagement.simulator.entities import Handle
from airflow_provider_engagement.simulator.server import Simulator


def description(simulator: Simulator) -> dict[str, Any]:
    """Return everything a client needs to reach a running simulator, as JSON values, including secrets.

    :param simulator: a running simulator.
    :return: ``base_url`` (of both APIs), ``token_url``, ``app``, ``handles``, ``oauth2_tokens`` and ``tweets`` (ids),
        both by user id, and ``connections``. The last holds one Airflow connection per user, by screen name, one
        without a user, as ``public``, and one with the access tokens of all users, as ``all_owners``.
    """
    world = simulator.world
    app = replace(world.app, requests_per_minute=simulator.quotas.limit(world.app)[0])
    return {
        "base_url": simulator.base_url,
        "token_url": simulator.token_url,
        "app": asdict(app),
        "handles": [asdict(handle) for handle in world.handles.values()],
        "oauth2_tokens": {user_id: handle.oauth2_token for user_id, handle in world.handles.items()},
        "tweets": {user_id: world.tweets_of(user_id) for user_id in world.handles},
        "connections": {
            **{handle.screen_name: connection(simulator, handle) for handle in world.handles.values()},
            "public": connection(simulator, None),
            "all_owners": _connection_of_all(simulator),
        },
    }


def connection(simulator: Simulator, handle: Handle | None) -> dict[str, Any]:
    """Return an Airflow connection to the simulator, in the JSON form of ``AIRFLOW_CONN_…``.

    :param simulator: a running simulator.
    :param handle: the user whose Tweets the connection reads; ``None`` for a connection with app credentials only.
    """
    app = simulator.world.app
    extra: dict[str, Any] = {
        "api_key": app.consumer_key,
        "api_key_secret": app.consumer_secret,
        "token_url": simulator.token_url,
        "x_base_url": simulator.base_url,
        "requests_per_minute": simulator.quotas.limit(app)[0],
    }
    if handle is None:
        extra["bearer_token"] = simulator.api.tokens.current(app)
    else:
        extra["access_token"] = handle.access_token
        extra["access_token_secret"] = handle.access_token_secret
    return {"conn_type": "engagement", "host": simulator.base_url, "extra": extra}


def _connection_of_all(simulator: Simulator) -> dict[str, Any]:
    made = connection(simulator, None)
    made["extra"]["account_tokens"] = {
        handle.user_id: {"access_token": handle.access_token, "access_token_secret": handle.access_token_secret}
        for handle in simulator.world.handles.values()
    }
    return made
