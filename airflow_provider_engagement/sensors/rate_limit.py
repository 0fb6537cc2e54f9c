"""Waits until the rate limit has room."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue, conf
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_engagement.api.rate_limit import RateLimitSnapshot, wake_at
from airflow_provider_engagement.exceptions import InvalidQueryError, NeverEnoughRoomError, airflow_failures
from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.operators.waiting import GRACE, SPREAD_SECONDS, first_start, task_key

if TYPE_CHECKING:
    from airflow.sdk import Context


class EngagementRateLimitSensor(BaseSensorOperator):
    """Succeeds when the rate limit has room for a number of requests, and returns what is known of it as XCom.

    What an upstream pull's report tells is believed; else one request is sent, which any answer to tells the limit by
    its headers, a refusal too. The sensor then sleeps until the limit resets rather than ask again: it sends at most
    one request in a window, whatever ``poke_interval`` says. That and ``exponential_backoff`` count only where the API
    does not say when it resets.

    .. seealso:: ``docs/sensors/rate-limit.md``

    :param min_remaining: how many requests must be left; 1 by default. Of all that the contract allows in a minute, the
        sensor's own may be one. (templated)
    :param manifest: the report of an upstream pull, as it is in XCom. (templated)
    :param engagement_conn_id: the connection. (templated)
    :param deferrable: whether to wait in the triggerer, whatever ``mode`` says. By default
        ``[operators] default_deferrable``.

    ``mode``, ``timeout``, ``soft_fail`` and the others are those of every sensor. A reset later than ``timeout`` is not
    waited for.
    """

    template_fields: Sequence[str] = ("min_remaining", "manifest", "engagement_conn_id")
    ui_color = "#d7ecfb"

    def __init__(
        self,
        *,
        min_remaining: int | str = 1,
        manifest: Mapping[str, Any] | None = None,
        engagement_conn_id: str = EngagementHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.min_remaining = min_remaining
        self.manifest = manifest
        self.engagement_conn_id = engagement_conn_id
        self.deferrable = deferrable
        self._deadline = datetime.max.replace(tzinfo=UTC)
        self._resets_at: float | None = None

    @cached_property
    def hook(self) -> EngagementHook:
        """The hook of the task's connection."""
        return EngagementHook(self.engagement_conn_id)

    def execute(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """Wait.

        :param context: the task's context.
        :param event: what the trigger told; nothing is read from it.
        """
        return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Tell whether there is room now.

        :param context: the task's context.
        """
        with airflow_failures():
            self._key = task_key(context)
            self._deadline = first_start(context) + timedelta(seconds=float(self.timeout))
            needed = self._needed()
            now = time.time()
            told = self._told(now)
            snapshot = told or self.hook.read_rate_limit()
            if snapshot.limit is not None and needed > snapshot.limit:
                raise NeverEnoughRoomError(
                    f"min_remaining is {needed}, but the contract allows {snapshot.limit} requests a minute: wait for "
                    "fewer, and let the pull wait for the rest."
                )
            now = time.time()
            remaining = snapshot.remaining_at(now)
            self._resets_at = max(snapshot.resets_at or 0.0, snapshot.held_until or 0.0) or None
            # No window has room for all of a contract's requests once this sensor has sent one of them.
            taken = told is None and needed == snapshot.limit
            held = snapshot.held_until is not None and now < snapshot.held_until
            room = not held and (remaining is None or remaining >= needed - taken)
            self.log.info(
                "%s of %s requests remain; %d are waited for.",
                "An unknown number" if remaining is None else remaining,
                "an unknown number" if snapshot.limit is None else snapshot.limit,
                needed,
            )
            return PokeReturnValue(is_done=room, xcom_value=snapshot.to_dict())

    def _needed(self) -> int:
        text = str(self.min_remaining).strip()
        if not text.isdecimal():
            raise InvalidQueryError("min_remaining", f"{self.min_remaining!r} is no whole number from 0 up")
        return int(text)

    def _told(self, now: float) -> RateLimitSnapshot | None:
        """Return what the upstream report tells of the limit, if it tells whether there is room."""
        if self.manifest is None:
            return None
        budget = self.manifest.get("budget") if isinstance(self.manifest, Mapping) else None
        if not isinstance(budget, Mapping):
            raise InvalidQueryError("manifest", "is no report of a pull", "Give the XCom of an Engagement operator.")
        snapshot = RateLimitSnapshot.from_dict(budget)
        return None if snapshot.remaining_at(now) is None else snapshot

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Return how long to wait: until the reset, where it is known. In deferrable mode, wait right here.

        The base class asks this between two pokes, in every mode, and sleeps or reschedules for as long.
        """
        now = time.time()
        if self._resets_at is not None and self._resets_at > now:
            wait = wake_at(self._resets_at, key=self._key, spread=SPREAD_SECONDS) - now
        else:
            wait = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        wake = datetime.fromtimestamp(now + wait, UTC)
        if wake > self._deadline:
            message = (
                f"The rate limit has room at {wake.isoformat()} at the earliest, after the sensor's timeout of "
                f"{self.timeout} s."
            )
            if self.soft_fail:
                raise AirflowSkipException(message)
            raise AirflowSensorTimeout(message)
        self.log.info("Waiting for the rate limit until %s.", wake.isoformat())
        if self.deferrable:
            from airflow.providers.standard.triggers.temporal import DateTimeTrigger

            self.defer(
                trigger=DateTimeTrigger(moment=wake),
                method_name="execute",
                # A triggerer that is down is waited for, but no longer than the sensor would have waited anyway.
                timeout=min(timedelta(seconds=wait) + GRACE, self._deadline - datetime.fromtimestamp(now, UTC)),
            )
        return wait
