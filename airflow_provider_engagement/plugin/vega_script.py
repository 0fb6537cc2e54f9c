"""The JavaScript that draws plots in the browser: Vega, as ``vl-convert-python`` contains it."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

_PROGRAM = "import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle().encode())"

TIMEOUT = 120


@cache
def vega_script() -> bytes:
    """Return the script, which defines ``vegaEmbed``.

    Another process makes it, because that takes 130 MB of memory, and the API server runs for a long time.

    :raises OSError: if it cannot be made.
    """
    completed = subprocess.run(  # noqa: S603 - the program is the constant above
        [sys.executable, "-c", _PROGRAM], capture_output=True, timeout=TIMEOUT, check=False
    )
    if completed.returncode:
        raise OSError(f"vl-convert-python failed: {completed.stderr.decode(errors='replace')[-500:]}")
    return completed.stdout
