"""The sensor in each mode: what it believes, what it asks, for how long it sleeps, and how it ends."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_engagement.api.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.exceptions import ServerError
from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.sensors.rate_limit import EngagementRateLimitSensor
from airflow_provider_engagement.simulator import Fault, Simulator, Switches

NOW = datetime(2026, 1, 12, 9, 30, 20, tzinfo=UTC)
RESET = datetime(2026, 1, 12, 9, 31, tzinfo=UTC)
SPREAD = timedelta(seconds=11)
MODES = ("poke", "reschedule", "deferrable")

Sense = Callable[..., Any]


def spend(simulator: Simulator, requests: int) -> None:
    """Use up some of this minute's requests, as another task would."""
    for _ in range(requests):
        assert simulator.quotas.spend(simulator.world.app).allowed


def manifest(remaining: int, *, limit: int = 60, **told: Any) -> dict[str, Any]:
    """What a pull that ended just now reports."""
    snapshot = RateLimitSnapshot(
        observed_at=NOW.timestamp(), limit=limit, remaining=remaining, resets_at=RESET.timestamp()
    )
    return {"rate_limit": snapshot.to_dict() | told}


def probes(simulator: Simulator) -> list[datetime]:
    return [entry.at for entry in simulator.journal]


# What it believes and what it asks


def test_a_report_that_tells_of_room_is_believed(simulator: Simulator, sense: Sense) -> None:
    report = manifest(remaining=5)
    done = sense(min_remaining=5, manifest=report)
    assert done.returned == report["rate_limit"]
    assert not done.wakes
    assert not probes(simulator)


@pytest.mark.parametrize("mode", MODES)
def test_a_report_that_tells_of_no_room_is_believed_until_the_reset(
    simulator: Simulator, sense: Sense, mode: str
) -> None:
    done = sense(mode, min_remaining=6, manifest=manifest(remaining=5))
    assert len(done.wakes) == 1
    assert RESET <= done.wakes[0] <= RESET + SPREAD
    assert not probes(simulator)


def test_a_report_that_knows_nothing_is_no_reason_not_to_ask(simulator: Simulator, sense: Sense) -> None:
    done = sense(manifest={"rate_limit": RateLimitSnapshot(observed_at=NOW.timestamp()).to_dict()})
    assert done.returned["remaining"] == 59
    assert len(probes(simulator)) == 1


def test_a_report_with_keys_of_another_version_is_read(simulator: Simulator, sense: Sense) -> None:
    done = sense(manifest=manifest(remaining=5, weather="fair"))
    assert done.returned["remaining"] == 5
    assert not probes(simulator)


@pytest.mark.parametrize("wrong", ["text", {"requests": 3}, {"rate_limit": None}, [1]])
def test_what_is_no_report_is_told(simulator: Simulator, sense: Sense, wrong: Any) -> None:
    with pytest.raises(AirflowFailException, match="manifest: the value is not the manifest of a pull"):
        sense(manifest=wrong)
    assert not probes(simulator)


@pytest.mark.parametrize("mode", MODES)
def test_without_a_report_one_request_tells(simulator: Simulator, sense: Sense, mode: str) -> None:
    spend(simulator, 10)
    done = sense(mode)
    assert (done.returned["limit"], done.returned["remaining"]) == (60, 49)
    assert RESET.timestamp() <= done.returned["resets_at"] <= RESET.timestamp() + 1
    assert len(probes(simulator)) == 1
    assert not done.wakes


@pytest.mark.parametrize("conn_id", ["engagement_default", "engagement_public"])
def test_any_answer_tells_whoever_asks(simulator: Simulator, sense: Sense, conn_id: str) -> None:
    sense(engagement_conn_id=conn_id)
    (entry,) = simulator.journal
    assert entry.auth == ("user" if conn_id == "engagement_default" else "app")


@pytest.mark.parametrize("mode", MODES)
def test_a_refusal_tells_when_to_come_back(simulator: Simulator, sense: Sense, mode: str) -> None:
    spend(simulator, 60)
    done = sense(mode, poke_interval=1)
    assert [entry.status for entry in simulator.journal][:1] == [429]
    assert len(done.wakes) == 1
    assert RESET <= done.wakes[0] <= RESET + SPREAD
    assert len(probes(simulator)) == 2
    assert done.returned["remaining"] == 59


