"""HTTP requests and responses, apart from the sockets that carry them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from airflow_provider_engagement.simulator.errors import RejectedRequest

JSON_TYPE = "application/json"

_ZERO_WEIGHT = re.compile(r"q=0(\.0{0,3})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """A request as the server received it.

    :param method: the HTTP method.
    :param target: the path and the query.
    :param base_url: the address that the client called, as its ``Host`` header shows it.
    :param headers: the headers, with lower-case names. Several of a name are joined with commas.
    :param body: the body.
    :param problem: why the request cannot be read.
    """

    method: str
    target: str
    base_url: str
    headers: Mapping[str, str]
    body: bytes = b""
    problem: RejectedRequest | None = None

    @property
    def url(self) -> str:
        """The URL that the client called."""
        return self.base_url + self.target

    @property
    def path(self) -> str:
        """The path, without the query."""
        return re.split(r"[?#]", self.target, maxsplit=1)[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """The decoded parameters of the query, in order. A name can occur several times."""
        return parse_qsl(self.target.partition("#")[0].partition("?")[2], keep_blank_values=True)

    @property
    def media_type(self) -> str:
        """The type of the body, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def accepts_gzip(self) -> bool:
        """Whether the client accepts a compressed response."""
        offers: dict[str, bool] = {}
        for offer in self.headers.get("accept-encoding", "").lower().split(","):
            name, *parameters = (part.strip() for part in offer.split(";"))
            offers[name] = not any(_ZERO_WEIGHT.fullmatch(parameter.replace(" ", "")) for parameter in parameters)
        return next((offers[name] for name in ("gzip", "x-gzip", "*") if name in offers), False)


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpResponse:
    """A response as the server sends it.

    :param status: the HTTP status.
    :param headers: all headers except ``Content-Length``.
    :param body: the body, compressed if the headers say so.
    :param delay: seconds to wait before sending.
    :param drop: where to end the connection early: ``before_headers`` or ``after_headers``.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    delay: float = 0.0
    drop: str | None = None
