"""When a bearer token is obtained, and when it is renewed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    NotEntitledError,
)
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.simulator import (
    Fault,
    Switches,
    World,
)

from ..engagement_client import (
    AUTHOR,
    NEW,
    NOW,
    Connect,
    Make,
    MakeClient,
    outcomes,
)


def test_a_bearer_token_is_obtained_once(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, bearer=False)
    for _ in range(3):
        one.client.fetch(totals(NEW))
    assert [entry.path for entry in one.simulator.journal].count("/oauth2/token") == 1


def test_the_bearer_token_is_requested_as_documented(wire: Any, totals: Make, on_the_wire: MakeClient) -> None:
    def reply(path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], Any]:
        if path == "/oauth2/token":
            return 200, {}, {"token_type": "bearer", "access_token": "AAAA%2Fobtained%3D"}
        return 200, {}, {"total": {NEW: {"favorites": "5"}}}

    wire.reply = reply
    on_the_wire(api_key="key/1", api_key_secret="se cret").fetch(totals(NEW))
    (_, token_headers, form), (_, sent, _) = wire.received
    assert token_headers["Authorization"] == "Basic " + base64.b64encode(b"key%2F1:se%20cret").decode()
    assert token_headers["Content-Type"] == "application/x-www-form-urlencoded;charset=UTF-8"
    assert form == b"grant_type=client_credentials"
    assert sent["Authorization"] == "Bearer AAAA%2Fobtained%3D"


def invalidate(one: Any) -> None:
    app, url = one.simulator.world.app, one.simulator.token_url.replace("/token", "/invalidate_token")
    token = one.client.obtain_bearer_token()
    basic = (app.consumer_key, quote(app.consumer_secret, safe=""))
    assert requests.post(url, data={"access_token": token}, auth=basic, timeout=10).status_code == 200


def test_an_invalid_obtained_token_is_renewed_once(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, bearer=False)
    one.client.fetch(totals(NEW))
    invalidate(one)
    one.simulator.journal.clear()
    assert outcomes(one.client.fetch(totals(NEW)).response) == {NEW: "ok"}
    assert [(entry.path.rpartition("/")[2], entry.status) for entry in one.simulator.journal] == [
        ("totals", 401),
        ("token", 200),
        ("totals", 200),
    ]
    assert not one.slept


def test_a_renewed_token_that_is_rejected_again_fails(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, bearer=False)
    one.simulator.faults.add(Fault(status=401, body={"errors": ["no"]}, path="totals", times=None))
    with pytest.raises(AuthenticationError):
        one.client.fetch(totals(NEW))
    assert len(one.simulator.journal.to("totals")) == 2


@pytest.mark.parametrize(("auth", "bearer"), [(Auth.APP, True), (Auth.USER, True), (Auth.USER, False)])
def test_credentials_of_the_connection_are_not_renewed(
    auth: Auth, bearer: bool, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR, bearer=bearer)
    one.client.obtain_bearer_token()
    one.simulator.journal.clear()
    one.simulator.faults.add(Fault(status=401, body={"errors": ["no"]}, path="totals", times=None))
    with pytest.raises(AuthenticationError):
        one.client.fetch(totals(NEW, auth=auth))
    assert len(one.simulator.journal) == 1


def test_a_failing_token_url_is_retried(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, bearer=False)
    faults = [Fault.text(503), Fault.html(502), Fault(drop="before_headers"), Fault(status=200, body={})]
    one.simulator.faults.add(*faults)
    assert outcomes(one.client.fetch(totals(NEW)).response) == {NEW: "ok"}
    assert len(one.slept) == 4


def test_a_rejected_key_and_secret_are_not_retried(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, bearer=False)
    world.change_app("canaryKey", consumer_secret="another")
    with pytest.raises(AuthenticationError, match="api_key and api_key_secret"):
        one.client.fetch(totals(NEW))
    assert len(one.simulator.journal) == 1


def test_an_app_without_access_does_not_renew_its_token_in_vain(world: World, connect: Connect, totals: Make) -> None:
    world.change_app("canaryKey", entitled=False)
    one = connect(world, now=NOW, bearer=False, switches=Switches(entitlement_status=401))
    with pytest.raises(NotEntitledError):
        one.client.fetch(totals(NEW))
    assert [entry.path.rpartition("/")[2] for entry in one.simulator.journal] == ["token", "totals"]


def test_a_token_on_this_machine_is_not_requested_through_a_proxy(
    wire: Any, totals: Make, monkeypatch: pytest.MonkeyPatch, make_client: MakeClient
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    wire.reply = lambda path, headers: (200, {}, {"token_type": "bearer", "access_token": "obtained"})
    address = Address(base_url="https://data-api.example.invalid", token_url=f"{wire.url}/oauth2/token")
    client = make_client(address, api_key="k", api_key_secret="s")
    assert client.obtain_bearer_token() == "obtained"
