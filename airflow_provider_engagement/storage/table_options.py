"""The storage options of delta-rs, which contain secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

_SECRET = re.compile("secret|token|account_key|proxy")
"""How the names of options with secrets are recognized."""


class StorageOptions(dict[str, str]):
    """Storage options of delta-rs. Their ``repr`` has no secrets: programs show the variables of a failed function."""

    def __repr__(self) -> str:
        return f"StorageOptions({', '.join(f'{name}=***' for name in self)})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secret options, and what is secret in them alone: a key, a signature or a password."""
        return tuple(part for name, value in self.items() if _SECRET.search(name) for part in _parts(value) if part)


def _parts(value: str) -> Iterator[str]:
    yield value
    if value.startswith("{"):
        yield str(json.loads(value).get("private_key", ""))
    elif "://" in value:
        yield urlsplit(value).password or ""
    else:
        # A shared access signature is a query. Its other fields are words such as the time of its end.
        yield from (text for name, text in parse_qsl(value.lstrip("?")) if name == "sig")
