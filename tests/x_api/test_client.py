"""The client signs the parameters, keeps each window apart, and waits only for what a window renews."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import pytest

from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    CreditsDepletedError,
    NotEntitledError,
    ServerError,
    UsageCapError,
    WaitRequired,
)
from airflow_provider_engagement.http.credentials import Auth
from airflow_provider_engagement.x_api.catalogue import FieldGroup, XEndpoint
from airflow_provider_engagement.x_api.planner import LookupRequest, PageRequest, plan_public
from airflow_provider_engagement.x_api.query import ListingQuery, LookupQuery

from . import bodies
from .conftest import NOW, Received, ScriptedApi

Serve = Callable[..., ScriptedApi]


def lookup(*tweet_ids: str, owner: str | None = None) -> LookupRequest:
    query = LookupQuery(tweet_ids=tweet_ids, groups=(FieldGroup.PUBLIC,), auth=Auth.USER, owner=owner)
    return LookupRequest(query, tweet_ids)


def page(user: str = "42", owner: str | None = None) -> PageRequest:
    return PageRequest(ListingQuery(user_id=user, auth=Auth.USER, owner=owner))


def answers(*answers: tuple[int, Mapping[str, str], Any]) -> Callable[[Received], tuple[int, Mapping[str, str], Any]]:
    """Return a script that sends some answers in turn, and repeats the last."""
    left = list(answers)
    return lambda received: left.pop(0) if len(left) > 1 else left[0]


def window(remaining: int, *, limit: int = 900, seconds: float = 600) -> dict[str, str]:
    return {
        "x-rate-limit-limit": str(limit),
        "x-rate-limit-remaining": str(remaining),
        "x-rate-limit-reset": str(int(NOW + seconds)),
    }


OK: tuple[int, dict[str, str], Any] = (200, {}, {"data": []})


def signature_of(api: ScriptedApi, received: Received, key: bytes) -> str:
    """Return the signature that OAuth 1.0a requires (RFC 5849), from what the server received."""
    header = dict(re.findall(r'(\w+)="([^"]*)"', received.authorization))
    signed = {name: unquote(value) for name, value in header.items() if name != "oauth_signature"}
    pairs = sorted(
        (quote(name, safe=""), quote(value, safe="")) for name, value in {**signed, **received.parameters}.items()
    )
    normalized = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join(["GET", quote(f"{api.url}{received.path}", safe=""), quote(normalized, safe="")])
    return base64.b64encode(hmac.new(key, base.encode(), hashlib.sha1).digest()).decode()


@pytest.mark.parametrize(
    ("owner", "key"), [(None, b"app-secret&token-secret"), ("43", b"app-secret&other-secret")], ids=["own", "owner"]
)
def test_the_parameters_are_signed_with_the_token_of_the_account(serve: Serve, owner: str | None, key: bytes) -> None:
    api = serve(answers(OK))

    api.client.send(lookup("20", "30", owner=owner))

    (received,) = api.received
    assert received.parameters["ids"] == "20,30"
    header = dict(re.findall(r'(\w+)="([^"]*)"', received.authorization))
    assert unquote(header["oauth_signature"]) == signature_of(api, received, key)
    # The signature covers a comma in the form in which the server reads it.
    assert "ids=20%2C30" in received.target


def test_app_credentials_are_a_bearer_token(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    api = serve(answers(OK))
    monkeypatch.setattr(api.client._signer, "bearer_token", lambda: "the-token")

    api.client.send(plan_public(["20"], auth=Auth.APP)[0])

    assert [received.authorization for received in api.received] == ["Bearer the-token"]


def test_the_body_of_an_answer_comes_back_with_the_time_of_its_request(serve: Serve) -> None:
    api = serve(answers((200, {}, bodies.LOOKUP)))

    body, sent_at = api.client.send(lookup("20"))

    assert body == bodies.LOOKUP
    assert abs((datetime.now(UTC) - sent_at).total_seconds()) < 60


def test_a_request_waits_for_the_window_of_its_endpoint_and_user_alone(serve: Serve) -> None:
    api = serve(answers((200, window(0), {"data": []})))

    for request in (page(), page("7", owner="43"), lookup("20"), lookup("20", owner="43")):
        api.client.send(request)
    assert api.slept == []

    api.client.send(page("8"))
    assert sum(api.slept) == pytest.approx(600, abs=2)


def test_windows_have_fifteen_minutes(serve: Serve) -> None:
    api = serve(answers((200, window(0, seconds=890), {"data": []})), max_inline_wait=30)
    api.client.send(page())

    with pytest.raises(WaitRequired) as raised:
        api.client.send(page())

    assert raised.value.until.timestamp() == pytest.approx(NOW + 890, abs=2)


def test_a_rate_limited_request_is_sent_again_in_the_next_window(serve: Serve) -> None:
    for body in (bodies.RATE_LIMIT, bodies.OLD_RATE_LIMIT):
        api = serve(answers((429, window(0), body), OK))

        api.client.send(page())

        assert len(api.received) == 2
        assert sum(api.slept) == pytest.approx(600, abs=2)
        assert api.client.limiters.rate_limited_requests == 1
        assert api.client.limiters.waited_seconds == sum(api.slept)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (429, bodies.USAGE_CAPPED, UsageCapError),
        (402, bodies.CREDITS, CreditsDepletedError),
        (403, bodies.NOT_ENROLLED, NotEntitledError),
        (403, bodies.UNSUPPORTED, AuthenticationError),
        (401, bodies.UNAUTHORIZED, AuthenticationError),
    ],
)
def test_what_no_window_renews_fails_at_once(serve: Serve, status: int, body: object, error: type[Exception]) -> None:
    api = serve(answers((status, window(0), body)))

    with pytest.raises(error):
        api.client.send(page())

    assert len(api.received) == 1
    assert api.slept == []


def test_the_limit_that_a_rejected_app_is_told_is_not_believed(serve: Serve) -> None:
    api = serve(answers((403, window(39_999, limit=40_000), bodies.NOT_ENROLLED)))

    with pytest.raises(NotEntitledError):
        api.client.send(page())

    assert {snapshot.limit for snapshot in api.client.limiters.snapshots().values()} == {None}


def test_a_failure_of_the_server_is_repeated(serve: Serve) -> None:
    api = serve(answers((503, {}, None), (500, {}, {"title": "Oops"}), OK))

    api.client.send(page())

    assert len(api.received) == 3


def test_a_failure_that_persists_is_an_error(serve: Serve) -> None:
    api = serve(answers((503, {}, None)), attempts=2)

    with pytest.raises(ServerError, match="users/:id/tweets: HTTP 503"):
        api.client.send(page())


def test_the_client_knows_the_state_of_each_window_that_it_used(serve: Serve) -> None:
    api = serve(answers((200, window(17), {"data": []})))
    api.client.send(page())

    known = {quota: snapshot.remaining for quota, snapshot in api.client.limiters.snapshots().items()}

    assert known[(XEndpoint.USER_TWEETS, (Auth.USER, None))] == 17


def test_a_stopped_client_sends_nothing_on_any_endpoint(serve: Serve) -> None:
    from airflow_provider_engagement.exceptions import StoppedError

    api = serve(answers(OK))
    api.client.stop()

    for request in (page(), lookup("20")):
        with pytest.raises(StoppedError):
            api.client.send(request)
    assert api.received == []


def test_a_secret_in_the_words_of_x_is_not_shown(serve: Serve) -> None:
    api = serve(answers((400, {}, {"title": "Invalid", "detail": "the token 42-token is odd", "type": "about:blank"})))

    with pytest.raises(Exception, match=r"\*\*\*") as raised:
        api.client.send(page())

    assert "42-token" not in str(raised.value)
