"""Which addresses of an API are accepted."""

from __future__ import annotations

import traceback
from dataclasses import replace

import pytest

from airflow_provider_engagement.exceptions import (
    InvalidConnectionError,
)
from airflow_provider_engagement.http.address import Address

ADDRESS = Address(base_url="https://host.example.com", token_url="https://host.example.com/oauth2/token")


@pytest.mark.parametrize("name", ["base_url", "token_url"])
def test_invalid_addresses_are_rejected_without_showing_them(name: str) -> None:
    for url in (
        "",
        "data-api.twitter.com",
        "ftp://data-api.twitter.com",
        "https://",
        "https://user:canarySecret@data-api.twitter.com",
        "http://data-api.twitter.com",
        "http://10.0.0.1:8080",
        "http://localhost.example.com",
        "http://127.0.0.1@example.com",
        "http://[::1",
        "https://data-api.twitter.com:port",
        "https://data-api.twitter.com:99999",
        "https://data-api.twitter.com:0",
        "http://127.0.0.1:0",
        "https://data-api.twitter.com?token=canarySecret",
        "https://data-api.twitter.com#canarySecret",
        "https://data-api.twitter.com?",
        "https://data-api.twitter.com/#",
        "http://localhost/?",
        "https://:@data-api.twitter.com",
        "https://@data-api.twitter.com",
        "https://data-api.twitter.com\\@example.com",
        "https://data-api.twitter.com\n.example.com",
        "https://data-api.twitter.com\t",
        "https://data-api.twitter.com /oauth2/token",
        "https://data-api.twitter.com\u200b",
        "https://user%3AcanarySecret%40data-api.twitter.com",
        "https://data-api.twitter.com/%3Ftoken=canarySecret",
        "https://data-api.twitter.com/%23",
    ):
        with pytest.raises(InvalidConnectionError, match=name) as caught:
            replace(ADDRESS, **{name: url})
        assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_loopback_addresses_can_use_http_and_a_trailing_slash_is_removed() -> None:
    for url in (
        "http://localhost:8080",
        "http://127.0.0.1:8080/",
        "http://[::1]:8080",
        "https://data-api.x.com/",
        "http://127.0.0.1:1",
        "https://data-api.x.com:65535",
    ):
        assert replace(ADDRESS, base_url=url).base_url == url.rstrip("/")


def test_timeouts_must_be_above_zero() -> None:
    for name in ("connect_timeout", "read_timeout"):
        for seconds in (0, -1, float("nan")):
            with pytest.raises(InvalidConnectionError, match=name):
                replace(ADDRESS, **{name: seconds})
