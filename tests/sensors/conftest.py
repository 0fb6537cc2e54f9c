"""Execute a sensor without a scheduler, on a clock that only its waits move, with a simulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from airflow.sdk.bases import sensor as base
from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred

from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.sensors.rate_limit import EngagementRateLimitSensor
from airflow_provider_engagement.simulator import Simulator, World, connection

NOW = datetime(2026, 1, 12, 9, 30, 20, tzinfo=UTC)
"""Forty seconds before the rate limit resets."""


@pytest.fixture
def time_travel(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Traveller]:
    """A clock that only the waits of a client and a test move."""
    with time_machine.travel(NOW, tick=False) as traveller:

        def wait(limiter: Limiter, seconds: float) -> None:
            limiter.waited_seconds += seconds
            traveller.shift(seconds)

        monkeypatch.setattr(Limiter, "wait", wait)
        yield traveller


@pytest.fixture
def simulator(time_travel: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The API with one user at 60 requests a minute, and a connection ``engagement_default`` to it."""
    with Simulator(World.generate(handles=1, tweets=3, end=NOW)) as running:
        running.set_limit(per_minute=60)
        handle = next(iter(running.world.handles.values()))
        monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(connection(running, handle)))
        monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_PUBLIC", json.dumps(connection(running, None)))
        yield running


@dataclass
class TaskInstance:
    """The attributes of a task instance that a sensor reads."""

    task_id: str
    dag_id: str = "engagement"
    run_id: str = "manual__2026-01-12"
    map_index: int = -1
    try_number: int = 1
    start_date: datetime = NOW
    rescheduled_at: datetime | None = None

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.rescheduled_at


@dataclass
class Sensing:
    """What a sensor did until it succeeded.

    :param returned: its XCom.
    :param wakes: when to resume, for each of its waits.
    :param deferrals: the waits in the triggerer.
    """

    returned: Any = None
    wakes: list[datetime] = field(default_factory=list)
    deferrals: list[TaskDeferred] = field(default_factory=list)


@pytest.fixture
def sense(time_travel: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sensing]:
    """Execute a sensor until it ends, with a new sensor after each wait, as in another process."""

    def sensed(
        mode: str = "poke", *, base_mode: str = "poke", task_id: str = "wait", run_before: Any = None, **parameters: Any
    ) -> Sensing:
        done = Sensing()

        def sleep(seconds: float) -> None:
            done.wakes.append(datetime.now(UTC) + timedelta(seconds=seconds))
            time_travel.shift(seconds)
            if run_before:
                run_before()

        monkeypatch.setattr(base, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: datetime.now(UTC).timestamp()))
        deferrable = mode == "deferrable"
        parameters |= {"deferrable": deferrable, "mode": base_mode if deferrable else mode}
        task_instance = TaskInstance(task_id)
        resumed = False
        while True:
            sensor = EngagementRateLimitSensor(task_id=task_id, **parameters)
            context: Any = {"ti": task_instance, "task_instance": task_instance, "task": sensor, "params": {}}
            sensor.render_template_fields(context)
            try:
                if resumed:
                    event = {"event": datetime.now(UTC)}
                    done.returned = sensor.resume_execution("execute", event, context)
                else:
                    done.returned = sensor.execute(context)
                return done
            except TaskDeferred as deferred:
                resumed, wake = True, deferred.trigger.moment
                done.deferrals.append(deferred)
            except AirflowRescheduleException as rescheduled:
                wake = rescheduled.reschedule_date
                task_instance.rescheduled_at = task_instance.rescheduled_at or datetime.now(UTC)
                task_instance.start_date = wake
            done.wakes.append(wake)
            time_travel.move_to(wake, tick=False)
            if run_before:
                run_before()

    return sensed
