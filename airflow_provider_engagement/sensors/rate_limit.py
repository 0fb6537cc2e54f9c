"""A sensor that waits until the rate limit allows a number of requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue, conf
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_engagement.exceptions import InvalidQueryError, QuotaTooSmallError
from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.hooks.failures import task_failures
from airflow_provider_engagement.http.limits.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.inputs.numbers import parse_whole_number
from airflow_provider_engagement.operators.rendered_parameters import unset_blank_parameters
from airflow_provider_engagement.operators.waiting import TRIGGERER_GRACE, attempt_start, spread
from airflow_provider_engagement.quantities import counted

if TYPE_CHECKING:
    from airflow.sdk import Context


class EngagementRateLimitSensor(BaseSensorOperator):
    """Succeeds when the rate limit allows a number of requests. Its XCom is the state of the rate limit.

    The sensor reads the state from the manifest of an upstream pull. Without a manifest, it sends one request. Every
    response has the state in its headers, even if the API rejects the request. If too few requests remain, the sensor
    waits until the rate limit resets, and checks again. ``poke_interval`` and ``exponential_backoff`` apply only if the
    API does not say when the rate limit resets.

    .. seealso:: ``docs/sensors/rate-limit.md``

    :param min_remaining: how many requests must remain; 1 by default. If you wait for the whole quota, the
        request that the sensor sends counts as remaining. (templated)
    :param manifest: the manifest of an upstream pull, from the pull's XCom. (templated)
    :param engagement_conn_id: the id of the connection. (templated)
    :param deferrable: whether to wait in the triggerer, regardless of ``mode``. By default
        ``[operators] default_deferrable``.

    The sensor also has the parameters of every sensor, such as ``mode``, ``timeout`` and ``soft_fail``. If the rate
    limit resets after ``timeout``, the sensor fails at once.
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
        self._context: Context | None = None
        self._resets_at: float | None = None

    @cached_property
    def hook(self) -> EngagementHook:
        """The hook of the task's connection."""
        return EngagementHook(self.engagement_conn_id)

    def execute(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """Wait until the rate limit allows the requests.

        :param context: the task's context.
        :param event: the trigger's event, if the sensor waited in the triggerer. It is not used.
        """
        with task_failures():
            unset_blank_parameters(self)
        return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Return whether the rate limit allows the requests now.

        :param context: the task's context.
        """
        with task_failures(self.engagement_conn_id):
            self._context = context
            needed = parse_whole_number(self.min_remaining, field="min_remaining", minimum=0)
            from_manifest = self._read_manifest(time.time())
            snapshot = from_manifest or self.hook.read_rate_limit()
            if snapshot.limit is not None and needed > snapshot.limit:
                raise QuotaTooSmallError(
                    f"min_remaining is {needed}, but the quota is {counted(snapshot.limit, 'request')} a minute. Set "
                    f"min_remaining to at most {snapshot.limit}. The pull waits for further requests itself."
                )
            now = time.time()
            remaining = snapshot.remaining_at(now)
            self._resets_at = max(snapshot.resets_at or 0.0, snapshot.held_until or 0.0) or None
            # After the sensor's own request, the whole quota never remains.
            own_request = from_manifest is None and needed == snapshot.limit
            is_held = snapshot.held_until is not None and now < snapshot.held_until
            is_done = not is_held and (remaining is None or remaining >= needed - own_request)
            self.log.info(
                "Requests that remain: %s of %s; waiting for %d.",
                "An unknown number" if remaining is None else remaining,
                "an unknown number" if snapshot.limit is None else snapshot.limit,
                needed,
            )
            return PokeReturnValue(is_done=is_done, xcom_value=snapshot.to_dict())

    def _read_manifest(self, now: float) -> RateLimitSnapshot | None:
        """Return the state of the rate limit in the manifest, if it says how many requests remain."""
        if self.manifest is None:
            return None
        rate_limit = self.manifest.get("rate_limit") if isinstance(self.manifest, Mapping) else None
        if not isinstance(rate_limit, Mapping):
            raise InvalidQueryError(
                "manifest", "the value is not the manifest of a pull", "Pass the XCom of an Engagement operator."
            )
        snapshot = RateLimitSnapshot.from_dict(rate_limit)
        return None if snapshot.remaining_at(now) is None else snapshot

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Return the seconds until the rate limit resets, if known. In deferrable mode, defer until then.

        The base class calls this method between two pokes in every mode, and then sleeps or reschedules.
        """
        now = datetime.now(UTC)
        if self._resets_at is not None and self._resets_at > now.timestamp():
            poke_at = spread(datetime.fromtimestamp(self._resets_at, UTC), self._context)
        else:
            poke_at = now + timedelta(seconds=super()._get_next_poke_interval(started_at, run_duration, poke_count))
        deadline = self._deadline()
        if poke_at > deadline:
            message = (
                f"The rate limit allows the requests at {poke_at.isoformat()} at the earliest, which is after the "
                f"sensor's timeout of {self.timeout} s. Increase timeout, or decrease min_remaining."
            )
            raise AirflowSkipException(message) if self.soft_fail else AirflowSensorTimeout(message)
        self.log.info("Waiting for the rate limit until %s.", poke_at.isoformat())
        if self.deferrable:
            from airflow.providers.standard.triggers.temporal import DateTimeTrigger

            self.defer(
                trigger=DateTimeTrigger(moment=poke_at),
                method_name="execute",
                timeout=min(poke_at - now + TRIGGERER_GRACE, deadline - now),
            )
        return (poke_at - now).total_seconds()

    def _deadline(self) -> datetime:
        if self._context is None:
            return datetime.max.replace(tzinfo=UTC)
        return attempt_start(self._context) + timedelta(seconds=float(self.timeout))