@pytest.mark.parametrize("mode", MODES)
def test_without_any_headers_an_answer_is_room_enough(simulator: Simulator, sense: Sense, mode: str) -> None:
    simulator.switches = Switches(rate_headers="none")
    done = sense(mode, min_remaining=50)
    assert done.returned["remaining"] is None
    assert len(probes(simulator)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_without_any_headers_a_refusal_is_waited_out_for_a_minute(
    simulator: Simulator, sense: Sense, mode: str
) -> None:
    simulator.switches = Switches(rate_headers="none")
    spend(simulator, 60)
    done = sense(mode, poke_interval=1)
    assert len(done.wakes) == 1
    assert NOW + timedelta(minutes=1) <= done.wakes[0] <= NOW + timedelta(minutes=1) + SPREAD


def test_the_budget_can_be_read_from_the_hook_too(simulator: Simulator) -> None:
    spend(simulator, 10)
    assert EngagementHook().read_rate_limit().remaining == 49


# How much room


@pytest.mark.parametrize("mode", MODES)
def test_room_for_less_than_what_is_waited_for_is_none(simulator: Simulator, sense: Sense, mode: str) -> None:
    spend(simulator, 30)
    done = sense(mode, min_remaining=40)
    assert len(done.wakes) == 1
    assert done.returned["remaining"] == 59


def test_min_remaining_is_templated(simulator: Simulator, sense: Sense) -> None:
    spend(simulator, 30)
    with DAG("engagement", schedule=None):
        done = sense(min_remaining="{{ 20 + 20 }}")
    assert len(done.wakes) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_whole_contract_may_be_waited_for(simulator: Simulator, sense: Sense, mode: str) -> None:
    """Though the sensor's own request is always one of it."""
    spend(simulator, 1)
    done = sense(mode, min_remaining=60, timeout=600)
    assert len(done.wakes) == 1
    assert done.returned["remaining"] == 59


def test_nothing_at_all_may_be_waited_for(simulator: Simulator, sense: Sense) -> None:
    spend(simulator, 59)
    assert not sense(min_remaining=0).wakes


@pytest.mark.parametrize("mode", MODES)
def test_more_than_the_contract_allows_fails_for_good(simulator: Simulator, sense: Sense, mode: str) -> None:
    with pytest.raises(AirflowFailException, match="min_remaining is 61, but the quota is 60 requests a minute"):
        sense(mode, min_remaining=61)
    assert len(probes(simulator)) == 1


@pytest.mark.parametrize("wrong", ["", "many", "-1", 1.5, None, True])
def test_a_number_that_is_none_fails_for_good(simulator: Simulator, sense: Sense, wrong: Any) -> None:
    with pytest.raises(
        AirflowFailException, match=r"min_remaining: .* is not valid. Pass a whole number of at least 0"
    ):
        sense(min_remaining=wrong)
    assert not probes(simulator)


# How it waits


@pytest.mark.parametrize("exponential_backoff", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_ten_minutes_without_room_cost_a_request_a_window(
    simulator: Simulator, sense: Sense, mode: str, exponential_backoff: bool
) -> None:
    end = NOW + timedelta(minutes=10)

    def others() -> None:
        if datetime.now(UTC) < end:
            spend(simulator, 60)

    others()
    done = sense(mode, poke_interval=1, exponential_backoff=exponential_backoff, run_before=others)
    asked = probes(simulator)
    assert max(Counter(moment.replace(second=0) for moment in asked).values()) == 1
    assert len(asked) == 12, "one in each minute from 09:30 to 09:41"
    assert done.returned["remaining"] == 59


def test_a_deferral_is_given_up_with_the_sensor(simulator: Simulator, sense: Sense) -> None:
    spend(simulator, 60)
    done = sense("deferrable", timeout=75)
    assert [deferral.timeout for deferral in done.deferrals] == [timedelta(seconds=75)]


def test_a_deferral_is_not_given_up_as_soon_as_the_triggerer_is_late(simulator: Simulator, sense: Sense) -> None:
    spend(simulator, 60)
    done = sense("deferrable", timeout=86_400)
    (deferral,) = done.deferrals
    assert deferral.timeout > done.wakes[0] - NOW + timedelta(minutes=1)


def test_a_deferral_needs_nothing_of_this_package_in_the_triggerer(simulator: Simulator, sense: Sense) -> None:
    spend(simulator, 60)
    (deferral,) = sense("deferrable").deferrals
    classpath, arguments = deferral.trigger.serialize()
    assert classpath == "airflow.providers.standard.triggers.temporal.DateTimeTrigger"
    assert set(arguments) == {"moment", "end_from_trigger"}
    assert deferral.method_name == "execute"
    assert not deferral.kwargs


def test_sensors_that_wait_for_the_same_reset_do_not_wake_at_once(
    simulator: Simulator, sense: Sense, time_travel: time_machine.Traveller
) -> None:
    wakes = []
    for number in range(8):
        time_travel.move_to(NOW, tick=False)
        wakes += sense("deferrable", task_id=f"wait_{number}", manifest=manifest(0)).wakes
    assert len({wake.replace(microsecond=0) for wake in wakes}) > 3


@pytest.mark.parametrize("exponential_backoff", [False, True])
def test_the_interval_counts_where_the_api_does_not_answer(
    simulator: Simulator, sense: Sense, exponential_backoff: bool
) -> None:
    simulator.faults.add(Fault(status=500, times=3))
    done = sense(poke_interval=7, silent_fail=True, exponential_backoff=exponential_backoff)
    pauses = [round((later - earlier).total_seconds()) for earlier, later in pairwise([NOW, *done.wakes])]
    assert len(pauses) == 3
    assert (pauses == [7, 7, 7]) is not exponential_backoff
    assert pauses == sorted(pauses)


# How it ends


@pytest.mark.parametrize("mode", MODES)
def test_a_reset_after_the_timeout_is_not_waited_for(simulator: Simulator, sense: Sense, mode: str) -> None:
    spend(simulator, 60)
    with pytest.raises(AirflowSensorTimeout, match="after the sensor's timeout of 30"):
        sense(mode, timeout=30)


@pytest.mark.parametrize("mode", MODES)
def test_the_timeout_holds_over_several_waits(simulator: Simulator, sense: Sense, mode: str) -> None:
    spend(simulator, 60)
    with pytest.raises(AirflowSensorTimeout):
        sense(mode, timeout=200, run_before=lambda: spend(simulator, 60))
    assert len(probes(simulator)) == 4


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("waits", [0, 1])
def test_soft_fail_makes_a_timeout_a_skip(simulator: Simulator, sense: Sense, mode: str, waits: int) -> None:
    spend(simulator, 60)
    with pytest.raises(AirflowSkipException):
        sense(mode, timeout=30 + 60 * waits, soft_fail=True, run_before=lambda: spend(simulator, 60))
    assert len(probes(simulator)) == waits + 1


@pytest.mark.parametrize("mode", MODES)
def test_soft_fail_does_not_make_a_wait_a_skip(simulator: Simulator, sense: Sense, mode: str) -> None:
    """What a resumed sensor raises to be rescheduled would be taken for a failure, and skip it."""
    spend(simulator, 60)
    windows = iter((60, 60, 0))
    done = sense(mode, base_mode="reschedule", soft_fail=True, run_before=lambda: spend(simulator, next(windows)))
    assert len(done.wakes) == 3
    assert done.returned["remaining"] == 59


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("option", ["soft_fail", "never_fail"])
def test_what_cannot_be_is_a_skip_where_the_author_says_so(
    simulator: Simulator, sense: Sense, mode: str, option: str
) -> None:
    with pytest.raises(AirflowSkipException):
        sense(mode, min_remaining=61, **{option: True})


@pytest.mark.parametrize("mode", MODES)
def test_an_api_that_fails_is_a_failure_that_a_retry_may_mend(simulator: Simulator, sense: Sense, mode: str) -> None:
    simulator.faults.add(Fault(status=500, times=None))
    with pytest.raises(ServerError):
        sense(mode)
    assert len(probes(simulator)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_an_api_that_fails_is_a_skip_with_never_fail(simulator: Simulator, sense: Sense, mode: str) -> None:
    simulator.faults.add(Fault(status=500, times=None))
    with pytest.raises(AirflowSkipException):
        sense(mode, never_fail=True)


@pytest.mark.parametrize("mode", MODES)
def test_a_cap_that_renews_in_a_month_is_not_waited_for(simulator: Simulator, sense: Sense, mode: str) -> None:
    simulator.quotas.close(NOW + timedelta(days=20))
    with pytest.raises(AirflowFailException, match="renews at 2026-02-01"):
        sense(mode, timeout=timedelta(days=60))
    assert len(probes(simulator)) == 1


def test_secrets_are_nowhere(simulator: Simulator, sense: Sense, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    spend(simulator, 60)
    done = sense("deferrable")
    simulator.quotas.close(NOW + timedelta(days=20))
    with pytest.raises(AirflowFailException) as failure:
        sense()
    app, handle = simulator.world.app, next(iter(simulator.world.handles.values()))
    told = f"{caplog.text}{done}{failure.value!r}{failure.value.__cause__!r}{EngagementRateLimitSensor(task_id='t')!r}"
    for secret in (app.consumer_secret, app.bearer_token, handle.access_token, handle.access_token_secret):
        assert secret not in told
