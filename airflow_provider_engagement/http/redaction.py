"""Keep secrets out of texts, and make the texts of servers and libraries fit to be shown."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote

from airflow_provider_engagement.exceptions import InvalidConnectionError

MASK: Final = "***"

LONGEST_TEXT: Final = 500
"""How many characters of a server's or a library's text are shown."""

LONGEST_READ: Final = 50_000
"""How many characters of a text are searched for secrets. The rest is left out, and so is what may be half a secret."""

LONGEST_SECRET: Final = 4_000
"""How many characters a secret can have. Servers refuse much longer headers."""

LONGEST_FORM: Final = 5 * LONGEST_SECRET
"""How many characters a secret has at most, however it is escaped: a slash becomes ``%252F``."""

MOST_TEXTS: Final = 10
"""How many texts of one response are shown."""

SHORTEST_LINE: Final = 8
"""Shorter lines of a secret with several lines are not masked on their own."""

_COLOR: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""What colors a text on a terminal."""

_CREDENTIALS: Final = re.compile(r"\b(Basic|Bearer)(\s+|%20|\+)[\w.~+/%=-]{16,}", re.IGNORECASE)
"""The value of a header that another program has made from a secret."""

_WHITESPACE: Final = r"(?:\s|\\{1,4}[nrt]|%(?:25)?(?:20|09|0A|0D))+"
"""Spaces and line breaks, as they are or escaped."""

_ESCAPES: Final[Sequence[Callable[[str], str]]] = (
    str,
    unquote,
    quote,
    quote_plus,
    html.escape,
    lambda text: quote(text, safe=""),
    lambda text: ascii(text)[1:-1],
    lambda text: repr(text)[1:-1],
    # The literal of a text that has both quotes, and a text in a query of PostgreSQL or in its settings.
    lambda text: text.replace("\\", "\\\\").replace("'", "\\'"),
    lambda text: text.replace("'", "''"),
    lambda text: repr(text.encode(errors="replace"))[2:-1],
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
)
"""The ways in which programs write a text into another one."""


def problem_with_secret(secret: object) -> str | None:
    """Return why a value cannot be a secret, without the value, or ``None`` if it can.

    A secret becomes part of a header. A library that refuses the header would quote it in its error.

    :param secret: the value, without spaces around it.
    """
    if not isinstance(secret, str):
        return f"is not a text but of the type {type(secret).__name__}"
    if any(line in secret for line in "\r\n"):
        return "contains a line break"
    if not secret.isascii():
        return "contains a character that is not ASCII"
    if not secret.isprintable():
        return "contains a control character"
    if len(secret) > LONGEST_SECRET:
        return f"has more than {LONGEST_SECRET:,} characters"
    return None


def check_secret(name: str, secret: object) -> None:
    """Refuse a secret that cannot be part of a header.

    :param name: the field, for the error.
    :param secret: its value, without spaces around it.
    :raises InvalidConnectionError: if it cannot. The error does not contain the value.
    """
    if problem := problem_with_secret(secret):
        raise InvalidConnectionError(f"{name} {problem}. Copy the value again.")


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return a text with ``***`` in place of each secret, however the secret is quoted, escaped or wrapped.

    :param text: any text.
    :param secrets: the secrets. An empty one is ignored.
    """
    forms = {form for secret in secrets for form in _forms(secret) if form.strip()}
    for form in sorted(forms, key=len, reverse=True):
        # Programs that print a text in columns or on one line change the whitespace in it, and may escape it then.
        wrapped = _WHITESPACE.join(map(re.escape, form.split()))
        text = re.sub(wrapped, MASK, text, flags=re.IGNORECASE)
    return text


def presentable(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text of another program on one line of bounded length, without secrets and control characters.

    :param text: the text.
    :param secrets: the secrets that it may contain.
    """
    # Half a secret is not recognized, so the text is shortened last, and a long text loses what may be such a half.
    masked = redact(_COLOR.sub("", text[:LONGEST_READ]), secrets)
    masked = _CREDENTIALS.sub(rf"\1 {MASK}", masked)
    masked = masked[:-LONGEST_FORM] if len(text) > LONGEST_READ else masked
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in masked).split())
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}..."


def presentable_texts(texts: Sequence[str], secrets: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the first texts of a response as :func:`presentable` does, and how many more there are."""
    given = tuple(secrets)
    shown = tuple(presentable(text, given) for text in texts[:MOST_TEXTS])
    return shown if len(texts) <= MOST_TEXTS else (*shown, f"(and {len(texts) - MOST_TEXTS:,} more)")


def describe_value(value: Any) -> str:
    """Return a value for an error message. A long value is not shortened: half a secret would not be redacted."""
    try:
        text = repr(value)
    except RecursionError:
        return "a value that is nested too deeply"
    return text if len(text) <= 50 else f"a value of {len(text)} characters"


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as programs write it, escaped up to twice, and its lines if it has several."""
    lines = [line.strip() for line in secret.splitlines()]
    parts = [line for line in lines if len(line) >= SHORTEST_LINE] if len(lines) > 1 else []
    for part in (secret, secret.strip(), *parts):
        for once in {escape(part) for escape in _ESCAPES}:
            yield from {escape(once) for escape in _ESCAPES}
