"""The secrets of a connection."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_engagement.exceptions import InvalidConnectionError
from airflow_provider_engagement.http.redaction import check_secret

if TYPE_CHECKING:
    from requests import PreparedRequest

USER_FIELDS = ("api_key", "api_key_secret", "access_token", "access_token_secret")


class Auth(StrEnum):
    """A kind of credentials: those of the user who posted the Tweets, or those of the app."""

    USER = "user"
    APP = "app"


Account = tuple[Auth, str | None]
"""Whose credentials sign a request: the kind of credentials, and the owner whose access token is used."""


def describe_account(account: Account) -> str:
    """Return an account as a log or error names it."""
    auth, owner = account
    return f"{auth} credentials" if owner is None else f"owner {owner}"


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Credentials:
    """The secrets of a connection. The ``repr`` contains only the names of those that are set.

    :param api_key: the app's key, also called API key.
    :param api_key_secret: the app's secret.
    :param access_token: a user's token, which reads all metrics of Tweets that the user posted.
    :param access_token_secret: the secret of the access token.
    :param bearer_token: the app's token, which reads public metrics of any Tweet.
    :raises InvalidConnectionError: if a secret is missing, or cannot be part of a header.
    """

    api_key: str | None = None
    api_key_secret: str | None = None
    access_token: str | None = None
    access_token_secret: str | None = None
    bearer_token: str | None = None

    def __post_init__(self) -> None:
        for name in self.given:
            check_secret(name, getattr(self, name))
        for names in (("api_key", "api_key_secret"), ("access_token", "access_token_secret")):
            missing = [name for name in names if not getattr(self, name)]
            if len(missing) == 1:
                raise InvalidConnectionError(f"{missing[0]} is missing. Set both of {' and '.join(names)}, or neither.")
        if self.access_token and not self.api_key:
            raise InvalidConnectionError(
                "api_key and api_key_secret are missing. Set them: they sign requests with an access_token."
            )
        if not self.given:
            raise InvalidConnectionError(
                "The connection has no credentials. Set bearer_token, or api_key and api_key_secret. To read all "
                "metrics of a user's Tweets, also set access_token and access_token_secret."
            )

    def __repr__(self) -> str:
        return f"Credentials({', '.join(f'{name}=***' for name in self.given)})"

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the secrets that are set."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name))

    @property
    def has_user(self) -> bool:
        """Whether requests can be signed with user credentials."""
        return all(name in self.given for name in USER_FIELDS)

    @property
    def has_app(self) -> bool:
        """Whether there is a bearer token, or the keys to obtain one."""
        return bool(self.bearer_token or self.api_key)

    @property
    def user_id(self) -> str | None:
        """The id of the access token's user, with which the token begins."""
        prefix, hyphen, _ = (self.access_token or "").partition("-")
        return prefix if hyphen and prefix.isdigit() else None

    @property
    def identity(self) -> str:
        """A text that identifies the app and the user. It contains no secret."""
        names = json.dumps([self.user_id or self.access_token, self.api_key, self.bearer_token])
        return hashlib.sha256(names.encode()).hexdigest()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret, also in the form of the basic authentication of a request for a bearer token."""
        return (*(getattr(self, name) for name in self.given), *([self._basic] if self.api_key else []))

    @property
    def _basic(self) -> str:
        pair = f"{quote(self.api_key or '', safe='')}:{quote(self.api_key_secret or '', safe='')}"
        return b64encode(pair.encode()).decode()

    def sign_token_request(self, request: PreparedRequest) -> PreparedRequest:
        """Add the ``Authorization`` header of a request for a bearer token."""
        request.headers["Authorization"] = f"Basic {self._basic}"
        return request
