"""Read the body of a response within a bound, and decode its JSON strictly."""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow_provider_engagement.exceptions import InvalidResponseError, ResponseTooLargeError
from airflow_provider_engagement.http.redaction import describe_value

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

MEGABYTE: Final = 1_000_000
CHUNK_SIZE: Final = 64 * 1024
"""How many bytes are read at once, and how many are decompressed at once."""

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class ReceivedResponse:
    """A response whose body was read. The ``repr`` has no content, because the request contains secrets.

    :param status: the HTTP status.
    :param headers: the headers; their names are not case-sensitive.
    :param request: the request as it was sent.
    :param sent_at: when the request was sent, in UTC.
    :param size: the bytes of the decompressed body.
    :param body: the decoded JSON, or ``None`` if the body is not JSON.
    :param json_error: why a body that begins like JSON is not JSON.
    """

    status: int
    headers: Mapping[str, str]
    request: PreparedRequest
    sent_at: datetime
    size: int
    body: Any = None
    json_error: str | None = None


def receive(response: Response, *, subject: str, max_megabytes: int) -> ReceivedResponse:
    """Read the body of a response, and decode it.

    :param response: the response, of which only the headers were read.
    :param subject: the name of the request, for errors.
    :param max_megabytes: the largest body to read, in megabytes, compressed and decompressed.
    :raises ResponseTooLargeError: if the body is larger. The rest of it is not read.
    :raises InvalidResponseError: if the body cannot be decompressed.
    """
    sent_at = datetime.now(UTC) - response.elapsed
    content = _read(response, subject, max_megabytes)
    size, begins_like_json = len(content), re.match(rb"\s*[{\[]", content) is not None
    body = json_error = None
    try:
        text = content.decode(json.detect_encoding(content))
        # The text is as large as the content, and the decoded JSON is larger than both.
        del content
        body = decode_json(text)
    except ValueError as error:
        json_error = str(error) if begins_like_json else None
    return ReceivedResponse(
        status=response.status_code,
        headers=response.headers,
        request=response.request,
        sent_at=sent_at,
        size=size,
        body=body,
        json_error=json_error,
    )


def _read(response: Response, subject: str, max_megabytes: int) -> bytearray:
    encoding = response.headers.get("Content-Encoding", "identity").strip()
    if encoding.lower() not in ("gzip", "x-gzip", "identity"):
        # Other encodings can be as strongly compressed, and would each need a bound of their own.
        raise InvalidResponseError(
            f"{subject}: the response has the Content-Encoding {describe_value(encoding)}, but the request allows only "
            "gzip. Check the proxy."
        )

    def within_bound(chunks: Iterable[bytes]) -> Iterator[bytes]:
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > max_megabytes * MEGABYTE:
                raise ResponseTooLargeError(
                    f"{subject}: HTTP {response.status_code} with a body of more than {max_megabytes} MB. Check the "
                    "host and the proxy. If the response is right, increase max_response_megabytes of the connection, "
                    "or request less at once."
                )
            yield chunk

    def arriving() -> Iterator[bytes]:
        # A read that waits for a whole chunk would end only when a slow server has sent one.
        while chunk := response.raw.read1(CHUNK_SIZE, decode_content=False):
            yield chunk

    content = bytearray()
    try:
        chunks = within_bound(arriving())
        for chunk in chunks if encoding.lower() == "identity" else within_bound(_decompressed(chunks)):
            content += chunk
    except zlib.error:
        raise InvalidResponseError(f"{subject}: the response cannot be decompressed.") from None
    return content


def _decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip. However strong the compression is, no chunk of the result is larger than ``CHUNK_SIZE``.

    The HTTP library bounds what it decompresses from urllib3 2.6 on, but the published constraints of Airflow 3.0 pin
    urllib3 2.4.

    :raises zlib.error: if the content is not gzip, or not complete.
    """
    decompressor = None
    for chunk in chunks:
        left = chunk
        while left:
            if decompressor is None or decompressor.eof:
                # Gzip can consist of several members, one after the other (RFC 1952).
                decompressor = zlib.decompressobj(_GZIP_WINDOW)
            yield decompressor.decompress(left, CHUNK_SIZE)
            left = decompressor.unconsumed_tail or decompressor.unused_data
    if decompressor is not None and not decompressor.eof:
        raise zlib.error("incomplete")


def decode_json(text: str) -> Any:
    """Decode JSON more strictly than Python does: no repeated keys, and no ``NaN`` or ``Infinity``.

    :raises ValueError: if the text is not such JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_reject_repeated_keys, parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((repeated, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"a key occurs more than once in an object: {describe_value(repeated)}")
    return found


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
