"""The rate limit sensor in each mode: what it reads, how long it waits, and how it ends."""

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

from airflow_provider_engagement.exceptions import ServerError
from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.http.limits.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.sensors.rate_limit import EngagementRateLimitSensor
from airflow_provider_engagement.simulator import Fault, Simulator, Switches

NOW = datetime(2026, 1, 12, 9, 30, 20, tzinfo=UTC)
RESET = datetime(2026, 1, 12, 9, 31, tzinfo=UTC)
SPREAD = timedelta(seconds=11)
MODES = ("poke", "reschedule", "deferrable")

Sense = Callable[..., Any]


def spend(simulator: Simulator, requests: int) -> None:
    """Use up requests of the current minute, as another task would."""
    for _ in range(requests):
        assert simulator.quotas.spend(simulator.world.app).allowed


def manifest(remaining: int, *, limit: int = 60, **values: Any) -> dict[str, Any]:
    """Return the rate limit in the manifest of a pull that has just ended."""
    snapshot = RateLimitSnapshot(
        observed_at=NOW.timestamp(), limit=limit, remaining=remaining, resets_at=RESET.timestamp()
    )
    return {"rate_limit": snapshot.to_dict() | values}


def probes(simulator: Simulator) -> list[datetime]:
    return [entry.at for entry in simulator.journal]


# Where the rate limit is read


def test_a_manifest_with_enough_remaining_requests_saves_the_request(simulator: Simulator, sense: Sense) -> None:
    recent = manifest(remaining=5)
    done = sense(min_remaining=5, manifest=recent)
    assert done.returned == recent["rate_limit"]
    assert not done.wakes
    assert not probes(simulator)


@pytest.mark.parametrize("mode", MODES)
def test_a_manifest_with_too_few_remaining_requests_is_valid_until_the_reset(
    simulator: Simulator, sense: Sense, mode: str
) -> None:
    done = sense(mode, min_remaining=6, manifest=manifest(remaining=5))
    assert len(done.wakes) == 1
    assert RESET <= done.wakes[0] <= RESET + SPREAD
    assert not probes(simulator)


def test_a_manifest_without_a_known_rate_limit_does_not_save_the_request(simulator: Simulator, sense: Sense) -> None:
    done = sense(manifest={"rate_limit": RateLimitSnapshot(observed_at=NOW.timestamp()).to_dict()})
    assert done.returned["remaining"] == 59
    assert len(probes(simulator)) == 1


def test_a_manifest_with_unknown_keys_is_read(simulator: Simulator, sense: Sense) -> None:
    done = sense(manifest=manifest(remaining=5, weather="fair"))
    assert done.returned["remaining"] == 5
    assert not probes(simulator)


def test_a_value_that_is_not_a_manifest_is_an_error(simulator: Simulator, sense: Sense) -> None:
    for value in ("text", {"requests": 3}, {"rate_limit": None}, [1]):
        with pytest.raises(AirflowFailException, match="manifest: the value is not the manifest of a pull"):
            sense(manifest=value)
    assert not probes(simulator)


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_without_a_manifest_one_request_reads_the_rate_limit(simulator: Simulator, sense: Sense, mode: str) -> None:
    spend(simulator, 10)
    done = sense(mode)
    assert (done.returned["limit"], done.returned["remaining"]) == (60, 49)
    assert RESET.timestamp() <= done.returned["resets_at"] <= RESET.timestamp() + 1
    assert len(probes(simulator)) == 1
    assert not done.wakes


@pytest.mark.parametrize("conn_id", ["engagement_default", "engagement_public"])
def test_user_and_app_credentials_read_the_rate_limit(simulator: Simulator, sense: Sense, conn_id: str) -> None:
    sense(engagement_conn_id=conn_id)
    (entry,) = simulator.journal
    assert entry.auth == ("user" if conn_id == "engagement_default" else "app")


