"""What the tests of a client share."""

from __future__ import annotations

from ..engagement_client import connect, historical, internet, make_client, on_the_wire, totals, wire, world

__all__ = ["connect", "historical", "internet", "make_client", "on_the_wire", "totals", "wire", "world"]
