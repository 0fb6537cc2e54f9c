"""The hook requests only hours that are over, as the operators do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.engagement_api.catalogue import Endpoint
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.simulator import Simulator, World, connection

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
THIS_HOUR = NOW.replace(minute=0)
HOUR = timedelta(hours=1)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> EngagementHook:
    simulator = Simulator(World.generate(seed=1, handles=1, tweets=1, end=NOW))
    made = connection(simulator, next(iter(simulator.world.handles.values())))
    simulator.stop()
    monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(made))
    return EngagementHook()


@pytest.mark.parametrize("end", [THIS_HOUR + HOUR, THIS_HOUR + 2 * HOUR, datetime(2099, 1, 1, tzinfo=UTC)])
def test_an_end_in_the_running_hour_or_later_is_rejected_before_a_request_is_sent(
    hook: EngagementHook, end: datetime
) -> None:
    with time_machine.travel(NOW, tick=False):
        with pytest.raises(AirflowFailException, match=r"end: .* is after 2026-01-12T09:00:00\+00:00"):
            hook.historical(["2000000000000000001"], start=end - 5 * HOUR, end=end)
        with pytest.raises(InvalidQueryError, match="the end of the last complete hour"):
            hook.query(Endpoint.HISTORICAL, ["2000000000000000001"], interval=TimeRange(end - HOUR, end))


def test_the_end_of_the_last_complete_hour_is_accepted(hook: EngagementHook) -> None:
    with time_machine.travel(NOW, tick=False):
        interval = TimeRange(THIS_HOUR - HOUR, THIS_HOUR)
        query = hook.query(Endpoint.HISTORICAL, ["2000000000000000001"], interval=interval)
    assert query.interval == interval


def test_the_running_hour_is_that_of_the_present_in_every_time_zone(hook: EngagementHook) -> None:
    end = (THIS_HOUR + HOUR).astimezone(ZoneInfo("Asia/Tokyo"))
    with time_machine.travel(NOW, tick=False), pytest.raises(AirflowFailException, match="the last complete hour"):
        hook.historical(["2000000000000000001"], start=end - HOUR, end=end)
