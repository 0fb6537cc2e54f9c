"""Traces of a pull, through OpenTelemetry. They do nothing unless it is configured.

The spans ``engagement.fetch`` and ``engagement.assemble`` are children of the task's span.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace

_tracer = trace.get_tracer(__name__)


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[None]:
    """Open a span around a block.

    :param name: the name of the span, without the prefix ``engagement.``.
    :param attributes: attributes of the span, without the prefix.
    """
    prefixed = {f"engagement.{key}": value for key, value in attributes.items()}
    with _tracer.start_as_current_span(f"engagement.{name}", attributes=prefixed):
        yield
