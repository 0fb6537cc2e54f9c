"""The access tokens of owners: from ``account_tokens`` of a connection, and from one connection for each owner."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_engagement.connections.airflow_connections import RepeatedKeyError, without_repeated_keys
from airflow_provider_engagement.exceptions import InvalidConnectionError, OwnerTokenError
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.redaction import check_secret

ACCOUNTS = "account_tokens"
"""The field of a connection that holds the tokens of further owners. Airflow masks a field whose name has ``token``."""

OWNER = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""The names that an owner can have. They can be part of the id of a connection."""

_TOKEN = re.compile(r"[0-9]+-[A-Za-z0-9_-]{20,}|[A-Za-z0-9_-]{40,}")
"""What an access token or another secret of the API looks like: an id with random signs, or only random signs."""

TOKEN_FIELDS = ("access_token", "access_token_secret")
APP_FIELDS = ("api_key", "api_key_secret")

_FORM = "Write {owner: {access_token: …, access_token_secret: …}}."

Secrets = Mapping[str, str]
LookUp = Callable[[str], Secrets | None]
"""Returns the secrets of an owner's own connection, or ``None`` if there is no such connection."""


def parse_accounts(value: object) -> dict[str, dict[str, str]]:
    """Parse the field ``account_tokens`` of a connection.

    :param value: ``{owner: {"access_token": …, "access_token_secret": …}}`` or its JSON text. An owner is a user id or
        another name that the Tweet ids are listed with.
    :return: the secrets of each owner.
    :raises InvalidConnectionError: if the value has another form. The error does not quote it.
    """
    if value in (None, ""):
        return {}
    try:
        parsed: Any = json.loads(value, object_pairs_hook=without_repeated_keys) if isinstance(value, str) else value
    except RepeatedKeyError:
        raise InvalidConnectionError(
            f"{ACCOUNTS}: an owner or a field occurs more than once. Only one of them would count. Remove the others."
        ) from None
    except (ValueError, RecursionError):
        raise InvalidConnectionError(f"{ACCOUNTS} is not JSON. {_FORM}") from None
    if not isinstance(parsed, Mapping):
        raise InvalidConnectionError(f"{ACCOUNTS} is not a JSON object. {_FORM}")
    names = [str(owner).strip() for owner in parsed]
    if len(set(names)) < len(names):
        raise InvalidConnectionError(f"{ACCOUNTS}: two owners have the same name without spaces. Remove one of them.")
    return {
        name: _parse_account(name, number, secrets)
        for number, (name, secrets) in enumerate(zip(names, parsed.values(), strict=True), start=1)
    }


def _parse_account(owner: str, number: int, secrets: object) -> dict[str, str]:
    # A name can be a token in the wrong place, so errors count the owners.
    if not OWNER.fullmatch(owner) or _TOKEN.fullmatch(owner):
        raise InvalidConnectionError(
            f"{ACCOUNTS}: owner number {number} has a name that is empty, too long, looks like a token, or has other "
            "signs than letters, digits, _, . and -. Use the user id."
        )
    found = {}
    for name in TOKEN_FIELDS:
        value = secrets.get(name) if isinstance(secrets, Mapping) else None
        if value in (None, ""):
            raise InvalidConnectionError(
                f"{ACCOUNTS}: owner number {number} does not have both {' and '.join(TOKEN_FIELDS)}. {_FORM}"
            )
        found[name] = value.strip() if isinstance(value, str) else value
        check_secret(f"{ACCOUNTS}: {name} of owner number {number}", found[name])
    return found


class Accounts:
    """The access tokens that an app can sign with.

    :param app: the credentials of the connection. The app's keys sign with the token of every owner.
    :param given: the tokens of the field ``account_tokens``, by owner.
    :param look_up: returns the secrets of an owner's own connection.
    """

    def __init__(self, app: Credentials, given: Mapping[str, Secrets], *, look_up: LookUp | None = None) -> None:
        self._app = app
        self._given = dict(given)
        self._look_up = look_up
        self._found: dict[str, Credentials | OwnerTokenError] = {}
        self._names_by_user_id = {self._user_id(secrets): name for name, secrets in given.items()}

    @property
    def is_empty(self) -> bool:
        """Whether there are no owners except the user of the connection."""
        return not self._given and self._look_up is None

    def resolve(self, owner: str) -> str:
        """Return the user id of an owner, or the owner as it is if no token says the id.

        :param owner: a user id, or another name that the Tweet ids are listed with.
        """
        found = self._find(owner)
        return found.user_id or owner if isinstance(found, Credentials) else owner

    def has_token(self, owner: str) -> bool:
        """Return whether there is a usable access token of an owner."""
        return isinstance(self._find(owner), Credentials)

    def credentials_of(self, owner: str) -> Credentials:
        """Return the app's credentials with the access token of an owner.

        :param owner: a user id or another name.
        :raises OwnerTokenError: if there is no usable token.
        """
        found = self._find(owner)
        if isinstance(found, OwnerTokenError):
            raise found
        return found

    def _find(self, owner: str) -> Credentials | OwnerTokenError:
        if owner not in self._found:
            try:
                self._found[owner] = self._checked(owner)
            except OwnerTokenError as error:
                self._found[owner] = error
        return self._found[owner]

    def _checked(self, owner: str) -> Credentials:
        secrets = self._given.get(owner) or self._given.get(self._names_by_user_id.get(owner, ""))
        if secrets is None and owner == self._app.user_id:
            return self._app
        if secrets is None and self._look_up is not None:
            secrets = self._look_up(owner)
        if not secrets:
            raise OwnerTokenError(
                owner,
                "there is no access token",
                f"Add it to {ACCOUNTS} of the connection, or to a connection that owner_conn_id names.",
            )
        if any(secrets.get(name) not in (None, getattr(self._app, name)) for name in APP_FIELDS):
            raise OwnerTokenError(
                owner,
                "the connection is for another app, which has a quota of its own",
                "Use the keys of one app, or pull this owner in a task with its own engagement_conn_id.",
            )
        try:
            credentials = replace(self._app, **{name: secrets.get(name) for name in TOKEN_FIELDS})
        except InvalidConnectionError as error:
            raise OwnerTokenError(owner, str(error).rstrip("."), "Correct the connection.") from None
        if not credentials.has_user:
            raise OwnerTokenError(
                owner, "the access token is missing", f"Set {' and '.join(TOKEN_FIELDS)} of the connection."
            )
        if owner.isdecimal() and credentials.user_id not in (None, owner):
            raise OwnerTokenError(
                owner,
                f"the access token is that of user {credentials.user_id}",
                f"Correct {ACCOUNTS} or the connection.",
            )
        return credentials

    def _user_id(self, secrets: Secrets) -> str | None:
        return Credentials(**dict.fromkeys(APP_FIELDS, "-"), **secrets).user_id
