"""The secrets of a connection: what is complete, what identifies them, and what is never shown."""

from __future__ import annotations

import base64
import json
import traceback
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_engagement.exceptions import InvalidConnectionError, PermanentError
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.redaction import presentable, redact

# The demo credentials of the vendor's page on signatures. They are not valid.
DEMO = Credentials(
    api_key="xvz1evFS4wEEPTGEFPHBog",
    api_key_secret="kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
    access_token="370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
    access_token_secret="LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "no credentials"),
        ({"api_key": "k"}, "api_key_secret"),
        ({"api_key_secret": "s"}, "api_key"),
        ({"api_key": "k", "api_key_secret": ""}, "api_key_secret"),
        ({"api_key": "k", "api_key_secret": "s", "access_token": "t"}, "access_token_secret"),
        ({"api_key": "k", "api_key_secret": "s", "access_token_secret": "t"}, "access_token"),
        ({"access_token": "t", "access_token_secret": "u"}, "api_key"),
        ({"bearer_token": "b", "access_token": "t", "access_token_secret": "u"}, "api_key"),
        ({"bearer_token": "b", "api_key": "k"}, "api_key_secret"),
        ({"api_key": "", "bearer_token": ""}, "no credentials"),
    ],
)
def test_incomplete_credentials_are_rejected(given: dict[str, str], missing: str) -> None:
    with pytest.raises(InvalidConnectionError, match=missing) as caught:
        Credentials(**given)
    assert isinstance(caught.value, PermanentError)


@pytest.mark.parametrize(
    ("given", "has_user", "has_app"),
    [
        ({"bearer_token": "b"}, False, True),
        ({"api_key": "k", "api_key_secret": "s"}, False, True),
        (
            {"api_key": "k", "api_key_secret": "s", "access_token": "t", "access_token_secret": "u"},
            True,
            True,
        ),
    ],
)
def test_credentials_state_which_kinds_they_contain(given: dict[str, str], has_user: bool, has_app: bool) -> None:
    credentials = Credentials(**given)
    assert (credentials.has_user, credentials.has_app) == (has_user, has_app)


@pytest.mark.parametrize(
    ("token", "user_id"),
    [("7588892-kagS", "7588892"), ("370773112-GmHx-y", "370773112"), ("abc-def", None), ("7588892", None)],
)
def test_an_access_token_begins_with_the_user_id(token: str, user_id: str | None) -> None:
    credentials = Credentials(api_key="k", api_key_secret="s", access_token=token, access_token_secret="u")
    assert credentials.user_id == user_id


def test_a_bearer_token_has_no_user_id() -> None:
    assert Credentials(bearer_token="7588892-b").user_id is None


def test_the_repr_names_the_secrets_and_contains_none() -> None:
    shown = repr(DEMO)
    assert all(f"{name}=***" in shown for name in DEMO.given)
    assert "bearer_token" not in shown
    assert not any(secret in shown + str(DEMO) + f"{DEMO}" for secret in secrets(DEMO))


def secrets(credentials: Credentials) -> list[str]:
    return [getattr(credentials, name) for name in credentials.given]


def test_secrets_are_redacted_in_every_form_of_a_request() -> None:
    credentials = Credentials(
        api_key="key/1",
        api_key_secret="key/1+more",
        bearer_token="AAAA%2Fb%3D",
        access_token="7-t",
        access_token_secret="t/s",
    )
    basic = base64.b64encode(b"key%2F1:key%2F1%2Bmore").decode()
    forms = ["key/1+more", "key%2F1", "key%2F1%2Bmore", "AAAA%2Fb%3D", "AAAA/b=", "AAAA%252Fb%253D", "7-t", "t%2Fs"]
    for form in [*forms, basic, *secrets(credentials)]:
        assert redact(f"<{form}>", credentials.secrets) == "<***>"


TEXTS = {
    "as it is": str,
    "literal": repr,
    "bytes": lambda text: repr(text.encode()),
    "JSON": json.dumps,
    "percent-encoded": lambda text: quote(text, safe=""),
    "in lower case": lambda text: quote(text, safe="").lower(),
    "on one line": lambda text: " ".join(text.split()),
    "in lines": lambda text: "\n".join(text.split()),
    "in a query": lambda text: "'" + text.replace("'", "''") + "'",
    "in settings": lambda text: "password='" + text.replace("\\", "\\\\").replace("'", "\\'") + "'",
    "URL": lambda text: f"postgresql://user:{quote(text, safe='')}@host/db",
}
"""How programs write a text into another."""


@pytest.mark.parametrize("again", ["as it is", "literal", "JSON", "percent-encoded"])
@pytest.mark.parametrize("once", TEXTS)
@pytest.mark.parametrize(
    "secret",
    [
        "canary'",
        'canary"',
        "canary'\"",
        "canary\\x'",
        "two  canaries",
        "canary\nsecond line\nthird",
        "canary\t1",
        "a/canary+%&=",
    ],
)
def test_a_secret_is_redacted_however_two_programs_write_it(secret: str, once: str, again: str) -> None:
    text = TEXTS[again](f"failed: {TEXTS[once](secret)} end")
    assert "canar" not in presentable(text, [secret])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m and \x1b[1;38;5;196mbright", "red and bright"),
        ("can\x1b[31mary", "***"),
        ("Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln, and", "Authorization: Bearer ***, and"),
        ("authorization=basic%20dXNlcjpwYXNzd29yZA==", "authorization=basic ***"),
        ("The bearer token that the server returned", "The bearer token that the server returned"),
        ("Basic authentication is not supported", "Basic authentication is not supported"),
    ],
)
def test_a_text_of_another_program_has_no_colors_and_no_value_of_a_header(text: str, shown: str) -> None:
    assert presentable(text, ["canary"]) == shown


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("canary\nsecret", "contains a line break"),
        ("canary\rsecret", "contains a line break"),
        ("canary\x00", "contains a control character"),
        ("canary\t1", "contains a control character"),
        ("canary\x7f", "contains a control character"),
        ("canaryé", "contains a character that is not ASCII"),
        ("canary\u200b", "contains a character that is not ASCII"),
        ("\ufeffcanary", "contains a character that is not ASCII"),
        (["canary"], "is not a text but of the type list"),
        ({"canary": 1}, "is not a text but of the type dict"),
        (12345678, "is not a text but of the type int"),
        (True, "is not a text but of the type bool"),
        ("canary" * 1_000, "has more than 4,000 characters"),
    ],
)
@pytest.mark.parametrize("name", ["api_key", "api_key_secret", "access_token", "access_token_secret", "bearer_token"])
def test_a_secret_that_cannot_be_part_of_a_header_is_refused_without_showing_it(
    name: str, secret: Any, problem: str
) -> None:
    good = dict.fromkeys(("api_key", "api_key_secret", "access_token", "access_token_secret", "bearer_token"), "x")
    with pytest.raises(InvalidConnectionError, match=f"^{name} {problem}") as caught:
        Credentials(**(good | {name: secret}))
    assert "canary" not in "".join(traceback.format_exception(caught.value))