@pytest.mark.parametrize("mode", MODES)
def test_http_429_is_waited_for_until_the_reset(simulator: Simulator, sense: Sense, mode: str) -> None:
    spend(simulator, 60)
    done = sense(mode, poke_interval=1)
    assert [entry.status for entry in simulator.journal][:1] == [429]
    assert len(done.wakes) == 1
    assert RESET <= done.wakes[0] <= RESET + SPREAD
    assert len(probes(simulator)) == 2
    assert done.returned["remaining"] == 59


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_without_headers_a_response_means_that_requests_remain(simulator: Simulator, sense: Sense, mode: str) -> None:
    simulator.switches = Switches(rate_headers="none")
    done = sense(mode, min_remaining=50)
    assert done.returned["remaining"] is None
    assert len(probes(simulator)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_without_headers_http_429_is_waited_for_one_minute(simulator: Simulator, sense: Sense, mode: str) -> None:
    simulator.switches = Switches(rate_headers="none")
    spend(simulator, 60)
    done = sense(mode, poke_interval=1)
    assert len(done.wakes) == 1
    assert NOW + timedelta(minutes=1) <= done.wakes[0] <= NOW + timedelta(minutes=1) + SPREAD


def test_the_hook_reads_the_rate_limit(simulator: Simulator) -> None:
    spend(simulator, 10)
    assert EngagementHook().read_rate_limit().remaining == 49


# min_remaining


@pytest.mark.parametrize("mode", MODES)
def test_too_few_remaining_requests_are_waited_for(simulator: Simulator, sense: Sense, mode: str) -> None:
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
def test_the_sensor_can_wait_for_the_whole_quota(simulator: Simulator, sense: Sense, mode: str) -> None:
    """The request of the sensor itself does not count."""
    spend(simulator, 1)
    done = sense(mode, min_remaining=60, timeout=600)
    assert len(done.wakes) == 1
    assert done.returned["remaining"] == 59


def test_min_remaining_0_waits_only_for_http_429(simulator: Simulator, sense: Sense) -> None:
    spend(simulator, 59)
    assert not sense(min_remaining=0).wakes


@pytest.mark.parametrize("mode", MODES)
def test_min_remaining_above_the_quota_fails_the_task_without_retries(
    simulator: Simulator, sense: Sense, mode: str
) -> None:
    with pytest.raises(AirflowFailException, match="min_remaining is 61, but the quota is 60 requests a minute"):
        sense(mode, min_remaining=61)
    assert len(probes(simulator)) == 1


def test_an_invalid_min_remaining_fails_the_task_without_retries(simulator: Simulator, sense: Sense) -> None:
    for value in ("many", "-1", 1.5, True):
        with pytest.raises(
            AirflowFailException, match=r"min_remaining: .* is not valid. Pass a whole number of at least 0"
        ):
            sense(min_remaining=value)
    assert not probes(simulator)


# How it waits


@pytest.mark.parametrize(("mode", "exponential_backoff"), [("poke", True), ("reschedule", False), ("deferrable", True)])
def test_ten_minutes_without_remaining_requests_cost_one_request_a_minute(
    simulator: Simulator, sense: Sense, mode: str, exponential_backoff: bool
) -> None:
    end = NOW + timedelta(minutes=10)

    def other_clients() -> None:
        if datetime.now(UTC) < end:
            spend(simulator, 60)

    other_clients()
    done = sense(mode, poke_interval=1, exponential_backoff=exponential_backoff, run_before=other_clients)
    requests = probes(simulator)
    assert max(Counter(time.replace(second=0) for time in requests).values()) == 1
    assert len(requests) == 12, "one in each minute from 09:30 to 09:41"
    assert done.returned["remaining"] == 59


def test_a_deferral_times_out_with_the_sensor(simulator: Simulator, sense: Sense) -> None:
    spend(simulator, 60)
    done = sense("deferrable", timeout=75)
    assert [deferral.timeout for deferral in done.deferrals] == [timedelta(seconds=75)]


def test_a_deferral_does_not_time_out_while_the_triggerer_is_late(simulator: Simulator, sense: Sense) -> None:
    spend(simulator, 60)
    done = sense("deferrable", timeout=86_400)
    (deferral,) = done.deferrals
    assert deferral.timeout > done.wakes[0] - NOW + timedelta(minutes=1)


def test_the_triggerer_does_not_need_this_package(simulator: Simulator, sense: Sense) -> None:
    spend(simulator, 60)
    (deferral,) = sense("deferrable").deferrals
    classpath, arguments = deferral.trigger.serialize()
    assert classpath == "airflow.providers.standard.triggers.temporal.DateTimeTrigger"
    assert set(arguments) == {"moment", "end_from_trigger"}
    assert deferral.method_name == "execute"
    assert not deferral.kwargs


def test_sensors_that_wait_for_the_same_reset_resume_at_different_times(
    simulator: Simulator, sense: Sense, time_travel: time_machine.Traveller
) -> None:
    wakes = []
    for number in range(8):
        time_travel.move_to(NOW, tick=False)
        wakes += sense("deferrable", task_id=f"wait_{number}", manifest=manifest(0)).wakes
    assert len({wake.replace(microsecond=0) for wake in wakes}) > 3


@pytest.mark.parametrize("exponential_backoff", [False, True])
def test_poke_interval_applies_after_a_failed_request(
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
def test_a_reset_after_the_timeout_ends_the_sensor_at_once(simulator: Simulator, sense: Sense, mode: str) -> None:
    spend(simulator, 60)
    with pytest.raises(AirflowSensorTimeout, match="after the sensor's timeout of 30"):
        sense(mode, timeout=30)


@pytest.mark.parametrize("mode", MODES)
def test_the_timeout_limits_the_sum_of_all_waits(simulator: Simulator, sense: Sense, mode: str) -> None:
    spend(simulator, 60)
    with pytest.raises(AirflowSensorTimeout):
        sense(mode, timeout=200, run_before=lambda: spend(simulator, 60))
    assert len(probes(simulator)) == 4


@pytest.mark.parametrize(("mode", "waits"), [("poke", 0), ("poke", 1), ("reschedule", 1), ("deferrable", 1)])
def test_soft_fail_turns_a_timeout_into_a_skip(simulator: Simulator, sense: Sense, mode: str, waits: int) -> None:
    spend(simulator, 60)
    with pytest.raises(AirflowSkipException):
        sense(mode, timeout=30 + 60 * waits, soft_fail=True, run_before=lambda: spend(simulator, 60))
    assert len(probes(simulator)) == waits + 1


@pytest.mark.parametrize("mode", MODES)
def test_soft_fail_does_not_turn_a_wait_into_a_skip(simulator: Simulator, sense: Sense, mode: str) -> None:
    """A resumed sensor raises an exception to be rescheduled, which is not a failure."""
    spend(simulator, 60)
    windows = iter((60, 60, 0))
    done = sense(mode, base_mode="reschedule", soft_fail=True, run_before=lambda: spend(simulator, next(windows)))
    assert len(done.wakes) == 3
    assert done.returned["remaining"] == 59


@pytest.mark.parametrize(
    ("mode", "option"), [("poke", "never_fail"), ("reschedule", "soft_fail"), ("deferrable", "never_fail")]
)
def test_soft_fail_and_never_fail_turn_an_impossible_min_remaining_into_a_skip(
    simulator: Simulator, sense: Sense, mode: str, option: str
) -> None:
    with pytest.raises(AirflowSkipException):
        sense(mode, min_remaining=61, **{option: True})


@pytest.mark.parametrize("mode", MODES)
def test_an_error_of_the_server_fails_the_task_with_retries(simulator: Simulator, sense: Sense, mode: str) -> None:
    simulator.faults.add(Fault(status=500, times=None))
    with pytest.raises(ServerError):
        sense(mode)
    assert len(probes(simulator)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_never_fail_turns_an_error_of_the_server_into_a_skip(simulator: Simulator, sense: Sense, mode: str) -> None:
    simulator.faults.add(Fault(status=500, times=None))
    with pytest.raises(AirflowSkipException):
        sense(mode, never_fail=True)


@pytest.mark.parametrize("mode", MODES)
def test_a_reset_in_weeks_fails_the_task_without_retries(simulator: Simulator, sense: Sense, mode: str) -> None:
    simulator.quotas.close(NOW + timedelta(days=20))
    with pytest.raises(AirflowFailException, match="renews at 2026-02-01"):
        sense(mode, timeout=timedelta(days=60))
    assert len(probes(simulator)) == 1


def test_no_secret_is_in_logs_results_exceptions_or_representations(
    simulator: Simulator, sense: Sense, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    spend(simulator, 60)
    done = sense("deferrable")
    simulator.quotas.close(NOW + timedelta(days=20))
    with pytest.raises(AirflowFailException) as failure:
        sense()
    app, handle = simulator.world.app, next(iter(simulator.world.handles.values()))
    texts = f"{caplog.text}{done}{failure.value!r}{failure.value.__cause__!r}{EngagementRateLimitSensor(task_id='t')!r}"
    for secret in (app.consumer_secret, app.bearer_token, handle.access_token, handle.access_token_secret):
        assert secret not in texts
