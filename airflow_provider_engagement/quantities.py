"""Numbers of things in words, as logs, errors and reports name them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in the right form: ``1 request``, ``0 requests``, ``1,500 requests``.

    :param number: how many there are.
    :param noun: what one of them is called. It takes an *s* in the plural.
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
