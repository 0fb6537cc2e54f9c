"""The control plane: lets other processes inspect and change a running simulator, as JSON over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.faults import Fault
from airflow_provider_engagement.simulator.http_messages import HttpResponse
from airflow_provider_engagement.simulator.simulated_api import SimulatedApi
from airflow_provider_engagement.simulator.tokens import TOKEN_PATH

CONTROL_PATH = "/__simulator__/"


class _ControlError(Exception):
    """An invalid request to the control plane."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def control(api: SimulatedApi, method: str, target: str, body: bytes, base_url: str) -> HttpResponse:
    """Return the response to a request to the control plane.

    :param api: the simulated API to inspect or change.
    :param method: the HTTP method.
    :param target: path and query.
    :param body: the body, JSON or empty.
    :param base_url: the address of the simulator.
    """
    url = urlsplit(target)
    subject = url.path.removeprefix(CONTROL_PATH).strip("/")
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    try:
        arguments = json.loads(body) if body else {}
        action = _ACTIONS.get((method, subject))
        if action is None:
            known = ", ".join(f"{verb} {CONTROL_PATH}{name}" for verb, name in sorted(_ACTIONS))
            raise _ControlError(404, f"{method} {url.path} does not exist. Choose one of {known}.")
        status, content = 200, action(api, {**query, **arguments} if isinstance(arguments, dict) else arguments)
        if subject == "world" and method == "GET":
            content = {"base_url": base_url, "token_url": base_url + TOKEN_PATH, **content}
    except _ControlError as problem:
        status, content = problem.status, {"error": str(problem)}
    except (KeyError, TypeError, ValueError) as problem:
        status, content = 400, {"error": f"{type(problem).__name__}: {problem}"}
    return HttpResponse(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(content).encode())


def _reset(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    api.reset()
    return {}


def _clock(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    """Set ``data`` and ``rate``, each with ``now``, ``running`` and ``advance`` (seconds), all optional."""
    for name, clock in (("data", api.clock), ("rate", api.rate_clock)):
        _set_clock(clock, arguments.get(name, {}))
    return {"data": api.clock.now().isoformat(), "rate": api.rate_clock.now().isoformat()}


def _set_clock(clock: Clock, arguments: Mapping[str, Any]) -> None:
    if "now" in arguments:
        clock.set(_aware_time(arguments["now"]), running=bool(arguments.get("running", False)))
    if "advance" in arguments:
        clock.advance(timedelta(seconds=arguments["advance"]))


def _limits(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    key = arguments.get("consumer_key")
    app = api.world.app if key is None else api.world.apps[key]
    api.quotas.set_limit(
        app, per_minute=arguments.get("requests_per_minute"), per_second=arguments.get("requests_per_second")
    )
    if "closed_until" in arguments:
        api.quotas.close(None if arguments["closed_until"] is None else _aware_time(arguments["closed_until"]))
    if "latency" in arguments:
        api.latency = float(arguments["latency"])
    per_minute, per_second = api.quotas.limit(app)
    return {
        "consumer_key": app.consumer_key,
        "requests_per_minute": per_minute,
        "requests_per_second": per_second,
        "latency": api.latency,
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
    api.switches = api.switches.changed(arguments)
    return asdict(api.switches)


def _world(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    return api.world.to_json()


def _change_world(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    """Change ``{"tweets": {id: {"deleted": true}}, "handles": {user id: {"revoked": true}}, "apps": {key: {…}}}``."""
    changes: dict[str, Callable[..., Any]] = {
        "tweets": api.world.change_tweet,
        "handles": api.world.change_handle,
        "apps": api.world.change_app,
    }
    unknown = sorted(set(arguments) - set(changes))
    if unknown:
        raise _ControlError(400, f"A world has no {', '.join(unknown)}. Choose from {', '.join(changes)}.")
    for kind, change in changes.items():
        for key, fields in arguments.get(kind, {}).items():
            change(key, **fields)
    return {}


def _truth(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    """Return the visible count from ``start`` until ``end``, or the visible total if neither is given."""
    tweet_id, metric = arguments["tweet_id"], arguments["metric"]
    if tweet_id not in api.world.tweets:
        raise _ControlError(404, f"Tweet {tweet_id} does not exist in this world.")
    visible = api.visible_counts()
    if "start" not in arguments and "end" not in arguments:
        return {"count": api.world.visible_total(tweet_id, metric, visible)}
    start, end = (_aware_time(arguments[name]) for name in ("start", "end"))
    return {"count": visible.count(api.world.tweets[tweet_id], metric, start, end)}


def _aware_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise _ControlError(400, f"{text} has no time zone. Use the form 2026-01-10T22:00:00Z.")
    return time


_ACTIONS: Mapping[tuple[str, str], Callable[[SimulatedApi, Any], Any]] = {
    ("POST", "reset"): _reset,
    ("GET", "clock"): _clock,
    ("POST", "clock"): _clock,
    ("GET", "limits"): _limits,
    ("POST", "limits"): _limits,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "journal"): _journal,
    ("DELETE", "journal"): _clear_journal,
    ("GET", "switches"): _switches,
    ("POST", "switches"): _switches,
    ("GET", "world"): _world,
    ("POST", "world"): _change_world,
    ("GET", "truth"): _truth,
}
