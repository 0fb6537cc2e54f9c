"""What Airflow's own REST API shows of a connection to users of each role, and what its *Test* button returns."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_engagement.connections.connection_settings import SECRETS
from airflow_provider_engagement.simulator import Clock, Simulator, World

from .api_server import PASSWORD, api_server

ROLES = {"connie": "admin", "oprah": "op", "ursula": "user", "vera": "viewer"}
TOKENS = {"access_token": "783214-canaryOwner", "access_token_secret": "canaryOwnerSecret"}
EXTRA = {
    **{name: f"canary{number}" for number, name in enumerate(SECRETS)},
    "access_token": "7588892-canaryAccess",
    "requests_per_minute": 60,
}
ALL_FORMS = {
    "object": {**EXTRA, "account_tokens": {"783214": TOKENS}},
    "form": {**EXTRA, "account_tokens": json.dumps({"783214": TOKENS})},
}
"""The tokens of owners as an object, and as the text that Airflow's form stores."""

Ask = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def address(airflow_database: None) -> Iterator[str]:
    """The address of an API server, which allows the test of connections."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__TEST_CONNECTION", "Enabled")
        with api_server(Path(os.environ["AIRFLOW_HOME"]), ROLES) as running:
            yield running


@pytest.fixture(scope="module")
def ask(address: str) -> Ask:
    """Send a request to the API as a user."""

    def sent(user: str, method: str, path: str, **content: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            given = session.post(f"{address}/auth/token", json={"username": user, "password": PASSWORD}, timeout=60)
            headers = {"Authorization": f"Bearer {given.json()['access_token']}"}
            return session.request(method, f"{address}/api/v2/{path}", headers=headers, timeout=60, **content)

    return sent


@pytest.fixture(scope="module", params=list(ALL_FORMS))
def connection(request: pytest.FixtureRequest, ask: Ask) -> str:
    """A connection that the administrator has created."""
    conn_id = f"engagement_{request.param}"
    body = {"connection_id": conn_id, "conn_type": "engagement", "extra": json.dumps(ALL_FORMS[request.param])}
    created = ask("connie", "POST", "connections", json=body)
    assert created.status_code == 201, created.text
    assert "canary" not in created.text
    return conn_id


@pytest.mark.parametrize("user", ROLES)
def test_the_api_shows_no_secret_to_any_role(user: str, connection: str, ask: Ask) -> None:
    shown = [
        ask(user, "GET", f"connections/{connection}"),
        ask(user, "GET", "connections"),
        ask(
            user,
            "PATCH",
            f"connections/{connection}?update_mask=description",
            json={"connection_id": connection, "conn_type": "engagement", "description": "another"},
        ),
        ask(user, "GET", "eventLogs"),
    ]

    assert "canary" not in "".join(response.text for response in shown)
    if user in ("connie", "oprah"):
        found = json.loads(shown[0].json()["extra"])
        assert {name for name, value in found.items() if value == 60} == {"requests_per_minute"}
        assert "***" in json.dumps(found["account_tokens"])
        assert all(found[name] == "***" for name in SECRETS)


@pytest.mark.parametrize("port", [None, 0])
def test_the_test_button_works_with_an_empty_port(port: int | None, ask: Ask) -> None:
    now = datetime(2026, 1, 12, tzinfo=UTC)
    with Simulator(World.generate(seed=1, handles=1, tweets=1, end=now), clock=Clock(now)) as simulator:
        app = simulator.world.app
        extra = {"bearer_token": app.bearer_token, "token_url": simulator.token_url}
        body = {
            "connection_id": "engagement_tested",
            "conn_type": "engagement",
            "host": simulator.base_url,
            "port": port,
            "login": "",
            "password": "",
            "schema": "",
            "extra": json.dumps(extra),
        }
        tested = ask("connie", "POST", "connections/test", json=body)

    assert tested.status_code == 200, tested.text
    assert tested.json() == {"status": True, "message": "The bearer token is valid."}


def test_the_test_button_of_the_list_works_for_a_connection_that_was_saved_with_port_0(ask: Ask) -> None:
    now = datetime(2026, 1, 12, tzinfo=UTC)
    with Simulator(World.generate(seed=1, handles=1, tweets=1, end=now), clock=Clock(now)) as simulator:
        extra = {"bearer_token": simulator.world.app.bearer_token, "token_url": simulator.token_url}
        body = {"connection_id": "engagement_listed", "conn_type": "engagement", "host": simulator.base_url, "port": 0}
        ask("connie", "POST", "connections", json={**body, "extra": json.dumps(extra)})
        listed = ask("connie", "GET", "connections/engagement_listed").json()
        # What the interface sends: each empty field as an empty text, and the port as a number.
        sent = {name: listed[name] or "" for name in ("description", "host", "login", "password", "schema", "extra")}
        sent |= {"connection_id": "engagement_listed", "conn_type": "engagement", "port": int(listed["port"] or 0)}
        tested = ask("connie", "POST", "connections/test", json=sent)

    assert "***" in listed["extra"]
    assert tested.json() == {"status": True, "message": "The bearer token is valid."}


@pytest.mark.parametrize(
    "extra",
    [
        {"bearer_token": "canary\nsecret"},
        {"bearer_token": "canarü"},
        {"api_key": "canary", "api_key_secret": "can\x00ary"},
        {"consumer_key": "canary"},
        {"accounts": {"1": {"access_token": "canary"}}},
        {"api_key": "k", "api_key_secret": "s", "account_tokens": {"1": {"access_token": "canary\r\n"}}},
        {"bearer_token": ["canary"]},
    ],
)
def test_the_test_button_names_a_field_that_cannot_be_used_without_its_value(extra: dict[str, Any], ask: Ask) -> None:
    body = {"connection_id": "engagement_tested", "conn_type": "engagement", "extra": json.dumps(extra)}
    tested = ask("connie", "POST", "connections/test", json=body)

    assert tested.status_code == 200, tested.text
    assert not tested.json()["status"]
    assert any(name in tested.json()["message"] for name in extra)
    assert "canar" not in tested.text
