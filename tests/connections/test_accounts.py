"""The access tokens of owners: where they come from, and what is wrong with one of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_engagement.connections.accounts import Accounts, parse_accounts
from airflow_provider_engagement.connections.airflow_connections import extra_of
from airflow_provider_engagement.exceptions import InvalidConnectionError, InvalidQueryError, OwnerTokenError
from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.http.credentials import Credentials

APP = Credentials(api_key="key", api_key_secret="secret", access_token="7-canary", access_token_secret="own-canary")


def token(user_id: str) -> dict[str, str]:
    return {"access_token": f"{user_id}-token", "access_token_secret": f"secret of {user_id}"}


def test_an_owner_is_found_by_name_and_by_user_id() -> None:
    accounts = Accounts(APP, {"brand": token("8"), "9": token("9")})

    assert accounts.credentials_of("brand").access_token == "8-token"
    assert accounts.credentials_of("8") == accounts.credentials_of("brand")
    assert accounts.credentials_of("9").api_key == "key"
    assert [accounts.resolve(owner) for owner in ("brand", "8", "9", "10")] == ["8", "8", "9", "10"]


def test_the_user_of_the_connection_is_an_owner() -> None:
    assert Accounts(APP, {}).credentials_of("7") == APP


def test_an_owner_without_a_token_is_named_with_what_to_do() -> None:
    accounts = Accounts(APP, {"8": token("8")})

    assert not accounts.has_token("9")
    with pytest.raises(OwnerTokenError, match=r"^Owner 9: there is no access token\. Add it to account_tokens"):
        accounts.credentials_of("9")


def test_the_token_of_another_user_is_not_used() -> None:
    accounts = Accounts(APP, {"8": token("9")})

    with pytest.raises(OwnerTokenError, match="the access token is that of user 9"):
        accounts.credentials_of("8")


def test_an_owner_has_a_connection_of_its_own() -> None:
    connections: dict[str, dict[str, str]] = {
        "8": token("8"),
        "9": {**token("9"), "api_key": "other", "api_key_secret": "other"},
        "10": {"access_token": "10-token"},
        "11": {"bearer_token": "b"},
    }
    accounts = Accounts(APP, {}, look_up=connections.get)

    assert accounts.credentials_of("8").access_token == "8-token"
    for owner, problem in (
        ("9", "for another app"),
        ("10", "access_token_secret is missing"),
        ("11", "the access token is missing"),
        ("12", "there is no access token"),
    ):
        with pytest.raises(OwnerTokenError, match=problem):
            accounts.credentials_of(owner)


def test_a_connection_is_looked_up_once() -> None:
    looked_up = []

    def look_up(owner: str) -> None:
        looked_up.append(owner)

    accounts = Accounts(APP, {}, look_up=look_up)
    assert not accounts.has_token("8")
    assert not accounts.has_token("8")
    assert accounts.resolve("8") == "8"

    assert looked_up == ["8"]


@pytest.mark.parametrize(
    "value",
    ["canary", "[]", '{"8": "canary"}', '{"8": {"access_token": "canary"}}', {"8": None}, 7],
)
def test_accounts_of_another_form_are_an_error_that_quotes_no_secret(value: object) -> None:
    with pytest.raises(InvalidConnectionError, match="account_tokens") as raised:
        parse_accounts(value)

    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    "name",
    ["7588892-canaryCanaryCanaryCanary", "canary" * 8, "canary sesame", "canary/sesame", "canary%3D", "canary" * 20],
)
@pytest.mark.parametrize("secrets", [token("8"), {"access_token": "8-t"}])
def test_a_name_of_an_owner_that_looks_like_a_token_is_refused_and_not_quoted(name: str, secrets: object) -> None:
    with pytest.raises(InvalidConnectionError, match="account_tokens: owner number 2 has a name that") as raised:
        parse_accounts({"9": token("9"), name: secrets})

    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    "secrets", [{}, None, {"access_token": "8-t"}, {"access_token": "8-t", "access_token_secret": "a\nb"}]
)
def test_an_owner_with_wrong_secrets_is_counted_and_not_quoted(secrets: object) -> None:
    with pytest.raises(InvalidConnectionError, match=r"account_tokens: .*owner number 2 ") as raised:
        parse_accounts({"9": token("9"), "canary": secrets})

    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"canary": {"access_token": "8-a", "access_token_secret": "b"}, "canary": {}}',
        '{"8": {"access_token": "8-a", "access_token": "canary", "access_token_secret": "b"}}',
        '{"8": {"access_token": "8-a", "access_token_secret": "b"}, "\\u0038": {"access_token": "canary"}}',
    ],
)
def test_a_repeated_key_is_an_error_that_quotes_nothing(text: str) -> None:
    with pytest.raises(InvalidConnectionError, match=r"account_tokens: .* occurs more than once") as raised:
        parse_accounts(text)
    assert "canary" not in str(raised.value)

    with pytest.raises(InvalidConnectionError, match=r"Connection app: in extra, .* occurs more than once") as raised:
        extra_of(Connection(conn_id="app", conn_type="engagement", extra=f'{{"account_tokens": {text}}}'))
    assert "canary" not in str(raised.value)


def test_owners_whose_names_differ_in_spaces_only_are_an_error() -> None:
    with pytest.raises(InvalidConnectionError, match="two owners have the same name"):
        parse_accounts({"8": token("8"), " 8": token("9")})


def test_accounts_are_json_or_a_mapping() -> None:
    assert parse_accounts(json.dumps({"8": token("8")})) == parse_accounts({8: token("8")}) == {"8": token("8")}
    assert parse_accounts(None) == parse_accounts("") == {}


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def defined(conn_id: str, **extra: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": "engagement", "extra": extra}))

    return defined


def test_the_hook_reads_accounts_and_the_connections_of_owners(define: Callable[..., None]) -> None:
    define("app", api_key="k", api_key_secret="s", account_tokens={"8": token("8")})
    define("brand_9", **token("9"), api_key="k", api_key_secret="s")
    hook = EngagementHook("app", owner_conn_id="brand_{owner}")

    assert [hook.accounts.has_token(owner) for owner in ("8", "9", "10")] == [True, True, False]


def test_owner_conn_id_must_contain_the_owner(define: Callable[..., None]) -> None:
    define("app", api_key="k", api_key_secret="s")

    with pytest.raises(InvalidQueryError, match=r"owner_conn_id: 'brand' does not contain \{owner\}"):
        EngagementHook("app", owner_conn_id="brand").accounts  # noqa: B018
