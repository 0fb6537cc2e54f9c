"""Answers that go wrong on purpose, and the journal that notes them."""

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


def raw(client: Any) -> tuple[dict[str, str], bytes]:
    """Return headers and undecoded body of one answer, up to the end of the connection."""
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


def test_a_fault_happens_once_and_the_next_request_is_answered(client: Any) -> None:
    client.simulator.faults.add(Fault(status=503), Fault(status=500, body={"errors": ["internal server error"]}))
    assert statuses(client, 3) == [503, 500, 200]
    assert client.simulator.faults.pending() == ()


def test_a_fault_can_last(client: Any) -> None:
    client.simulator.faults.add(Fault(status=503, times=2), Fault(status=502, times=None))
    assert statuses(client, 4) == [503, 503, 502, 502]
    client.simulator.faults.clear()
    assert statuses(client, 1) == [200]


def test_a_fault_can_wait_for_the_nth_request_to_a_path(client: Any) -> None:
    client.simulator.faults.add(Fault(status=503, path="totals", nth=2))
    assert client.historical(NEW, user=AUTHOR).status_code == 200
    assert statuses(client, 3) == [200, 503, 200]


def test_a_share_of_the_requests_can_fail_the_same_way_each_time() -> None:
    def lots() -> list[bool]:
        faults = Faults(seed=5)
        faults.add(Fault(status=503, probability=0.02, times=None))
        return [faults.take("/") is not None for _ in range(2000)]

    assert lots() == lots()
    assert 20 <= sum(lots()) <= 60


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
def test_a_forced_answer_is_sent_as_it_was_given(client: Any, fault: Fault, content_type: str, content: bytes) -> None:
    client.simulator.faults.add(fault)
    response = client.totals(NEW)
    assert response.status_code == fault.status
    assert response.headers["Content-Type"] == content_type
    assert response.content.startswith(content)
    assert bool(response.content) is bool(content)


def test_a_fault_can_add_headers_to_a_proper_answer(client: Any) -> None:
    client.simulator.faults.add(Fault(headers={"x-per-minute-remaining": "0"}))
    response = client.totals(NEW)
    assert (response.status_code, response.headers["x-per-minute-remaining"]) == (200, "0")


def test_a_redirect_points_elsewhere(client: Any) -> None:
    client.simulator.faults.add(Fault.redirect("http://127.0.0.1:1/elsewhere"))
    response = client.totals(NEW, allow_redirects=False)
    assert (response.status_code, response.headers["Location"]) == (307, "http://127.0.0.1:1/elsewhere")


def test_a_truncated_body_has_the_length_it_claims_but_does_not_decompress(client: Any) -> None:
    whole, _ = raw(client)
    client.simulator.faults.add(Fault(truncate_gzip=True))
    headers, body = raw(client)
    assert len(body) == int(headers["content-length"]) == int(whole["content-length"]) // 2
    with pytest.raises(EOFError):
        gzip.decompress(body)


def test_a_connection_can_end_before_the_headers(client: Any) -> None:
    client.simulator.faults.add(Fault(drop="before_headers"))
    with pytest.raises(requests.ConnectionError):
        client.totals(NEW)
    assert client.simulator.journal.entries[-1].status is None


def test_a_connection_can_end_in_the_body(client: Any) -> None:
    client.simulator.faults.add(Fault(drop="after_headers"))
    headers, body = raw(client)
    assert 0 < len(body) < int(headers["content-length"])


def test_a_delay_outlasts_an_impatient_client(client: Any) -> None:
    client.simulator.faults.add(Fault(delay=0.5))
    url = client.simulator.base_url + "/insights/engagement/totals"
    with pytest.raises(requests.ReadTimeout):
        requests.post(url, json={}, timeout=0.05)


def test_a_forced_answer_costs_no_budget_but_uses_up_the_nonce(client: Any) -> None:
    client.simulator.set_limit(per_minute=1)
    client.simulator.faults.add(Fault(status=503))
    refused = client.totals(NEW, user=AUTHOR)
    again = client.session.send(refused.request)
    assert (refused.status_code, again.status_code) == (503, 401)
    assert client.totals(NEW, user=AUTHOR).status_code == 200


def test_the_token_endpoint_can_fail_too(client: Any) -> None:
    client.simulator.faults.add(Fault(status=503, path="/oauth2/token"))
    assert statuses(client, 1) == [200]
    assert requests.post(client.simulator.token_url, timeout=5).status_code == 503


@pytest.mark.parametrize(
    "wrong",
    [{"status": 99}, {"probability": 1.5}, {"delay": -1}, {"drop": "sometimes"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_an_impossible_fault_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Fault(**wrong)
