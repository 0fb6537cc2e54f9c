"""An Airflow connection becomes a client, or says which of its fields is wrong; it shows no secret to anybody."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import _secrets_masker
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.log import redact

from airflow_provider_engagement import __version__
from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint
from airflow_provider_engagement.engagement_api.client import EngagementClient
from airflow_provider_engagement.engagement_api.planner import plan
from airflow_provider_engagement.exceptions import InvalidConnectionError, InvalidQueryError, WaitRequired
from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.simulator import App, Clock, ExplicitCounts, Fault, Handle, Simulator, Tweet, World

AUTHOR, OTHER = "7588892", "370773112"
MINE, ALSO_MINE, FOREIGN, FIRST = "2000000000000000001", "2000000000000000002", "2000000000000000009", "20"
CREDENTIALS = {
    "api_key": "canaryConsumerKey00000001",
    "api_key_secret": "canaryConsumerSecret0001",
    "access_token": f"{AUTHOR}-canaryAccessToken00001",
    "access_token_secret": "canaryAccessTokenSecret1",
    "bearer_token": "AAAAcanary%2FBearer%3DToken001",
}
APP = ("api_key", "api_key_secret")
USER = (*APP, "access_token", "access_token_secret")

Connect = Callable[..., EngagementHook]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """The API, with two authors, the first of whom the connection's tokens belong to."""
    world = World(
        apps=[
            App(
                consumer_key=CREDENTIALS["api_key"],
                consumer_secret=CREDENTIALS["api_key_secret"],
                bearer_token=CREDENTIALS["bearer_token"],
            )
        ],
        handles=[
            Handle(
                user_id=AUTHOR,
                screen_name="author",
                access_token=CREDENTIALS["access_token"],
                access_token_secret=CREDENTIALS["access_token_secret"],
            ),
            Handle(user_id=OTHER, screen_name="other", access_token=f"{OTHER}-token", access_token_secret="other"),
        ],
        tweets=[
            Tweet(id=MINE, author_id=AUTHOR),
            Tweet(id=ALSO_MINE, author_id=AUTHOR),
            Tweet(id=FOREIGN, author_id=OTHER),
            Tweet(id=FIRST, author_id=OTHER),
        ],
        counts=ExplicitCounts(totals={(MINE, "favorites"): 3, (MINE, "impressions"): 40, (FOREIGN, "favorites"): 5}),
    )
    with Simulator(world, clock=Clock(datetime(2026, 1, 12, tzinfo=UTC))) as running:
        yield running


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Make a connection as users do in the environment, and return its hook."""

    def connected(host: str | None = None, port: int | None = None, **extra: Any) -> EngagementHook:
        connection = {"conn_type": "engagement", "host": host, "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_TEST", json.dumps(connection))
        return EngagementHook("engagement_test")

    return connected


@pytest.fixture
def simulated(connect: Connect, simulator: Simulator) -> Connect:
    """Make a connection to the simulator with some of the credentials, and return its hook."""

    def connected(*names: str, **changes: Any) -> EngagementHook:
        chosen = {name: CREDENTIALS[name] for name in names}
        return connect(simulator.base_url, **{"token_url": simulator.token_url, **chosen, **changes})

    return connected


def test_a_connection_with_only_a_bearer_token_has_the_defaults_of_the_api(connect: Connect) -> None:
    hook = connect(bearer_token=CREDENTIALS["bearer_token"])
    address = hook.get_conn().address
    assert address.base_url == "https://data-api.twitter.com"
    assert address.token_url == "https://api.twitter.com/oauth2/token"
    assert (address.connect_timeout, address.read_timeout) == (10.0, 60.0)
    assert address.max_response_megabytes == 32
    assert hook.connection.requests_per_minute is None


def test_the_default_connection_is_engagement_default() -> None:
    assert EngagementHook().engagement_conn_id == EngagementHook.default_conn_name == "engagement_default"


def test_every_field_of_the_connection_is_used(connect: Connect) -> None:
    hook = connect(
        "data-api.x.com",
        **CREDENTIALS,
        token_url="https://api.x.com/oauth2/token",
        requests_per_minute=30,
        connect_timeout=2.5,
        read_timeout="20",
        max_response_megabytes="16",
    )
    address = hook.get_conn().address
    assert (address.base_url, address.token_url) == ("https://data-api.x.com", "https://api.x.com/oauth2/token")
    assert (address.connect_timeout, address.read_timeout, hook.connection.requests_per_minute) == (2.5, 20.0, 30)
    assert address.max_response_megabytes == 16
    assert hook.credentials.given == tuple(CREDENTIALS)
    assert hook.credentials.user_id == AUTHOR


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("https://data-api.x.com/", None, "https://data-api.x.com"),
        (" data-api.x.com ", None, "https://data-api.x.com"),
        ("https://proxy.example", 8443, "https://proxy.example:8443"),
        ("http://localhost", 8080, "http://localhost:8080"),
        ("http://127.0.0.1:8080", None, "http://127.0.0.1:8080"),
        ("http://[::1]:8080", None, "http://[::1]:8080"),
        ("", None, "https://data-api.twitter.com"),
    ],
)
def test_the_host_can_have_a_scheme_and_a_port(connect: Connect, host: str, port: int | None, expected: str) -> None:
    assert connect(host, port, bearer_token="token").get_conn().address.base_url == expected


@pytest.mark.parametrize(
    "host",
    [
        "http://data-api.twitter.com",
        "http://localhost.example.com",
        "http://127.0.0.1@evil.example",
        "http://10.0.0.1",
        "https://user:password@data-api.twitter.com",
        "ftp://data-api.twitter.com",
        "file:///etc/passwd",
        "https://",
    ],
)
def test_a_host_that_would_expose_secrets_is_an_error(connect: Connect, host: str) -> None:
    with pytest.raises(InvalidConnectionError, match=r"engagement_test: base_url") as raised:
        connect(host, bearer_token="canaryToken").get_conn()
    assert "canary" not in str(raised.value)
    assert "password" not in str(raised.value).replace("user name or password", "")


@pytest.mark.parametrize("host", ["data-api..twitter.com", ".twitter.com", f"{'a' * 64}.twitter.com"])
def test_a_host_name_that_cannot_be_looked_up_is_an_error(connect: Connect, host: str) -> None:
    with pytest.raises(InvalidConnectionError, match=r"base_url has an invalid host name"):
        connect(host, bearer_token="token").get_conn()


def test_a_token_url_without_encryption_is_an_error(connect: Connect) -> None:
    with pytest.raises(InvalidConnectionError, match="token_url"):
        connect(**CREDENTIALS, token_url="http://api.twitter.com/oauth2/token").get_conn()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connect_timeout", "soon"),
        ("connect_timeout", 0),
        ("connect_timeout", "nan"),
        ("connect_timeout", True),
        ("read_timeout", -1),
        ("read_timeout", "inf"),
        ("read_timeout", 1e19),
        ("connect_timeout", "86401"),
        ("read_timeout", [1]),
        ("requests_per_minute", "0"),
        ("requests_per_minute", 0.5),
        ("requests_per_minute", "many"),
        ("requests_per_minute", -3),
        ("max_response_megabytes", 0),
        ("max_response_megabytes", 1.5),
        ("max_response_megabytes", "256 MB"),
    ],
)
def test_the_error_of_an_invalid_number_names_the_field(connect: Connect, name: str, value: object) -> None:
    with pytest.raises(InvalidConnectionError, match=f"engagement_test: {name}: .* is not valid"):
        connect(bearer_token="token", **{name: value}).get_conn()


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_field_of_the_form_has_its_default(connect: Connect, value: object) -> None:
    names = ("token_url", "requests_per_minute", "connect_timeout", "read_timeout", "max_response_megabytes", *USER)
    hook = connect(value, **{"bearer_token": "token", **dict.fromkeys(names, value)})
    assert hook.get_conn().address.connect_timeout == 10.0
    assert hook.get_conn().address.max_response_megabytes == 32
    assert hook.credentials.given == ("bearer_token",)


def test_unknown_extras_are_ignored_and_named_without_their_values(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hook = connect(
        bearer_token="token", verify=False, proxies={"https": "http://canary.example"}, user_agent="canary", timeout=1
    )
    client = hook.get_conn()
    (line,) = [record for record in caplog.records if "unknown extras" in record.getMessage()]
    assert line.levelno == logging.DEBUG
    assert line.getMessage().endswith("proxies, timeout, user_agent, verify.")
    assert "canary" not in caplog.text
    assert client.address.read_timeout == 60.0


@pytest.mark.parametrize(
    ("names", "expected_text"),
    [
        ((), "no credentials"),
        (("api_key",), "api_key_secret"),
        (("api_key_secret",), "api_key"),
        (("api_key", "bearer_token"), "api_key_secret"),
        ((*APP, "access_token"), "access_token_secret"),
        ((*APP, "access_token_secret"), "access_token"),
        (("access_token", "access_token_secret"), "api_key"),
        (("access_token", "access_token_secret", "bearer_token"), "api_key"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else value,
)
def test_incomplete_credentials_are_an_error(connect: Connect, names: tuple[str, ...], expected_text: str) -> None:
    with pytest.raises(InvalidConnectionError, match=expected_text) as raised:
        connect(**{name: CREDENTIALS[name] for name in names}).get_conn()
    assert "canary" not in str(raised.value)


def test_every_secret_is_masked_including_the_api_key(connect: Connect) -> None:
    connect(**CREDENTIALS).get_conn()
    for name, value in CREDENTIALS.items():
        assert redact(f"something with {value} in it") == "something with *** in it", name


def test_a_secret_is_masked_without_the_spaces_around_it(connect: Connect) -> None:
    pasted = {name: f"\n {value}pasted\t" for name, value in CREDENTIALS.items()}
    hook = connect(**pasted)
    for name in CREDENTIALS:
        value = CREDENTIALS[name] + "pasted"
        assert getattr(hook.credentials, name) == value
        assert redact(f"<{value}>") == "<***>", name


@pytest.fixture(autouse=True)
def _forget_masks() -> Iterator[None]:
    yield
    _secrets_masker().reset_masker()


def test_no_repr_contains_a_secret(connect: Connect) -> None:
    hook = connect(**CREDENTIALS)
    shown = "".join(map(repr, (hook.get_conn(), hook.credentials, hook, hook.connection._settings, vars(hook))))
    assert "canary" not in shown
    assert "api_key=***" in shown


def test_requests_have_the_name_and_version_of_the_provider(simulated: Connect, simulator: Simulator) -> None:
    session = simulated("bearer_token").get_conn()._sessions.open(simulator.base_url)
    assert session.headers["User-Agent"] == f"airflow-provider-engagement/{__version__}"


@pytest.mark.parametrize(
    ("names", "metrics", "expected"),
    [
        (USER, None, Auth.USER),
        ((*USER, "bearer_token"), None, Auth.USER),
        (("bearer_token",), None, Auth.APP),
        (APP, None, Auth.APP),
        (USER, "favorites, retweets", Auth.APP),
        ((*USER, "bearer_token"), ["favorites"], Auth.APP),
        (USER, ["impressions", "favorites"], Auth.USER),
    ],
)
def test_the_metrics_and_the_connection_choose_the_credentials_of_a_query(
    connect: Connect, names: tuple[str, ...], metrics: object, expected: Auth
) -> None:
    hook = connect(**{name: CREDENTIALS[name] for name in names})
    assert hook.query(Endpoint.TOTALS, [MINE], metrics=metrics).auth is expected


def test_an_unknown_kind_of_credentials_is_an_error(connect: Connect) -> None:
    with pytest.raises(InvalidQueryError, match="auth: 'owner'"):
        connect(**CREDENTIALS).query(Endpoint.TOTALS, [MINE], auth="owner")


def test_the_hook_returns_the_responses_of_a_query(simulated: Connect, simulator: Simulator) -> None:
    (response,) = simulated(*USER).totals([MINE, ALSO_MINE], metrics=["favorites", "impressions"])
    counts = response.counts
    by_tweet = dict(zip(counts.tweet_ids, zip(*counts.by_metric.values(), strict=True), strict=True))
    assert by_tweet == {MINE: (3, 40), ALSO_MINE: (0, 0)}
    assert [entry.auth for entry in simulator.journal.to("totals")] == ["user"]


def test_an_invalid_query_in_a_task_is_not_retried(simulated: Connect, simulator: Simulator) -> None:
    with pytest.raises(AirflowFailException, match="tweets"):
        list(simulated(*USER).totals(["not an id"]))
    assert len(simulator.journal) == 0


def test_requests_per_minute_of_the_connection_is_not_exceeded(simulated: Connect) -> None:
    hook = simulated("bearer_token", requests_per_minute=1)
    client = hook.get_conn(max_inline_wait=0.0)
    request = plan(hook.query(Endpoint.TOTALS, [MINE], metrics="favorites"))[0]
    client.fetch(request)
    assert client.limiter.snapshot().sent == 1
    with pytest.raises(Exception, match="rate limit allows the next request at"):
        client.fetch(request)


GOOD = [
    (USER, f"The access token of user {AUTHOR} is valid."),
    ((*USER, "bearer_token"), f"The access token of user {AUTHOR} is valid."),
    (("bearer_token",), "The bearer token is valid."),
    ((*APP, "bearer_token"), "The bearer token is valid."),
    (APP, "The API accepts the API key and its secret."),
]


@pytest.mark.parametrize(
    ("names", "expected"), GOOD, ids=lambda value: "+".join(value) if isinstance(value, tuple) else ""
)
def test_a_good_connection_is_tested_with_one_request(
    simulated: Connect, simulator: Simulator, names: tuple[str, ...], expected: str
) -> None:
    accepted, message = simulated(*names).test_connection()
    assert accepted
    assert message.startswith(expected)
    assert len(simulator.journal) == 1


@pytest.mark.parametrize(
    ("names", "wrong", "expected_text"),
    [
        (USER, {"access_token": f"{AUTHOR}-canaryRevoked"}, f"The access token of user {AUTHOR} failed"),
        (USER, {"access_token_secret": "canaryWrong"}, f"The access token of user {AUTHOR} failed"),
        (USER, {"api_key_secret": "canaryWrong"}, f"The access token of user {AUTHOR} failed"),
        (("bearer_token",), {"bearer_token": "canaryWrong"}, "The bearer token failed"),
        ((*APP, "bearer_token"), {"bearer_token": "canaryWrong"}, "The bearer token failed"),
        (APP, {"api_key_secret": "canaryWrong"}, "The API rejected api_key and api_key_secret"),
        (APP, {"api_key": "canaryWrong"}, "The API rejected api_key and api_key_secret"),
    ],
)
def test_the_test_of_a_connection_names_the_invalid_credentials_after_one_request(
    simulated: Connect, simulator: Simulator, names: tuple[str, ...], wrong: dict[str, str], expected_text: str
) -> None:
    accepted, message = simulated(*names, **wrong).test_connection()
    assert not accepted
    assert expected_text in message
    assert "canary" not in message
    assert len(simulator.journal) == 1


@pytest.mark.parametrize("names", [("api_key",), (*APP, "access_token"), ()])
def test_a_connection_without_usable_credentials_fails_without_a_request(
    simulated: Connect, simulator: Simulator, names: tuple[str, ...]
) -> None:
    accepted, message = simulated(*names).test_connection()
    assert not accepted
    assert "engagement_test" in message
    assert len(simulator.journal) == 0


@pytest.mark.parametrize(
    ("fault", "expected_text"),
    [
        (Fault.html(status=502), "HTTP 502"),
        (Fault.text(status=503), "HTTP 503"),
        (Fault(drop="before_headers"), "no response from http://127.0.0.1"),
        (Fault(truncate_gzip=True), ""),
        (Fault(status=404, body={"errors": [{"message": "Sorry, that page does not exist", "code": 34}]}), "host"),
    ],
)
@pytest.mark.parametrize("names", [USER, ("bearer_token",)], ids=["user", "app"])
def test_the_test_of_a_connection_does_not_repeat_a_failed_request(
    simulated: Connect, simulator: Simulator, fault: Fault, expected_text: str, names: tuple[str, ...]
) -> None:
    simulator.faults.add(fault)
    accepted, message = simulated(*names).test_connection()
    assert not accepted
    assert expected_text in message
    assert len(simulator.journal) == 1


@pytest.mark.parametrize("names", [USER, ("bearer_token",)], ids=["user", "app"])
def test_credentials_are_valid_even_if_the_quota_is_used_up(
    simulated: Connect, simulator: Simulator, names: tuple[str, ...]
) -> None:
    simulator.quotas.close(datetime(2100, 1, 1, tzinfo=UTC))
    accepted, message = simulated(*names).test_connection()
    assert accepted
    assert "the quota is used up" in message
    assert len(simulator.journal) == 1


def test_the_test_of_a_connection_reports_an_app_that_is_not_enabled(simulated: Connect, simulator: Simulator) -> None:
    simulator.world.change_app(CREDENTIALS["api_key"], entitled=False)
    accepted, message = simulated(*USER).test_connection()
    assert not accepted
    assert "The app has no access to the Engagement API" in message
    assert len(simulator.journal) == 1


def test_the_test_of_a_connection_reports_a_host_without_a_server(connect: Connect) -> None:
    with Simulator(World()) as stopped:
        url = stopped.base_url
    accepted, message = connect(url, bearer_token="canaryToken").test_connection()
    assert not accepted
    assert url in message
    assert "canary" not in message


def test_a_quota_share_leaves_the_rest_to_other_clients(connect: Connect, simulator: Simulator) -> None:
    simulator.rate_clock.freeze()
    simulator.set_limit(per_minute=10)
    hook = connect(simulator.base_url, bearer_token=CREDENTIALS["bearer_token"], quota_share=0.5)
    client = hook.get_conn(max_inline_wait=0.0)
    request = plan(hook.query(Endpoint.TOTALS, MINE, metrics="favorites"))[0]

    for _ in range(5):
        client.fetch(request)

    with pytest.raises(WaitRequired):
        client.fetch(request)
    assert len(simulator.journal) == 5


@pytest.mark.parametrize("share", [-1, 1.5, "half", "nan"])
def test_a_quota_share_is_above_0_and_at_most_1(connect: Connect, share: object) -> None:
    with pytest.raises(InvalidConnectionError, match="quota_share"):
        connect(bearer_token="token-of-the-app", quota_share=share).connection.requests_per_minute  # noqa: B018


def test_every_client_of_the_hook_is_closed(simulated: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[EngagementClient] = []
    close = EngagementClient.close
    monkeypatch.setattr(EngagementClient, "close", lambda client: (closed.append(client), close(client)))
    hook = simulated(*USER)

    hook.test_connection()
    list(hook.totals([MINE], metrics="favorites"))
    hook.read_rate_limit()

    assert len(closed) == 3
    assert all(not client._sessions._opened for client in closed)
