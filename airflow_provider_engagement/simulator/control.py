"""The control plane: lets other processes inspect and change a running simulator, as JSON over HTTP."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

from airflow_provider_engagement.simulator.control_actions import ACTIONS
from airflow_provider_engagement.simulator.control_arguments import ControlError
from airflow_provider_engagement.simulator.http_messages import JSON_TYPE, HttpRequest, HttpResponse
from airflow_provider_engagement.simulator.json_values import decode
from airflow_provider_engagement.simulator.simulated_api import SimulatedApi
from airflow_provider_engagement.simulator.tokens import TOKEN_PATH

CONTROL_PATH = "/__simulator__/"

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?", re.IGNORECASE)
"""The names of this machine for itself. Another name in ``Host`` is that of a page that a browser shows."""

_UNEXPECTED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


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
            raise ControlError(400, f"{', '.join(repeated)}: given more than once in the URL. Give it once.")
        query = {name: found[0] for name, found in values.items()}
        arguments = decode(request.body) if request.body else {}
        action = ACTIONS.get((request.method, subject))
        if action is None:
            known = ", ".join(f"{verb} {CONTROL_PATH}{name}" for verb, name in sorted(ACTIONS))
            raise ControlError(404, f"{request.method} {request.path} does not exist. Choose one of {known}.")
        status, content = 200, action.run(api, action.check(query, arguments))
        if subject == "world" and request.method == "GET":
            base_url = request.base_url
            content = {"base_url": base_url, "token_url": base_url + TOKEN_PATH, **content}
    except ControlError as problem:
        status, content = problem.status, {"error": str(problem)}
    except _UNEXPECTED as problem:
        status, content = 400, {"error": f"{type(problem).__name__}: {problem}"}
    return HttpResponse(status=status, headers={"Content-Type": JSON_TYPE}, body=json.dumps(content).encode())


def _check_sender(request: HttpRequest) -> None:
    """Reject requests that a page in a browser sends, whose user does not know of them.

    A page can send a request to this machine, or give its own host name the address of this machine.
    """
    if request.problem is not None:
        raise ControlError(request.problem.status, str(request.problem.errors[0]))
    host = request.headers.get("host", "")
    if not _LOOPBACK.fullmatch(host):
        raise ControlError(403, "Host: not a name of this machine for itself. Call 127.0.0.1 or localhost.")
    own_page = request.headers.get("origin", f"http://{host}").lower() == f"http://{host}".lower()
    if not own_page or request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise ControlError(403, "Origin: a page of another site sent this request.")
    if request.body and request.media_type != JSON_TYPE:
        raise ControlError(415, f"Content-Type: not JSON. Send {JSON_TYPE}.")
