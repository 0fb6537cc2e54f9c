"""What a server returns is shown without secrets, bounded and printable."""

from __future__ import annotations

import base64
import logging
import re
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.exceptions import (
    EngagementError,
    RequestRejectedError,
)

from ..engagement_client import (
    NEW,
    Make,
    MakeClient,
)

CANARIES = ("canaryKey", "canarySecret", "canaryToken", "canaryTokenSecret", "canaryBearer", "canaryObtained")


def assert_no_canary(text: str) -> None:
    pairs = re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text)
    decoded = [
        base64.b64decode(pair + "=" * (-len(pair) % 4)).decode("latin-1") for pair in pairs if len(pair) % 4 != 1
    ]
    for canary in CANARIES:
        assert canary not in text
        assert not any(canary in one for one in decoded)


ECHOES: dict[str, Callable[[str], Any]] = {
    "string": lambda header: {"errors": [f"unknown {header}"]},
    "object": lambda header: {"errors": [{"code": 32, "message": f"unknown {header}"}]},
    "object without message": lambda header: {"errors": [{"code": 32, "header": header}]},
    "bare list": lambda header: [header],
    "html": lambda header: f"<html>{header}</html>".encode(),
    "forbidden": lambda header: {"errors": [f"Forbidden to access metrics: {header}"]},
    "data": lambda header: {"errors": [header], "total": {NEW: {"favorites": "5"}}},
    "value": lambda header: {"total": {NEW: {"favorites": header}}},
    "values": lambda header: {"total": {NEW: {"favorites": [header]}}},
    "window": lambda header: {"start": header, "total": {NEW: {"favorites": "5"}}},
}


ECHOING_RESPONSES = [
    *((status, "string") for status in (307, 400, 403, 404, 406, 429, 500)),
    *((status, echo) for status in (200, 401) for echo in ECHOES),
]


@pytest.mark.parametrize("way", ["user", "given bearer", "obtained bearer", "token url"])
def test_no_secret_is_shown_even_if_the_server_returns_it(
    way: str, wire: Any, totals: Make, caplog: pytest.LogCaptureFixture, on_the_wire: MakeClient
) -> None:
    app = {"api_key": "canaryKey", "api_key_secret": "canarySecret"}
    user = {"access_token": "7-canaryToken", "access_token_secret": "canaryTokenSecret"}
    bearer = {"bearer_token": "AAAA%2FcanaryBearer%3D"}
    credentials = {
        "user": app | user | bearer,
        "given bearer": bearer,
        "obtained bearer": app | user,
        "token url": app | user,
    }[way]
    for status, echo in ECHOING_RESPONSES:

        def reply(
            path: str, headers: Mapping[str, str], status: int = status, echo: str = echo
        ) -> tuple[int, Mapping[str, str], Any]:
            if path == "/oauth2/token" and way == "obtained bearer":
                return 200, {}, {"token_type": "bearer", "access_token": "AAAA%2FcanaryObtained%3D"}
            return status, {"Retry-After": "864000"}, ECHOES[echo](headers["Authorization"])

        wire.reply = reply
        wire.received.clear()
        caplog.clear()
        client = on_the_wire(**credentials)
        shown = [repr(client), str(client), repr(client.credentials)]
        with caplog.at_level(logging.DEBUG):
            try:
                fetched = client.fetch(totals(NEW, auth=Auth.USER if way == "user" else Auth.APP))
            except EngagementError as error:
                shown += [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
            else:
                shown.append(repr(fetched))
        assert wire.received
        assert_no_canary("\n".join([*shown, caplog.text, *(repr(vars(record)) for record in caplog.records)]))


def test_the_check_for_secrets_finds_a_leak() -> None:
    for leak in ("x canaryKey", base64.b64encode(b"canaryKey:canarySecret").decode()):
        with pytest.raises(AssertionError):
            assert_no_canary(leak)


def test_messages_of_a_server_are_bounded_and_have_no_control_characters(
    wire: Any, totals: Make, on_the_wire: MakeClient
) -> None:
    wire.reply = lambda path, headers: (400, {}, {"errors": ["a\n\x1b[2Jb" + "x" * 100_000] * 30})
    with pytest.raises(RequestRejectedError) as caught:
        on_the_wire(bearer_token="token").fetch(totals(NEW))
    assert len(str(caught.value)) < 6_000
    assert "a bxxx" in str(caught.value)
    assert "(and 20 more)" in str(caught.value)
    assert str(caught.value).isprintable()
