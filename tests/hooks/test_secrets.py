"""No secret of any kind is shown: by an error, a log line, a ``repr``, a traceback with its variables, or *Test*."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.connections.airflow_connections import find_connection
from airflow_provider_engagement.exceptions import EngagementError, InvalidConnectionError, UnknownConnectionError
from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.hooks.failures import task_failures
from airflow_provider_engagement.simulator import Clock, Fault, Simulator, World

SECRETS = ("api_key", "api_key_secret", "access_token", "access_token_secret", "bearer_token")
OWNER_SECRETS = ("access_token", "access_token_secret")
FIELDS = (*SECRETS, *(f"account_tokens.{name}" for name in OWNER_SECRETS), *(f"owner.{name}" for name in OWNER_SECRETS))
"""Where a secret enters: a field of the connection, of an owner in it, and of an owner's own connection."""

NASTY = {
    "line feed": "canary\nX-Injected: sesame",
    "carriage return": "canary\rsesame",
    "both": "canary\r\nsesame",
    "null": "canary\x00sesame",
    "tab": "canary\tsesame",
    "escape": "canary\x1b[31msesame",
    "non-ASCII": "canarésesame",
    "line separator": "canary\u2028sesame",
    "zero width": "canary\u200bsesame",
    "emoji": "canary🔑sesame",
    "list": ["canary", "sesame"],
    "object": {"canary": "sesame"},
}
ODD = {
    "quotes": "canary\"'`sesame",
    "percent": "canary%2F%zz%sesame",
    "backslash": "canary\\n\\x41sesame",
    "braces": "canary{0}{sesame}%(sesame)s",
    "markup": "[bold]canary<b>&sesame",
    "space": "canary sesame and  more",
}
"""Values that cannot be part of a header, and odd ones that can."""

Connect = Callable[[Mapping[str, Any]], EngagementHook]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    now = datetime(2026, 1, 12, tzinfo=UTC)
    with Simulator(World.generate(seed=1, handles=1, tweets=1, end=now), clock=Clock(now)) as running:
        yield running


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Connect:
    """Make connections with a value at one place and good ones elsewhere, and return the hook."""

    def connected(changes: Mapping[str, Any]) -> EngagementHook:
        extra: dict[str, Any] = {name: f"good{number}" for number, name in enumerate(SECRETS)}
        account = dict.fromkeys(OWNER_SECRETS, "goodOwner")
        own = dict.fromkeys(OWNER_SECRETS, "goodOther")
        for field, value in changes.items():
            place, _, name = field.rpartition(".")
            {"": extra, "account_tokens": account, "owner": own}[place][name] = value
        extra |= {"account_tokens": {"named": account}, "token_url": simulator.token_url}
        for conn_id, content in {"app": extra, "owner_8": own}.items():
            connection = {"conn_type": "engagement", "host": simulator.base_url, "extra": content}
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        return EngagementHook("app", owner_conn_id="owner_{owner}")

    return connected


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that a traceback shows with it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def every_form_of(error: BaseException) -> str:
    """Return what programs show of an error: its text, its traceback, and the variables of each function in it."""
    shown = [str(error), repr(error), *traceback.format_exception(error)]
    for one in chain(error):
        for frame, _ in traceback.walk_tb(one.__traceback__):
            # The functions of this module hold the secret themselves.
            if frame.f_code.co_filename != __file__:
                shown.append(repr(frame.f_locals))
    return "\n".join(shown)


def used(hook: EngagementHook) -> None:
    """Do everything that reads the secrets."""
    hook.accounts.credentials_of("named")
    hook.accounts.credentials_of("8")
    list(hook.totals(["20"], metrics=["favorites"], auth="app"))


