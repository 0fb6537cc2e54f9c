"""HTTP requests and responses, apart from the sockets that carry them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """A request as the server received it.

    :param method: the HTTP method.
    :param url: the URL the client called.
    :param headers: the headers, with lower-case names.
    :param body: the body.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, without the query."""
        return urlsplit(self.url).path

    @property
    def accepts_gzip(self) -> bool:
        """Whether the client accepts a compressed response."""
        offers = (offer.strip().lower() for offer in self.headers.get("accept-encoding", "").split(","))
        return any(offer.split(";")[0].strip() in ("gzip", "*") and not offer.endswith("q=0") for offer in offers)


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
