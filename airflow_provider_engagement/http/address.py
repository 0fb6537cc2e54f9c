"""The address of an API."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from airflow_provider_engagement.exceptions import InvalidConnectionError

MAX_LABEL_LENGTH = 63
"""How long each part of a host name between dots can be (RFC 1035)."""

_FORBIDDEN = "@?#%\\"
"""What user information, queries and fragments begin or end with, also percent-encoded."""

LONGEST_TIMEOUT = 86_400.0
"""How many seconds a timeout can have. A clock cannot count very long ones."""

EXAMPLE = "https://host.example.com"
"""A URL that is valid."""

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where an API is, how long to wait for it, and how much to accept from it.

    :param base_url: scheme and host; ``https`` except on loopback.
    :param token_url: where to obtain a bearer token; ``https`` except on loopback.
    :param connect_timeout: seconds to wait for a connection.
    :param read_timeout: seconds to wait for the next bytes.
    :param max_response_megabytes: the largest body of a response to read, in megabytes, compressed and decompressed.
    :raises InvalidConnectionError: if a value is not valid.
    """

    base_url: str
    token_url: str
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    max_response_megabytes: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))
        for name in ("base_url", "token_url"):
            _check_url(name, getattr(self, name))
        for name in ("connect_timeout", "read_timeout"):
            if not 0 < getattr(self, name) <= LONGEST_TIMEOUT:
                raise InvalidConnectionError(
                    f"{name}: {getattr(self, name)} is not above 0 and at most {LONGEST_TIMEOUT:.0f}. Correct it."
                )
        if self.max_response_megabytes < 1:
            raise InvalidConnectionError(
                f"max_response_megabytes: {self.max_response_megabytes} is below 1. Pass a number of at least 1."
            )


def is_loopback(url: str) -> bool:
    """Return whether a URL is that of this machine."""
    return urlsplit(url).hostname in LOOPBACK_HOSTS


def _check_url(name: str, url: str) -> None:
    # The library that parses URLs removes some signs, and does not tell an empty part from none.
    if not url.isprintable() or any(sign.isspace() or sign in _FORBIDDEN for sign in url):
        raise InvalidConnectionError(
            f"{name} contains a user name, a query, a fragment, a percent sign, a backslash or a space. Remove it. "
            f"Pass a URL such as {EXAMPLE}."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidConnectionError(
            f"{name} is not a URL: its host or port cannot be parsed. Pass a URL such as {EXAMPLE}."
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InvalidConnectionError(f"{name} is not a URL of a scheme and a host. Pass a URL such as {EXAMPLE}.")
    if not all(0 < len(label) <= MAX_LABEL_LENGTH for label in parts.hostname.removesuffix(".").split(".")):
        raise InvalidConnectionError(f"{name} has an invalid host name. Check the dots in it.")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        raise InvalidConnectionError(f"{name} is not encrypted. Use https; only a loopback address can use http.")