@pytest.mark.parametrize("value", NASTY.values(), ids=list(NASTY))
@pytest.mark.parametrize("field", FIELDS)
def test_a_secret_that_cannot_be_part_of_a_header_is_refused_and_shown_nowhere(
    field: str, value: Any, connect: Connect, caplog: pytest.LogCaptureFixture, simulator: Simulator
) -> None:
    hook = connect({field: value})
    caplog.set_level(logging.DEBUG)

    with pytest.raises(AirflowFailException) as raised, task_failures("app"):
        used(hook)

    assert field.rpartition(".")[2] in str(raised.value)
    accepted, message = hook.test_connection()
    assert not accepted
    assert field.startswith("owner.") or field.rpartition(".")[2] in message
    shown = "\n".join([every_form_of(raised.value), message, repr(hook), repr(vars(hook))])
    shown += caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert "canar" not in shown
    assert "sesame" not in shown


@pytest.mark.parametrize("value", ODD.values(), ids=list(ODD))
@pytest.mark.parametrize("field", SECRETS)
@pytest.mark.parametrize("form", [str, repr, json.dumps, quote, lambda text: " ".join(text.split())])
def test_an_odd_secret_that_the_server_returns_is_shown_nowhere(
    form: Callable[[str], str],
    field: str,
    value: str,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    simulator: Simulator,
) -> None:
    hook = connect({field: value})
    caplog.set_level(logging.DEBUG)
    for _ in range(4):
        simulator.faults.add(Fault(status=400, body={"errors": [f"do not know {form(value)}", "x" * 10_000]}))

    auth = "app" if field == "bearer_token" else "user"
    with pytest.raises(AirflowFailException) as raised, task_failures("app"):
        list(hook.totals(["20"], metrics=["favorites"], auth=auth))

    message = hook.test_connection()[1]
    settings = repr(hook.connection._settings) + repr(hook.accounts) + repr(vars(hook))
    shown = "\n".join([every_form_of(raised.value), message, settings, caplog.text])
    assert "sesame" not in shown
    assert len(str(raised.value)) < 3_000


