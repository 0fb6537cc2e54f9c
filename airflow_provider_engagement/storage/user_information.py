"""The user information of a URL: the id of a connection, and never a secret, because paths are shown."""

from __future__ import annotations

import re
from typing import Final

NO_CONNECTION: Final = (
    "its URL has more than the id of a connection before the @, or a port that is no number, which can be a secret"
)
"""What is wrong with such a path, for errors, which must not quote it."""

USE_CONNECTION: Final = (
    "Keep secrets in an Airflow connection, and put its id before the @: s3://conn_id@bucket/folder."
)
"""What to do instead."""

_CONNECTION_ID = re.compile(r"[\w#!().-]{1,250}", re.ASCII)
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:"
_CHAIN = re.compile(rf"::(?={_SCHEME})")
_AUTHORITY = re.compile(rf"{_SCHEME}//([^/]*)")
_AUTHORITY_WITHOUT_SLASHES = re.compile(rf"{_SCHEME}/?([^/:][^/]*@[^/]*)")
"""A mistyped URL, which a storage takes for a relative path."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]*\]|[^:]*)(:[0-9]{1,5})?")


def holds_secret(path: str) -> bool:
    """Return whether the URLs in a path have user information that is not just the id of a connection.

    :param path: a path or URL, or several URLs that are chained with ``::``.
    """
    for url in _CHAIN.split(path):
        found = _AUTHORITY.match(url) or _AUTHORITY_WITHOUT_SLASHES.match(url)
        if found is None:
            continue
        user, at, host = found[1].rpartition("@")
        if at and not _CONNECTION_ID.fullmatch(user):
            return True
        # A secret that contains a slash ends the authority, so what is left of it looks like a port.
        if not _HOST.fullmatch(host):
            return True
    return False


def without_user(path: str) -> str:
    """Return a path or URL without its user information. Of a URL with a secret, only the scheme and the end are left.

    :param path: a path or URL.
    """
    if holds_secret(path):
        scheme, tail = path.partition(":")[0], path.rpartition("@")[2]
        return f"{scheme}://{tail}" if "@" in path else f"{scheme}://…"
    scheme, separator, rest = path.partition("://")
    if not separator:
        return path
    host, slash, tail = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{tail}"
