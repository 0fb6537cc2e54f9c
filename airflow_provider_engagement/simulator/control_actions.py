"""What the control plane can do: inspect and change the clocks, limits, faults, switches and the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.control_arguments import ControlAction, ControlError, checked_arguments
from airflow_provider_engagement.simulator.faults import Fault
from airflow_provider_engagement.simulator.simulated_api import SimulatedApi
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.x_api.x_switches import XApiSwitches

MAX_LATENCY = 3600


def _reset(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    api.reset()
    return {}


def _clock(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    """Set ``data`` and ``rate``, each with ``now``, ``running`` and ``advance`` (seconds), all optional."""
    clocks = {"data": api.clock, "rate": api.rate_clock}
    changes = {name: checked_arguments(name, arguments.get(name, {}), _CLOCK) for name in clocks}
    for name, clock in clocks.items():
        _set_clock(clock, changes[name])
    return {"data": api.clock.now().isoformat(), "rate": api.rate_clock.now().isoformat()}


def _set_clock(clock: Clock, arguments: Mapping[str, Any]) -> None:
    running = arguments.get("running", False)
    if not isinstance(running, bool):
        raise ControlError(400, f"running: {running!r} is neither true nor false.")
    if "running" in arguments and "now" not in arguments:
        raise ControlError(400, "now is missing. A clock starts or stops at a time: give both.")
    if "now" in arguments:
        clock.set(_aware_time(arguments["now"]), running=running)
    if "advance" in arguments:
        clock.advance(timedelta(seconds=arguments["advance"]))


def _limits(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    key = arguments.get("consumer_key")
    app = api.world.app if key is None else api.world.apps[key]
    api.engagement.quotas.set_limit(
        app, per_minute=arguments.get("requests_per_minute"), per_second=arguments.get("requests_per_second")
    )
    if "closed_until" in arguments:
        api.engagement.quotas.close(
            None if arguments["closed_until"] is None else _aware_time(arguments["closed_until"])
        )
    if "latency" in arguments:
        latency = float(arguments["latency"])
        if not 0 <= latency <= MAX_LATENCY:
            raise ValueError(f"latency: {latency} is out of range. Give 0 to {MAX_LATENCY} seconds.")
        api.latency = latency
    for endpoint, limits in arguments.get("x_api", {}).items():
        for scope, requests in limits.items():
            api.x_api.windows.set_limit(endpoint, scope, requests)
    per_minute, per_second = api.engagement.quotas.limit(app)
    return {
        "consumer_key": app.consumer_key,
        "requests_per_minute": per_minute,
        "requests_per_second": per_second,
        "latency": api.latency,
        "x_api": api.x_api.windows.limits(),
    }


def _faults(api: SimulatedApi, arguments: Any) -> Any:
    return [fault.to_json() for fault in api.faults.pending()]


def _add_faults(api: SimulatedApi, arguments: Any) -> Any:
    api.faults.add(*(Fault(**fault) for fault in (arguments if isinstance(arguments, list) else [arguments])))
    return _faults(api, {})


def _clear_faults(api: SimulatedApi, arguments: Any) -> Any:
    api.faults.clear()
    return []


def _journal(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    return {
        "entries": [entry.to_json() for entry in api.journal.to(arguments.get("path", ""))],
        "handles_by_month": {month: sorted(users) for month, users in api.journal.handles_by_month().items()},
    }


def _clear_journal(api: SimulatedApi, arguments: Any) -> Any:
    api.journal.clear()
    return {}


def _switches(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    api.engagement.switches = api.engagement.switches.changed(arguments)
    return asdict(api.engagement.switches)


def _x_switches(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    api.x_api.switches = api.x_api.switches.changed(arguments)
    return asdict(api.x_api.switches)


def _billed_reads(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    """Return the reads that X API v2 has billed, and what each app has spent in US dollars."""
    ledger = api.x_api.ledger
    return {
        "reads": [read.to_json() for read in ledger.reads],
        "cost": {app.consumer_key: str(ledger.cost(app)) for app in api.world.apps.values()},
    }


def _tweet(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    """Return what a Tweet says, and its metrics on X API v2."""
    tweet = api.world.tweets.get(arguments["tweet_id"])
    if tweet is None:
        raise ControlError(404, f"Tweet {arguments['tweet_id']} does not exist in this world.")
    content, figures = api.world.contents.of(tweet), api.x_api.figures()
    return {
        **asdict(content),
        "kind": content.kind,
        "versions": tweet.history,
        "public_metrics": figures.public(tweet),
        "non_public_metrics": figures.non_public(tweet),
        "organic_metrics": figures.organic(tweet),
        "promoted_metrics": figures.promoted(tweet),
    }


def _user(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    """Return a user as other people see it."""
    profile = api.world.profiles.find(arguments["user_id"])
    if profile is None:
        raise ControlError(404, f"User {arguments['user_id']} does not exist in this world.")
    audience = api.world.profiles.audience(profile.user_id, api.clock.now())
    return {**asdict(profile), "created": profile.created.isoformat(), **asdict(audience)}


def _world(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    return api.world.to_json()


def _change_world(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    """Change ``{"tweets": {id: {"deleted": true}}, "handles": {user id: {"revoked": true}}, "apps": {key: {…}}}``."""
    changes: dict[str, Callable[..., Any]] = {
        "tweets": api.world.change_tweet,
        "handles": api.world.change_handle,
        "apps": api.world.change_app,
    }
    for kind, change in changes.items():
        for key, changed in arguments.get(kind, {}).items():
            change(key, **changed)
    return {}


def _truth(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    """Return the visible count from ``start`` until ``end``, or the visible total if neither is given."""
    tweet_id, metric = arguments["tweet_id"], arguments["metric"]
    if tweet_id not in api.world.tweets:
        raise ControlError(404, f"Tweet {tweet_id} does not exist in this world.")
    visible = api.engagement.visible_counts()
    edges = [name for name in ("start", "end") if name in arguments]
    if len(edges) == 1:
        raise ControlError(400, f"{'end' if 'start' in edges else 'start'} is missing. Give both or neither.")
    if not edges:
        return {"count": api.world.visible_total(tweet_id, metric, visible)}
    start, end = (_aware_time(arguments[name]) for name in ("start", "end"))
    return {"count": visible.count(api.world.tweets[tweet_id], metric, start, end)}


def _aware_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ControlError(400, f"{text} has no time zone. Use the form 2026-01-10T22:00:00Z.")
    return time


_CLOCK = frozenset(("now", "running", "advance"))
_LIMITS = frozenset(("consumer_key", "requests_per_minute", "requests_per_second", "closed_until", "latency", "x_api"))
_FAULT = frozenset(field.name for field in fields(Fault))
_SWITCHES = frozenset(field.name for field in fields(Switches))
_X_SWITCHES = frozenset(field.name for field in fields(XApiSwitches))

ACTIONS: Mapping[tuple[str, str], ControlAction] = {
    ("POST", "reset"): ControlAction(_reset),
    ("GET", "clock"): ControlAction(_clock),
    ("POST", "clock"): ControlAction(_clock, optional=frozenset(("data", "rate"))),
    ("GET", "limits"): ControlAction(_limits, optional=frozenset(("consumer_key",))),
    ("POST", "limits"): ControlAction(_limits, optional=_LIMITS),
    ("GET", "faults"): ControlAction(_faults),
    ("POST", "faults"): ControlAction(_add_faults, optional=_FAULT, takes_list=True),
    ("DELETE", "faults"): ControlAction(_clear_faults),
    ("GET", "journal"): ControlAction(_journal, optional=frozenset(("path",))),
    ("DELETE", "journal"): ControlAction(_clear_journal),
    ("GET", "switches"): ControlAction(_switches),
    ("POST", "switches"): ControlAction(_switches, optional=_SWITCHES),
    ("GET", "x_switches"): ControlAction(_x_switches),
    ("POST", "x_switches"): ControlAction(_x_switches, optional=_X_SWITCHES),
    ("GET", "billed_reads"): ControlAction(_billed_reads),
    ("GET", "tweet"): ControlAction(_tweet, required=frozenset(("tweet_id",))),
    ("GET", "user"): ControlAction(_user, required=frozenset(("user_id",))),
    ("GET", "world"): ControlAction(_world),
    ("POST", "world"): ControlAction(_change_world, optional=frozenset(("tweets", "handles", "apps"))),
    ("GET", "truth"): ControlAction(
        _truth, optional=frozenset(("start", "end")), required=frozenset(("tweet_id", "metric"))
    ),
}