def test_a_short_secret_does_not_hide_what_an_error_is(connect: Connect, simulator: Simulator) -> None:
    hook = connect({"bearer_token": "a"})
    body = {"errors": [{"message": "Your client application id is not authorized to use this endpoint"}]}
    simulator.faults.add(Fault(status=400, body=body))

    with pytest.raises(AirflowFailException, match="has no access to the Engagement API"):
        list(hook.totals(["20"], metrics=["favorites"], auth="app"))


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"consumer_key": "canary"}, "consumer_key is called api_key"),
        ({"consumer_secret": "canary"}, "consumer_secret is called api_key_secret"),
        ({"accounts": '{"1": {"access_token": "canary"}}'}, "accounts is called account_tokens"),
        ('{"bearer_token": "canary"', "extra is not a JSON object"),
        ('["canary"]', "extra is not a JSON object"),
        ('"canary"', "extra is not a JSON object"),
        ("canary", "extra is not a JSON object"),
        (json.dumps(json.dumps({"bearer_token": "canary"})), "extra is a JSON text that was encoded twice"),
        ('{"account_tokens": "canary"}', "account_tokens is not JSON"),
        ('{"account_tokens": {"a/../b": {"access_token": "canary"}}}', "account_tokens: owner number 1 has a name"),
    ],
)
def test_an_extra_of_another_form_is_an_error_without_its_content(
    extra: Any, problem: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AIRFLOW_CONN_APP", json.dumps({"conn_type": "engagement", "extra": extra}))

    with pytest.raises(InvalidConnectionError, match=f"^Connection app: {problem}") as raised:
        EngagementHook("app").credentials  # noqa: B018

    assert "canary" not in every_form_of(raised.value) + caplog.text


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "Connection app does not exist, or cannot be parsed"),
        ("not a connection: canary", "Connection app"),
        ('{"conn_type": "engagement", "port": "canary"}', "Connection app"),
        ('{"conn_type": "postgres", "extra": {"bearer_token": "canary"}}', "its type is postgres, but .* engagement"),
        ('{"extra": {"bearer_token": "canary"}}', "its type is not set"),
        ("engagement://user:can/ary@host/?bearer_token=x", "Connection app"),
    ],
)
def test_an_unknown_or_wrong_connection_is_an_error_that_names_it(
    value: str | None, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("AIRFLOW_CONN_APP", value)

    with pytest.raises(InvalidConnectionError, match=problem) as raised:
        EngagementHook("app").credentials  # noqa: B018

    assert "canary" not in every_form_of(raised.value)


@pytest.mark.parametrize(
    "owner", ["/../../../api/v2/x", "a#b", "a?b", "a%2fb", "a b", "ä", "a\\b", "", "x" * 101, "a/b", "..\n"]
)
def test_the_name_of_an_owner_never_leads_to_another_address(
    owner: str, monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    accounts = connect({}).accounts
    asked: list[str] = []
    monkeypatch.setattr("airflow.sdk.BaseHook.get_connection", asked.append)

    with pytest.raises(EngagementError, match="Owner"):
        accounts.credentials_of(owner)

    assert asked == []


@pytest.mark.parametrize("owner", [".", ".."])
def test_the_id_of_a_connection_is_not_a_path(owner: str, connect: Connect) -> None:
    hook = connect({})
    hook.owner_conn_id = "{owner}"

    with pytest.raises(EngagementError, match="is not the id of a connection"):
        hook.accounts.credentials_of(owner)


def test_a_private_metric_without_an_access_token_names_connection_and_metric(
    monkeypatch: pytest.MonkeyPatch, simulator: Simulator
) -> None:
    connection = {"conn_type": "engagement", "host": simulator.base_url, "extra": {"bearer_token": "token"}}
    monkeypatch.setenv("AIRFLOW_CONN_PUBLIC", json.dumps(connection))

    with pytest.raises(AirflowFailException, match=r"Connection public: impressions of totals needs the access token"):
        EngagementHook("public").totals(["20"], metrics=["impressions", "favorites"])

    assert len(simulator.journal) == 0


def test_a_failed_task_ends_with_one_line_that_holds_the_message(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AirflowFailException), task_failures("app"):
        raise InvalidConnectionError("first\nsecond")

    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "Connection app: first second")


@pytest.mark.parametrize("conn_id", ["api_key", "c", "line"])
def test_a_connection_is_named_even_if_its_id_is_a_word_of_the_message(
    conn_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"api_key": "two\nlines", "api_key_secret": "secret"}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({"conn_type": "engagement", "extra": extra}))
    with pytest.raises(InvalidConnectionError, match=f"^Connection {conn_id}: api_key contains a line break"):
        EngagementHook(conn_id).credentials  # noqa: B018
    with pytest.raises(AirflowFailException, match=f"^Connection {conn_id}: api_key of a line"), task_failures(conn_id):
        raise InvalidConnectionError("api_key of a line")


@pytest.mark.parametrize("other", ["nowhere", "a?b", ".."])
def test_an_error_of_another_connection_is_not_ascribed_to_that_of_the_api(other: str) -> None:
    with pytest.raises(AirflowFailException, match=r"tweets.conn_id") as raised, task_failures("app"):
        find_connection(other, field="tweets.conn_id")

    assert "Connection app" not in str(raised.value)


def test_the_used_up_quota_says_when_to_test_again(connect: Connect, simulator: Simulator) -> None:
    simulator.faults.add(Fault(status=429, body={"errors": ["too many"]}))

    accepted, message = connect({}).test_connection()

    assert accepted
    assert message.endswith("but the quota is used up. Test again in a minute to be sure.")


def test_an_error_of_another_library_is_not_shown_by_the_test(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, request: object) -> None:
        raise RuntimeError("Authorization: canary")

    monkeypatch.setattr("airflow_provider_engagement.engagement_api.client.EngagementClient.fetch", broken)
    accepted, message = connect({}).test_connection()

    assert not accepted
    assert message.startswith("The test failed with RuntimeError")
    assert "canary" not in message


def test_an_error_about_another_connection_names_only_that_one() -> None:
    with pytest.raises(AirflowFailException) as raised, task_failures("app"):
        raise UnknownConnectionError("Connection owners does not exist.")

    assert str(raised.value) == "Connection owners does not exist."
