"""Credentials, signatures compared with published examples, and bearer tokens."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import oauthlib.oauth1.rfc5849
import pytest
import requests

from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    InvalidConnectionError,
    InvalidResponseError,
    TransientError,
)
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.response_body import ReceivedResponse
from airflow_provider_engagement.http.signatures import Signature, Signer

# The demo credentials of the vendor's page on signatures. They are not valid.
DEMO = Credentials(
    api_key="xvz1evFS4wEEPTGEFPHBog",
    api_key_secret="kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
    access_token="370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
    access_token_secret="LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
)
STATUS = {"status": "Hello Ladies + Gentlemen, a signed OAuth request!"}
BODY = {
    "tweet_ids": ["1"],
    "engagement_types": ["favorites"],
    "groupings": {"g": {"group_by": ["engagement.type"]}},
}


def must_not_post(signature: Signature) -> ReceivedResponse:
    raise LookupError("a bearer token was requested")


def messages_of(body: Any) -> list[str]:
    return [error["message"] for error in body["errors"]]


def made(credentials: Credentials, post: Callable[[Signature], ReceivedResponse] = must_not_post, **on: Any) -> Signer:
    return Signer(credentials, post, error_messages=messages_of, **on)


def signed(signature: Signature, url: str, **content: Any) -> dict[str, str]:
    request = requests.Request("POST", url, auth=signature, **content).prepare()
    return {name: value if isinstance(value, str) else value.decode() for name, value in request.headers.items()}


def oauth_parameters(header: str) -> dict[str, str]:
    scheme, _, rest = header.partition(" ")
    assert scheme == "OAuth"
    pairs = (part.strip().partition("=") for part in rest.split(","))
    return {name: unquote(value.strip('"')) for name, _, value in pairs}


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the nonce and the timestamp of the published examples."""
    nonce = "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"
    monkeypatch.setattr(oauthlib.oauth1.rfc5849, "generate_nonce", lambda: nonce)
    monkeypatch.setattr(oauthlib.oauth1.rfc5849, "generate_timestamp", lambda: "1318622958")


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize(
    ("url", "content", "signature"),
    [
        ("https://data-api.twitter.com/insights/engagement/totals", {"json": BODY}, "/pMYbW9O1cKhdPGpgGyscSuMVoU="),
        ("https://data-api.twitter.com/insights/engagement/totals", {}, "/pMYbW9O1cKhdPGpgGyscSuMVoU="),
        ("https://data-api.x.com/insights/engagement/totals", {"json": BODY}, "oETXxUmB7d/+eFImVyDWymiE1SA="),
        ("http://127.0.0.1:8080/insights/engagement/totals", {"json": BODY}, "UhK6MOM2EXJ6rCrCgh8scFbwi48="),
        (
            "https://api.x.com/1.1/statuses/update.json?include_entities=true",
            {"data": STATUS},
            "Ls93hJiZbQ3akF3HF3x1Bz8/zU4=",
        ),
        (
            "https://api.twitter.com/1.1/statuses/update.json?include_entities=true",
            {"data": STATUS},
            "hCtSmYh+iHYCEqBWrE7C7hYmtUk=",
        ),
    ],
)
def test_signatures_equal_the_published_ones(url: str, content: dict[str, Any], signature: str) -> None:
    header = signed(made(DEMO).as_user(), url, **content)["Authorization"]
    assert oauth_parameters(header) == {
        "oauth_consumer_key": DEMO.api_key,
        "oauth_nonce": "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "1318622958",
        "oauth_token": DEMO.access_token,
        "oauth_version": "1.0",
        "oauth_signature": signature,
    }


def test_a_signed_request_keeps_its_json_body() -> None:
    request = requests.Request(
        "POST",
        "https://data-api.x.com/x",
        json=BODY,
        auth=made(DEMO).as_user(),
    )
    prepared = request.prepare()
    assert json.loads(prepared.body or b"") == BODY
    assert prepared.headers["Content-Type"] in ("application/json", b"application/json")


def test_every_signature_has_another_nonce() -> None:
    signer = made(DEMO)
    nonces = {
        oauth_parameters(signed(signer.as_user(), "https://data-api.x.com/", json={})["Authorization"])["oauth_nonce"]
        for _ in range(10)
    }
    assert len(nonces) == 10


# Bearer tokens


def response(status: int = 200, body: Any = None) -> ReceivedResponse:
    return ReceivedResponse(
        status=status,
        headers={},
        request=requests.PreparedRequest(),
        sent_at=datetime(2026, 1, 12, tzinfo=UTC),
        size=0,
        body=body,
    )


APP = Credentials(api_key="key/1", api_key_secret="se cret")


def obtaining(*responses: ReceivedResponse) -> tuple[Signer, list[str]]:
    posted: list[str] = []
    left = iter(responses)

    def post(sign: Signature) -> ReceivedResponse:
        posted.append(sign(requests.Request("POST", "https://api.x.com/").prepare()).headers["Authorization"])
        return next(left)

    return made(APP, post), posted


def token(text: str) -> ReceivedResponse:
    return response(200, {"token_type": "bearer", "access_token": text})


