"""The control plane: lets other processes inspect and change a running simulator, as JSON over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.faults import Fault
from airflow_provider_engagement.simulator.http_messages import JSON_TYPE, HttpRequest, HttpResponse
from airflow_provider_engagement.simulator.json_values import decode
from airflow_provider_engagement.simulator.simulated_api import SimulatedApi
from airflow_provider_engagement.simulator.tokens import TOKEN_PATH

CONTROL_PATH = "/__simulator__/"

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?", re.IGNORECASE)
"""The names of this machine for itself. Another name in ``Host`` is that of a page that a browser shows."""

MAX_LATENCY = 3600

_UNEXPECTED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class _ControlError(Exception):
    """An invalid request to the control plane."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def control(api: SimulatedApi, request: HttpRequest) -> HttpResponse:
    """Return the response to a request to the control plane.

    :param api: the simulated API to inspect or change.
    :param request: the request. Its body is JSON or empty.
    """
    url = urlsplit(request.target)
    subject = request.path.removeprefix(CONTROL_PATH).strip("/")
    try:
        _check_sender(request)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        arguments = decode(request.body) if request.body else {}
        action = _ACTIONS.get((request.method, subject))
        if action is None:
            known = ", ".join(f"{verb} {CONTROL_PATH}{name}" for verb, name in sorted(_ACTIONS))
            raise _ControlError(404, f"{request.method} {request.path} does not exist. Choose one of {known}.")
        status, content = 200, action(api, {**query, **arguments} if isinstance(arguments, dict) else arguments)
        if subject == "world" and request.method == "GET":
            base_url = request.base_url
            content = {"base_url": base_url, "token_url": base_url + TOKEN_PATH, **content}
    except _ControlError as problem:
        status, content = problem.status, {"error": str(problem)}
    except _UNEXPECTED as problem:
        status, content = 400, {"error": f"{type(problem).__name__}: {problem}"}
    return HttpResponse(status=status, headers={"Content-Type": JSON_TYPE}, body=json.dumps(content).encode())


def _check_sender(request: HttpRequest) -> None:
    """Reject requests that a page in a browser sends, whose user does not know of them.

    A page can send a request to this machine, or give its own host name the address of this machine.
    """
    if request.problem is not None:
        raise _ControlError(request.problem.status, str(request.problem.errors[0]))
    host = request.headers.get("host", "")
    if not _LOOPBACK.fullmatch(host):
        raise _ControlError(403, "Host: not a name of this machine for itself. Call 127.0.0.1 or localhost.")
    own_page = request.headers.get("origin", f"http://{host}").lower() == f"http://{host}".lower()
    if not own_page or request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise _ControlError(403, "Origin: a page of another site sent this request.")
    if request.body and request.media_type != JSON_TYPE:
        raise _ControlError(415, f"Content-Type: not JSON. Send {JSON_TYPE}.")


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
        latency = float(arguments["latency"])
        if not 0 <= latency <= MAX_LATENCY:
            raise ValueError(f"latency: {latency} is out of range. Give 0 to {MAX_LATENCY} seconds.")
        api.latency = latency
    for endpoint, limits in arguments.get("x_api", {}).items():
        for scope, requests in limits.items():
            api.x_api.windows.set_limit(endpoint, scope, requests)
    per_minute, per_second = api.quotas.limit(app)
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
    api.switches = api.switches.changed(arguments)
    return asdict(api.switches)


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
        raise _ControlError(404, f"Tweet {arguments['tweet_id']} does not exist in this world.")
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
        raise _ControlError(404, f"User {arguments['user_id']} does not exist in this world.")
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
    ("GET", "x_switches"): _x_switches,
    ("POST", "x_switches"): _x_switches,
    ("GET", "billed_reads"): _billed_reads,
    ("GET", "tweet"): _tweet,
    ("GET", "user"): _user,
    ("GET", "world"): _world,
    ("POST", "world"): _change_world,
    ("GET", "truth"): _truth,
}
