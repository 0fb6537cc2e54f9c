"""Faults: forced responses, delays and broken connections."""

from __future__ import annotations

import gzip
import socket
from typing import Any

import pytest
import requests

from airflow_provider_engagement.simulator import Fault, Faults

NEW, AUTHOR = "2000000000000000001", "7588892"


def statuses(client: Any, number: int) -> list[int]:
    return [client.totals(NEW).status_code for _ in range(number)]


def raw_response(client: Any) -> tuple[dict[str, str], bytes]:
    """Return the headers and the undecoded body of one response, up to the end of the connection."""
    simulator = client.simulator
    host, port = simulator.base_url.removeprefix("http://").split(":")
    body = b'{"tweet_ids":["%s"],"engagement_types":["favorites"],"groupings":{"a":{"group_by":["engagement.type"]}}}'
    body = body.replace(b"%s", NEW.encode())
    head = (
        f"POST /insights/engagement/totals HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
        f"Accept-Encoding: gzip\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Bearer {simulator.world.app.bearer_token}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    lines, _, rest = received.partition(b"\r\n\r\n")
    pairs = (line.split(": ", 1) for line in lines.decode().split("\r\n")[1:])
    return {name.lower(): value for name, value in pairs}, rest


def test_a_fault_applies_to_one_request_by_default(client: Any) -> None:
    client.simulator.faults.add(Fault(status=503), Fault(status=500, body={"errors": ["internal server error"]}))
    assert statuses(client, 3) == [503, 500, 200]
    assert client.simulator.faults.pending() == ()


def test_a_fault_can_apply_several_times_or_always(client: Any) -> None:
    client.simulator.faults.add(Fault(status=503, times=2), Fault(status=502, times=None))
    assert statuses(client, 4) == [503, 503, 502, 502]
    client.simulator.faults.clear()
    assert statuses(client, 1) == [200]


def test_a_fault_can_apply_to_the_nth_request_to_a_path(client: Any) -> None:
    client.simulator.faults.add(Fault(status=503, path="totals", nth=2))
    assert client.historical(NEW, user=AUTHOR).status_code == 200
    assert statuses(client, 3) == [200, 503, 200]


def test_a_probability_selects_the_same_requests_every_time() -> None:
    def selected() -> list[bool]:
        faults = Faults(seed=5)
        faults.add(Fault(status=503, probability=0.02, times=None))
        return [faults.take("/") is not None for _ in range(2000)]

    assert selected() == selected()
    assert 20 <= sum(selected()) <= 60


@pytest.mark.parametrize(
    ("fault", "content_type", "content"),
    [
        (Fault.text(), "text/plain", b"Service Unavailable"),
        (Fault.html(504), "text/html", b"<html><head><title>504</title>"),
        (Fault(status=500), "application/json;charset=utf-8", b""),
        (Fault(status=200, body=b"\x00\xff"), "application/json;charset=utf-8", b"\x00\xff"),
        (Fault(status=418, body={"errors": ["tea"]}), "application/json;charset=utf-8", b'{"errors":["tea"]}'),
    ],
)
def test_a_forced_response_has_the_status_and_the_body_of_the_fault(
    client: Any, fault: Fault, content_type: str, content: bytes
) -> None:
    client.simulator.faults.add(fault)
    response = client.totals(NEW)
    assert response.status_code == fault.status
    assert response.headers["Content-Type"] == content_type
    assert response.content.startswith(content)
    assert bool(response.content) is bool(content)


def test_a_fault_can_add_headers_to_a_usual_response(client: Any) -> None:
    client.simulator.faults.add(Fault(headers={"x-per-minute-remaining": "0"}))
    response = client.totals(NEW)
    assert (response.status_code, response.headers["x-per-minute-remaining"]) == (200, "0")


def test_a_fault_can_redirect(client: Any) -> None:
    client.simulator.faults.add(Fault.redirect("http://127.0.0.1:1/elsewhere"))
    response = client.totals(NEW, allow_redirects=False)
    assert (response.status_code, response.headers["Location"]) == (307, "http://127.0.0.1:1/elsewhere")


def test_a_truncated_body_has_the_announced_length_but_does_not_decompress(client: Any) -> None:
    whole, _ = raw_response(client)
    client.simulator.faults.add(Fault(truncate_gzip=True))
    headers, body = raw_response(client)
    assert len(body) == int(headers["content-length"]) == int(whole["content-length"]) // 2
    with pytest.raises(EOFError):
        gzip.decompress(body)


def test_a_connection_can_end_before_the_headers(client: Any) -> None:
    client.simulator.faults.add(Fault(drop="before_headers"))
    with pytest.raises(requests.ConnectionError):
        client.totals(NEW)
    assert client.simulator.journal.entries[-1].status is None


def test_a_connection_can_end_within_the_body(client: Any) -> None:
    client.simulator.faults.add(Fault(drop="after_headers"))
    headers, body = raw_response(client)
    assert 0 < len(body) < int(headers["content-length"])


def test_a_delay_can_exceed_the_timeout_of_the_client(client: Any) -> None:
    client.simulator.faults.add(Fault(delay=0.5))
    url = client.simulator.base_url + "/insights/engagement/totals"
    with pytest.raises(requests.ReadTimeout):
        requests.post(url, json={}, timeout=0.05)


def test_a_forced_response_does_not_count_against_the_quota_but_uses_the_nonce(client: Any) -> None:
    client.simulator.set_limit(per_minute=1)
    client.simulator.faults.add(Fault(status=503))
    forced = client.totals(NEW, user=AUTHOR)
    repeated = client.session.send(forced.request)
    assert (forced.status_code, repeated.status_code) == (503, 401)
    assert client.totals(NEW, user=AUTHOR).status_code == 200


def test_a_fault_can_apply_to_the_token_endpoint(client: Any) -> None:
    client.simulator.faults.add(Fault(status=503, path="/oauth2/token"))
    assert statuses(client, 1) == [200]
    assert requests.post(client.simulator.token_url, timeout=5).status_code == 503


@pytest.mark.parametrize(
    ("field", "value"), [("status", 99), ("probability", 1.5), ("delay", -1), ("drop", "sometimes")]
)
def test_a_fault_with_an_impossible_value_raises_an_error(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{field}: '?{value}"):
        Fault(**{field: value})