def bearer_request(text: str) -> requests.PreparedRequest:
    return requests.Request("POST", "https://data-api.x.com/", headers={"Authorization": f"Bearer {text}"}).prepare()


def test_a_bearer_token_of_the_connection_is_sent_unchanged() -> None:
    signer = Signer(
        Credentials(bearer_token="AAAA%2Fb%3D", api_key="k", api_key_secret="s"),
        must_not_post,
        error_messages=messages_of,
    )
    assert signed(signer.as_app(), "https://data-api.x.com/", json={})["Authorization"] == "Bearer AAAA%2Fb%3D"


def test_a_bearer_token_is_obtained_once_and_sent_unchanged() -> None:
    signer, posted = obtaining(token("AAAA%2Fb%3D"))
    for _ in range(3):
        assert signed(signer.as_app(), "https://data-api.x.com/", json={})["Authorization"] == "Bearer AAAA%2Fb%3D"
    assert posted == [f"Basic {base64.b64encode(b'key%2F1:se%20cret').decode()}"]


def test_a_rejected_obtained_token_is_replaced() -> None:
    signer, posted = obtaining(token("one"), token("two"))
    assert signer.bearer_token() == "one"
    assert signer.renew(bearer_request("one"))
    assert signer.bearer_token() == "two"
    assert len(posted) == 2


def test_threads_with_the_same_rejected_token_obtain_one_new_token() -> None:
    signer, posted = obtaining(token("one"), token("two"))
    signer.bearer_token()
    assert signer.renew(bearer_request("one"))
    assert signer.renew(bearer_request("one"))  # a second thread, before the first has obtained a new token
    assert signer.bearer_token() == "two"
    assert signer.renew(bearer_request("one"))  # a third thread, after it
    assert signer.bearer_token() == "two"
    assert len(posted) == 2


def test_a_token_of_the_connection_cannot_be_renewed() -> None:
    signer = Signer(
        Credentials(bearer_token="b", api_key="k", api_key_secret="s"), must_not_post, error_messages=messages_of
    )
    assert not signer.renew(bearer_request("b"))


def test_a_signature_cannot_be_renewed() -> None:
    signer = made(DEMO, lambda sign: token("one"))
    signer.bearer_token()
    rejected = requests.Request("POST", "https://data-api.x.com/", json={}, auth=signer.as_user()).prepare()
    assert not signer.renew(rejected)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_rejected_key_and_secret_are_named(status: int) -> None:
    body = {"errors": [{"code": 99, "label": "authenticity_token_error", "message": "Unable to verify key/1"}]}
    signer, _ = obtaining(response(status, body))
    with pytest.raises(AuthenticationError, match="api_key and api_key_secret") as caught:
        signer.bearer_token()
    assert caught.value.messages == ("Unable to verify ***",)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"token_type": "mac", "access_token": "t"}),
        (200, {"token_type": "bearer"}),
        (200, {"token_type": "bearer", "access_token": 5}),
        (200, ["t"]),
        (200, None),
        (503, {"token_type": "bearer", "access_token": "t"}),
        (307, None),
    ],
)
def test_a_response_without_a_bearer_token_is_a_transient_error(status: int, body: Any) -> None:
    signer, _ = obtaining(response(status, body))
    with pytest.raises(InvalidResponseError, match="token_url") as caught:
        signer.bearer_token()
    assert isinstance(caught.value, TransientError)


def test_missing_user_credentials_are_named() -> None:
    with pytest.raises(InvalidConnectionError, match="access_token_secret"):
        made(APP).as_user()


def test_an_obtained_token_is_redacted_too() -> None:
    signer, _ = obtaining(token("AAAA%2Fb%3D"))
    signer.bearer_token()
    assert signer.presentable("Bearer AAAA%2Fb%3D of key/1") == "Bearer *** of ***"


@pytest.mark.parametrize(
    ("obtained", "problem"),
    [
        ("canary\r\nX-Injected: 1", "contains a line break"),
        ("canary\x00", "contains a control character"),
        ("canaryé", "contains a character that is not ASCII"),
        ("canary" * 10_000, "has more than 4,000 characters"),
        ("", "is empty"),
    ],
)
def test_an_obtained_token_that_cannot_be_sent_is_a_permanent_error_without_it(obtained: str, problem: str) -> None:
    signer, _ = obtaining(token(obtained))
    with pytest.raises(InvalidConnectionError, match=f"token_url: .*{problem}") as caught:
        signer.bearer_token()
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_whoever_asks_is_told_each_obtained_token() -> None:
    told: list[str] = []
    left = iter([token("one"), token("two")])
    signer = made(APP, lambda sign: next(left), on_obtained=told.append)
    signer.bearer_token()
    signer.renew(bearer_request("one"))
    signer.bearer_token()
    assert told == ["one", "two"]
    assert signer.presentable("one, two") == "***, ***"


def test_the_repr_of_a_signer_contains_no_secret() -> None:
    signer, _ = obtaining(token("obtained"))
    shown = repr(signer) + repr(signer.as_app()) + repr(vars(signer))
    assert not any(str(secret) in shown for secret in (APP.api_key, APP.api_key_secret))
