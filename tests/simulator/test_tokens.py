"""The token endpoint: requesting and invalidating a bearer token."""

from __future__ import annotations

from typing import Any

import pytest
import requests

NEW = "2000000000000000001"
GRANT = {"grant_type": "client_credentials"}
ENCODED = ("key", "secret%20%26%20more")
BAD_CREDENTIALS = {
    "errors": [{"code": 99, "label": "authenticity_token_error", "message": "Unable to verify your credentials"}]
}


def token(client: Any, auth: tuple[str, str] = ENCODED, form: dict[str, str] | None = None) -> requests.Response:
    return requests.post(client.simulator.token_url, auth=auth, data=form or GRANT, timeout=5)


def test_every_request_returns_the_same_token(client: Any) -> None:
    expected = {"token_type": "bearer", "access_token": client.simulator.world.app.bearer_token}
    assert [token(client).json() for _ in range(2)] == [expected, expected]


@pytest.mark.parametrize(
    ("auth", "form"),
    [(("key", "wrong"), GRANT), (("nobody", "x"), GRANT), (ENCODED, {"grant_type": "password"}), (ENCODED, {"a": "b"})],
)
def test_invalid_credentials_and_invalid_grants_receive_the_same_error(
    client: Any, auth: tuple[str, str], form: dict[str, str]
) -> None:
    response = token(client, auth, form)
    assert (response.status_code, response.json()) == (403, BAD_CREDENTIALS)


def test_an_invalidated_token_is_replaced_by_a_new_one(client: Any) -> None:
    old = token(client).json()["access_token"]
    invalidate = client.simulator.base_url + "/oauth2/invalidate_token"
    response = requests.post(invalidate, auth=ENCODED, data=f"access_token={old}", timeout=5)
    assert (response.status_code, response.json()) == (200, {"access_token": old})
    new = token(client).json()["access_token"]
    assert new != old
    assert client.totals(NEW, headers={"Authorization": f"Bearer {old}"}).status_code == 401
    assert client.totals(NEW, headers={"Authorization": f"Bearer {new}"}).status_code == 200
    repeated = requests.post(invalidate, auth=ENCODED, data={"access_token": old}, timeout=5)
    assert repeated.status_code == 403
    assert requests.post(invalidate, auth=ENCODED, data={"access_token": new}, timeout=5).status_code == 200
