"""The control plane over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
import requests

NEW, AUTHOR = "2000000000000000001", "7588892"


@pytest.fixture
def call(client: Any) -> Any:
    """Send a request to the control plane, and return the decoded response."""

    def send(method: str, subject: str, body: Any = None, status: int = 200, **query: str) -> Any:
        url = f"{client.simulator.base_url}/__simulator__/{subject}"
        response = requests.request(method, url, json=body, params=query, timeout=5)
        assert response.status_code == status, response.text
        return response.json()

    return send


def test_clocks_can_be_set_and_advanced(client: Any, call: Any) -> None:
    times = call(
        "POST",
        "clock",
        {"data": {"now": "2026-02-01T00:00:00Z", "advance": 60}, "rate": {"now": "2026-02-02T00:00:00Z"}},
    )
    assert times == {"data": "2026-02-01T00:01:00+00:00", "rate": "2026-02-02T00:00:00+00:00"}
    assert call("GET", "clock") == times
    assert client.simulator.clock.now().isoformat() == times["data"]


def test_a_time_without_time_zone_is_rejected(call: Any) -> None:
    assert "time zone" in call("POST", "clock", {"data": {"now": "2026-02-01T00:00:00"}}, status=400)["error"]


def test_quotas_can_be_changed_and_closed(client: Any, call: Any) -> None:
    assert call("POST", "limits", {"requests_per_minute": 1})["requests_per_minute"] == 1
    assert [client.totals(NEW).status_code for _ in range(2)] == [200, 429]
    call("POST", "limits", {"requests_per_minute": 100, "closed_until": "2999-01-01T00:00:00Z"})
    assert client.totals(NEW).status_code == 429
    call("POST", "limits", {"closed_until": None})
    assert client.totals(NEW).status_code == 200


def test_faults_can_be_queued_and_cleared(client: Any, call: Any) -> None:
    assert [fault["status"] for fault in call("POST", "faults", [{"status": 503}, {"status": 502}])] == [503, 502]
    assert client.totals(NEW).status_code == 503
    assert len(call("GET", "faults")) == 1
    call("DELETE", "faults")
    assert client.totals(NEW).status_code == 200


def test_the_journal_can_be_read(client: Any, call: Any) -> None:
    client.totals(NEW, user=AUTHOR)
    journal = call("GET", "journal", path="totals")
    assert [entry["user_id"] for entry in journal["entries"]] == [AUTHOR]
    assert list(journal["handles_by_month"].values()) == [[AUTHOR]]
    call("DELETE", "journal")
    assert call("GET", "journal")["entries"] == []


def test_switches_can_be_changed(client: Any, call: Any) -> None:
    assert call("POST", "switches", {"values": "int"})["values"] == "int"
    assert client.totals(NEW).json() == {"by_tweet": {NEW: {"favorites": 3}}}
    assert "The body has no weather. Choose from " in call("POST", "switches", {"weather": 1}, status=400)["error"]


def test_the_world_can_be_read_and_changed(client: Any, call: Any) -> None:
    world = call("GET", "world")
    assert world["token_url"] == client.simulator.token_url
    assert {
        "id": NEW,
        "author_id": AUTHOR,
        "created": "2025-12-14T00:28:52.860000+00:00",
        "deleted": False,
        "video_id": None,
    } in world["tweets"]
    assert world["handles"][0]["access_token_secret"] == f"secret of {AUTHOR}"
    call("POST", "world", {"tweets": {NEW: {"deleted": True}}, "handles": {AUTHOR: {"revoked": True}}})
    assert client.totals(NEW).status_code == 400
    assert client.totals(NEW, user=AUTHOR).status_code == 401
    assert "no planets" in call("POST", "world", {"planets": {}}, status=400)["error"]


def test_the_true_counts_can_be_read(call: Any) -> None:
    window = {"start": "2026-01-10T00:00:00Z", "end": "2026-01-11T00:00:00Z"}
    assert call("GET", "truth", tweet_id=NEW, metric="impressions", **window) == {"count": 40}
    assert call("GET", "truth", tweet_id=NEW, metric="impressions") == {"count": 42}
    assert "Tweet 5 does not exist" in call("GET", "truth", tweet_id="5", metric="impressions", status=404)["error"]


def test_a_reset_restores_the_initial_state(client: Any, call: Any) -> None:
    call("POST", "limits", {"requests_per_minute": 1})
    call("POST", "switches", {"values": "int"})
    call("POST", "clock", {"data": {"advance": 60}})
    call("POST", "faults", {"status": 503})
    call("POST", "reset")
    assert call("GET", "limits")["requests_per_minute"] == 6000
    assert call("GET", "clock")["data"] == "2026-01-12T09:30:00+00:00"
    assert client.totals(NEW).json() == {"by_tweet": {NEW: {"favorites": "3"}}}
    assert len(call("GET", "journal")["entries"]) == 1


def test_an_unknown_path_is_rejected_with_the_known_ones(call: Any) -> None:
    assert "GET /__simulator__/journal" in call("GET", "weather", status=404)["error"]


def test_requests_to_the_control_plane_are_not_in_the_journal(client: Any, call: Any) -> None:
    call("GET", "world")
    assert len(client.simulator.journal) == 0


# Who can call it


def request_to(client: Any, method: str = "POST", subject: str = "reset", **headers: str | None) -> requests.Response:
    url = f"{client.simulator.base_url}/__simulator__/{subject}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = named.pop("body", None)
    return requests.request(method, url, data=body, headers=named, timeout=5)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.", "192.168.0.1", "[::2]", "0", "["],
)
@pytest.mark.parametrize(("method", "subject"), [("GET", "world"), ("POST", "reset"), ("DELETE", "journal")])
def test_only_names_of_this_machine_for_itself_are_accepted(client: Any, host: str, method: str, subject: str) -> None:
    client.totals(NEW)
    response = request_to(client, method, subject, Host=host)
    assert response.status_code in (400, 403)
    assert "secret" not in response.text
    assert len(client.simulator.journal) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "LOCALHOST", "[::1]:80"])
def test_every_name_of_this_machine_for_itself_is_accepted(client: Any, host: str) -> None:
    response = request_to(client, "GET", "world", Host=host)
    assert (response.status_code, response.json()["base_url"]) == (200, f"http://{host}")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
@pytest.mark.parametrize("body", [None, '{"values": "int"}'])
def test_a_page_of_another_site_is_refused(client: Any, headers: dict[str, str], body: str | None) -> None:
    response = request_to(client, subject="switches", body=body, Content_Type="application/json", **headers)
    assert response.status_code == 403
    assert client.simulator.switches.values == "string"
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_only_json_is_accepted(client: Any, content_type: str | None) -> None:
    response = request_to(client, subject="switches", body='{"values": "int"}', Content_Type=content_type)
    assert (response.status_code, "Send application/json" in response.json()["error"]) == (415, True)
    assert client.simulator.switches.values == "string"


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("switches", "["),
        ("switches", "[" * 100_000),
        ("switches", "[1]"),
        ("clock", '{"data": {"advance": 1e400}}'),
        ("clock", '{"data": {"advance": "soon"}}'),
        ("clock", '{"data": 5}'),
        ("limits", '{"latency": -1}'),
        ("limits", '{"latency": 1e300}'),
        ("limits", '{"consumer_key": "unknown"}'),
        ("faults", '{"weather": 1}'),
        ("world", '{"tweets": {"5": {}}}'),
        ("world", '{"tweets": 5}'),
    ],
)
def test_an_impossible_request_is_answered(client: Any, subject: str, body: str) -> None:
    response = request_to(client, subject=subject, body=body, Content_Type="application/json")
    assert response.status_code == 400
    assert response.json()["error"]
    assert client.totals(NEW).status_code == 200


EVERY_ACTION = [
    ("POST", "reset"),
    ("GET", "clock"),
    ("POST", "clock"),
    ("GET", "limits"),
    ("POST", "limits"),
    ("GET", "faults"),
    ("POST", "faults"),
    ("DELETE", "faults"),
    ("GET", "journal"),
    ("DELETE", "journal"),
    ("GET", "switches"),
    ("POST", "switches"),
    ("GET", "world"),
    ("POST", "world"),
    ("GET", "truth"),
]


@pytest.mark.parametrize(("method", "subject"), EVERY_ACTION)
def test_an_unknown_argument_is_refused_with_its_name_and_changes_nothing(
    client: Any, call: Any, method: str, subject: str
) -> None:
    before = call("GET", "limits"), call("GET", "clock")["data"], client.simulator.switches, call("GET", "faults")
    assert "The body has no weather." in call(method, subject, {"weather": 1}, status=400)["error"]
    assert "The URL has no weather." in call(method, subject, status=400, weather="1")["error"]
    after = call("GET", "limits"), call("GET", "clock")["data"], client.simulator.switches, call("GET", "faults")
    assert after == before


@pytest.mark.parametrize(
    ("method", "subject", "body", "problem"),
    [
        (
            "POST",
            "clock",
            {"data": {"at": "2026-02-01T00:00:00Z"}},
            "data has no at. Choose from advance, now, running",
        ),
        ("POST", "clock", {"rate": {"advance": 1, "speed": 2}}, "rate has no speed"),
        ("POST", "clock", {"now": "2026-02-01T00:00:00Z"}, "The body has no now. Choose from data, rate"),
        ("POST", "clock", {"data": None}, "data: not an object"),
        ("POST", "clock", {"data": {"running": True}}, "now is missing"),
        ("POST", "clock", {"data": {"now": "2026-02-01T00:00:00Z", "running": "no"}}, "running: 'no' is neither"),
        ("POST", "clock", [], "The body: not an object"),
        ("POST", "limits", "x", "The body: not an object"),
        ("POST", "faults", [{"status": 503}, {"staus": 503}], "The body has no staus"),
        ("POST", "faults", [1], "The body: not an object"),
        ("POST", "world", {"tweets": {NEW: {"erased": True}}}, "erased"),
        ("GET", "truth", None, "metric, tweet_id is missing"),
        ("GET", "truth", {"tweet_id": NEW}, "metric is missing"),
        ("GET", "truth", {"tweet_id": NEW, "metric": "impressions", "start": "2026-01-10T00:00:00Z"}, "end is missing"),
        ("GET", "truth", {"tweet_id": NEW, "metric": "impressions", "end": "2026-01-10T00:00:00Z"}, "start is missing"),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(
    call: Any, method: str, subject: str, body: Any, problem: str
) -> None:
    assert problem in call(method, subject, body, status=400)["error"]
    assert call("GET", "faults") == []


def test_an_argument_that_is_given_twice_is_refused(client: Any, call: Any) -> None:
    assert (
        "given in the URL and in the body" in call("POST", "limits", {"latency": 1}, status=400, latency="2")["error"]
    )
    url = f"{client.simulator.base_url}/__simulator__/journal?path=a&path=b"
    assert "more than once" in requests.get(url, timeout=5).json()["error"]
