"""Keep the settings that PostgreSQL's client library finds in the environment of the worker out of a load."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_PREFIX = "PG"
"""How the names of all variables of the library begin, such as ``PGHOSTADDR``."""

_NO_FILE = "/dev/null/none"
"""A path that cannot exist. Without it, the library reads a file of the home folder."""

_FILES = ("PGPASSFILE", "PGSSLCERT", "PGSSLKEY")
"""The variables that name files with passwords and identities."""


@contextmanager
def without_client_settings() -> Iterator[None]:
    """Hide the settings of the library, and the passwords and identities in the home folder, while the block runs.

    ``PGHOSTADDR`` and ``PGSERVICE`` would send the password of a connection to another server.
    """
    hidden = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    for name in hidden:
        del os.environ[name]
    os.environ.update(dict.fromkeys(_FILES, _NO_FILE))
    try:
        yield
    finally:
        for name in _FILES:
            os.environ.pop(name, None)
        os.environ.update(hidden)
