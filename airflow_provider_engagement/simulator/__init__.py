"""A stand-in for the Engagement API on loopback, for tests, demonstrations and your own continuous integration.

It was written from the API's documentation without a look at this package's client, so that a misreading of the one
is found by the other.
"""

from __future__ import annotations

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.connections import connection, description
from airflow_provider_engagement.simulator.counts import ExplicitCounts, SeededCounts, Tweet
from airflow_provider_engagement.simulator.faults import Fault, Faults
from airflow_provider_engagement.simulator.journal import Entry, Journal
from airflow_provider_engagement.simulator.server import Simulator
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.world import DEFAULT_APP, App, Handle, World

__all__ = [
    "DEFAULT_APP",
    "App",
    "Clock",
    "Entry",
    "ExplicitCounts",
    "Fault",
    "Faults",
    "Handle",
    "Journal",
    "SeededCounts",
    "Simulator",
    "Switches",
    "Tweet",
    "World",
    "connection",
    "description",
]
