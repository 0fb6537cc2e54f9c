"""The journal of requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from airflow_provider_engagement.simulator import Clock, Fault, World

NEW, FOREIGN, AUTHOR, OTHER = "2000000000000000001", "2000000000000000009", "7588892", "370773112"
AT = datetime(2026, 1, 31, 23, 59, 30, tzinfo=UTC)


def test_every_request_has_an_entry(start: Callable[..., Any], world: World) -> None:
    client = start(world, rate_clock=Clock(AT))
    client.totals(NEW, user=AUTHOR)
    client.totals(NEW)
    client.totals(NEW, headers={"Authorization": "Nobody"})
    first, second, third = client.simulator.journal
    assert (first.number, first.at, first.method, first.path) == (1, AT, "POST", "/insights/engagement/totals")
    assert (first.auth, first.consumer_key, first.user_id, first.signature) == ("user", "key", AUTHOR, "valid")
    assert first.body["tweet_ids"] == [NEW]
    assert (first.status, first.forced) == (200, False)
    assert (second.auth, second.user_id) == ("app", None)
    assert (third.auth, third.signature, third.status) == ("none", "Unknown Authorization Type", 401)


def test_an_invalid_signature_is_recorded_with_the_user_of_the_token(client: Any) -> None:
    auth = client.oauth1(AUTHOR)
    auth.client.client_secret = "wrong"
    assert client.totals(NEW, auth=auth).status_code == 401
    entry = client.simulator.journal.entries[-1]
    assert (entry.signature, entry.user_id) == ("Signature invalid", AUTHOR)


def test_a_forced_response_is_marked(client: Any) -> None:
    client.simulator.faults.add(Fault(status=503))
    client.totals(NEW, user=AUTHOR)
    entry = client.simulator.journal.entries[-1]
    assert (entry.status, entry.forced, entry.signature) == (503, True, "valid")


def test_entries_can_be_selected_by_path_and_cleared(client: Any) -> None:
    client.totals(NEW)
    client.historical(NEW, user=AUTHOR, endpoint="28hr")
    journal = client.simulator.journal
    assert [entry.number for entry in journal.to("28hr")] == [2]
    journal.clear()
    assert len(journal) == 0


def test_users_whose_data_was_read_are_counted_by_month(start: Callable[..., Any], world: World) -> None:
    rate_clock = Clock(AT)
    client = start(world, rate_clock=rate_clock)
    client.totals(NEW, user=AUTHOR)
    client.totals(NEW, user=AUTHOR)
    client.totals(NEW)
    client.totals(NEW, user=OTHER)
    rate_clock.set(datetime(2026, 2, 1, tzinfo=UTC))
    client.totals(FOREIGN, user=OTHER)
    assert client.simulator.journal.handles_by_month() == {"2026-01": {AUTHOR}, "2026-02": {OTHER}}
