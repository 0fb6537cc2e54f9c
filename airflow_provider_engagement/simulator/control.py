"""The control plane: lets other processes inspect and change a running simulator, as JSON over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.faults import Fault
from airflow_provider_engagement.simulator.http_messages import JSON_TYPE, HttpRequest, HttpResponse
from airflow_provider_engagement.simulator.json_values import decode
from airflow_provider_engagement.simulator.simulated_api import SimulatedApi
from airflow_provider_engagement.simulator.switches import Switches
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
        values = parse_qs(url.query, keep_blank_values=True)
        if repeated := sorted(name for name, found in values.items() if len(found) > 1):
            raise _ControlError(400, f"{', '.join(repeated)}: given more than once in the URL. Give it once.")
        query = {name: found[0] for name, found in values.items()}
        arguments = decode(request.body) if request.body else {}
        action = _ACTIONS.get((request.method, subject))
        if action is None:
            known = ", ".join(f"{verb} {CONTROL_PATH}{name}" for verb, name in sorted(_ACTIONS))
            raise _ControlError(404, f"{request.method} {request.path} does not exist. Choose one of {known}.")
        status, content = 200, action.run(api, action.check(query, arguments))
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
    clocks = {"data": api.clock, "rate": api.rate_clock}
    changes = {name: _checked(name, arguments.get(name, {}), _CLOCK) for name in clocks}
    for name, clock in clocks.items():
        _set_clock(clock, changes[name])
    return {"data": api.clock.now().isoformat(), "rate": api.rate_clock.now().isoformat()}


def _set_clock(clock: Clock, arguments: Mapping[str, Any]) -> None:
    running = arguments.get("running", False)
    if not isinstance(running, bool):
        raise _ControlError(400, f"running: {running!r} is neither true nor false.")
    if "running" in arguments and "now" not in arguments:
        raise _ControlError(400, "now is missing. A clock starts or stops at a time: give both.")
    if "now" in arguments:
        clock.set(_aware_time(arguments["now"]), running=running)
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
    for kind, change in changes.items():
        for key, changed in arguments.get(kind, {}).items():
            change(key, **changed)
    return {}


def _truth(api: SimulatedApi, arguments: Mapping[str, Any]) -> Any:
    """Return the visible count from ``start`` until ``end``, or the visible total if neither is given."""
    tweet_id, metric = arguments["tweet_id"], arguments["metric"]
    if tweet_id not in api.world.tweets:
        raise _ControlError(404, f"Tweet {tweet_id} does not exist in this world.")
    visible = api.visible_counts()
    edges = [name for name in ("start", "end") if name in arguments]
    if len(edges) == 1:
        raise _ControlError(400, f"{'end' if 'start' in edges else 'start'} is missing. Give both or neither.")
    if not edges:
        return {"count": api.world.visible_total(tweet_id, metric, visible)}
    start, end = (_aware_time(arguments[name]) for name in ("start", "end"))
    return {"count": visible.count(api.world.tweets[tweet_id], metric, start, end)}


def _aware_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise _ControlError(400, f"{text} has no time zone. Use the form 2026-01-10T22:00:00Z.")
    return time


@dataclass(frozen=True, slots=True)
class _Action:
    """What a method and a path of the control plane do.

    :param run: does it, given the arguments.
    :param optional: the arguments that it can have.
    :param required: the arguments that it must have.
    :param takes_list: whether the body can be a list of objects with these arguments.
    """

    run: Callable[[SimulatedApi, Any], Any]
    optional: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    takes_list: bool = False

    def check(self, query: Mapping[str, str], body: Any) -> Any:
        """Return the arguments of a request.

        :param query: the arguments in the URL.
        :param body: the decoded body.
        :raises _ControlError: if an argument is unknown, given twice or missing.
        """
        if self.takes_list and isinstance(body, list):
            # Every object is checked before the first one has an effect.
            return [self.check(query, one) for one in body]
        checked = _checked("The body", body, self.optional | self.required)
        if twice := sorted(checked.keys() & query.keys()):
            raise _ControlError(400, f"{', '.join(twice)}: given in the URL and in the body. Give it once.")
        arguments = {**_checked("The URL", query, self.optional | self.required), **checked}
        if missing := sorted(self.required - arguments.keys()):
            raise _ControlError(400, f"{', '.join(missing)} is missing.")
        return arguments


def _checked(subject: str, found: Any, known: frozenset[str]) -> Mapping[str, Any]:
    """Return an object, if it has no other keys than the known ones."""
    if not isinstance(found, Mapping):
        raise _ControlError(400, f"{subject}: not an object.")
    if unknown := sorted(set(found) - known):
        choice = f"Choose from {', '.join(sorted(known))}." if known else "It takes none."
        raise _ControlError(400, f"{subject} has no {', '.join(unknown)[:200]}. {choice}")
    return found


_CLOCK = frozenset(("now", "running", "advance"))
_LIMITS = frozenset(("consumer_key", "requests_per_minute", "requests_per_second", "closed_until", "latency"))
_FAULT = frozenset(field.name for field in fields(Fault))
_SWITCHES = frozenset(field.name for field in fields(Switches))

_ACTIONS: Mapping[tuple[str, str], _Action] = {
    ("POST", "reset"): _Action(_reset),
    ("GET", "clock"): _Action(_clock),
    ("POST", "clock"): _Action(_clock, optional=frozenset(("data", "rate"))),
    ("GET", "limits"): _Action(_limits, optional=frozenset(("consumer_key",))),
    ("POST", "limits"): _Action(_limits, optional=_LIMITS),
    ("GET", "faults"): _Action(_faults),
    ("POST", "faults"): _Action(_add_faults, optional=_FAULT, takes_list=True),
    ("DELETE", "faults"): _Action(_clear_faults),
    ("GET", "journal"): _Action(_journal, optional=frozenset(("path",))),
    ("DELETE", "journal"): _Action(_clear_journal),
    ("GET", "switches"): _Action(_switches),
    ("POST", "switches"): _Action(_switches, optional=_SWITCHES),
    ("GET", "world"): _Action(_world),
    ("POST", "world"): _Action(_change_world, optional=frozenset(("tweets", "handles", "apps"))),
    ("GET", "truth"): _Action(_truth, optional=frozenset(("start", "end")), required=frozenset(("tweet_id", "metric"))),
}
