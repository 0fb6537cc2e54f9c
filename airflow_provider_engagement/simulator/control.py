"""The control plane: what another process can see and change of a running simulator, as JSON over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.counts import hours_since_1970
from airflow_provider_engagement.simulator.faults import Fault
from airflow_provider_engagement.simulator.service import TOKEN_PATH, Reply, Service

CONTROL_PATH = "/__simulator__/"


class _Wrong(Exception):
    """A request to the control plane that cannot be fulfilled."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def control(service: Service, method: str, target: str, body: bytes, base_url: str) -> Reply:
    """Answer a request to the control plane.

    :param target: path and query.
    :param base_url: the simulator's address.
    """
    split = urlsplit(target)
    subject = split.path.removeprefix(CONTROL_PATH).strip("/")
    query = {name: values[0] for name, values in parse_qs(split.query).items()}
    try:
        given = json.loads(body) if body else {}
        action = _ACTIONS.get((method, subject))
        if action is None:
            known = ", ".join(f"{verb} {CONTROL_PATH}{name}" for verb, name in sorted(_ACTIONS))
            raise _Wrong(404, f"there is no {method} {split.path}; there are {known}")
        status, answer = 200, action(service, {**query, **given} if isinstance(given, dict) else given)
        if subject == "world" and method == "GET":
            answer = {"base_url": base_url, "token_url": base_url + TOKEN_PATH, **answer}
    except _Wrong as wrong:
        status, answer = wrong.status, {"error": str(wrong)}
    except (KeyError, TypeError, ValueError) as problem:
        status, answer = 400, {"error": f"{type(problem).__name__}: {problem}"}
    return Reply(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(answer).encode())


def _reset(service: Service, given: Mapping[str, Any]) -> Any:
    service.reset()
    return {}


def _clock(service: Service, given: Mapping[str, Any]) -> Any:
    """Take ``{"data": …, "rate": …}``, each with ``now``, ``running`` and ``advance`` (seconds) as needed."""
    for name, clock in (("data", service.clock), ("rate", service.rate_clock)):
        _set_clock(clock, given.get(name, {}))
    return {"data": service.clock.now().isoformat(), "rate": service.rate_clock.now().isoformat()}


def _set_clock(clock: Clock, given: Mapping[str, Any]) -> None:
    if "now" in given:
        clock.set(_instant(given["now"]), running=bool(given.get("running", False)))
    if "advance" in given:
        clock.advance(timedelta(seconds=given["advance"]))


def _limits(service: Service, given: Mapping[str, Any]) -> Any:
    apps = service.world.apps
    key = given.get("consumer_key")
    app = service.world.app if key is None else apps[key]
    service.budgets.set_limit(
        app, per_minute=given.get("requests_per_minute"), per_second=given.get("requests_per_second")
    )
    if "closed_until" in given:
        service.budgets.close(None if given["closed_until"] is None else _instant(given["closed_until"]))
    if "latency" in given:
        service.latency = float(given["latency"])
    per_minute, per_second = service.budgets.limit(app)
    return {
        "consumer_key": app.consumer_key,
        "requests_per_minute": per_minute,
        "requests_per_second": per_second,
        "latency": service.latency,
    }


def _faults(service: Service, given: Any) -> Any:
    return [fault.to_json() for fault in service.faults.pending()]


def _add_faults(service: Service, given: Any) -> Any:
    service.faults.add(*(Fault(**fault) for fault in (given if isinstance(given, list) else [given])))
    return _faults(service, {})


def _clear_faults(service: Service, given: Any) -> Any:
    service.faults.clear()
    return []


def _journal(service: Service, given: Mapping[str, Any]) -> Any:
    return {
        "entries": [entry.to_json() for entry in service.journal.to(given.get("path", ""))],
        "handles_by_month": {month: sorted(users) for month, users in service.journal.handles_by_month().items()},
    }


def _clear_journal(service: Service, given: Any) -> Any:
    service.journal.clear()
    return {}


def _switches(service: Service, given: Mapping[str, Any]) -> Any:
    service.switches = service.switches.changed(given)
    return asdict(service.switches)


def _world(service: Service, given: Mapping[str, Any]) -> Any:
    return service.world.to_json()


def _change_world(service: Service, given: Mapping[str, Any]) -> Any:
    """Take ``{"tweets": {id: {"deleted": true}}, "handles": {user id: {"revoked": true}}, "apps": {key: {…}}}``."""
    changes: dict[str, Callable[..., Any]] = {
        "tweets": service.world.change_tweet,
        "handles": service.world.change_handle,
        "apps": service.world.change_app,
    }
    unknown = sorted(set(given) - set(changes))
    if unknown:
        raise _Wrong(400, f"a world has no {', '.join(unknown)}; it has {', '.join(changes)}")
    for kind, change in changes.items():
        for key, fields in given.get(kind, {}).items():
            change(key, **fields)
    return {}


def _truth(service: Service, given: Mapping[str, Any]) -> Any:
    """Return the count between ``start`` and ``end`` as it is seen now; without them, the running total."""
    tweet_id, metric = given["tweet_id"], given["metric"]
    if tweet_id not in service.world.tweets:
        raise _Wrong(404, f"there is no Tweet {tweet_id} in this world")
    sight = service.sight()
    if "start" not in given and "end" not in given:
        return {"count": service.world.seen_total(tweet_id, metric, sight)}
    edges = [hours_since_1970(_instant(given[name])) for name in ("start", "end")]
    before, after = sight.cumulative(service.world.tweets[tweet_id], [metric], edges)[metric]
    return {"count": after - before}


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise _Wrong(400, f"{text} has no time zone; write it like 2026-01-10T22:00:00Z")
    return moment


_ACTIONS: Mapping[tuple[str, str], Callable[[Service, Any], Any]] = {
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
