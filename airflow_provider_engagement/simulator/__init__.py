"""A simulator of the Engagement API and X API v2 on loopback, for tests, demonstrations and continuous integration.

It was written from the API's documentation. With this package's client it shares only facts: the names and limits of
the API, and the layout of a Tweet id. A misreading of a rule in one of them therefore shows up as a failing test.
"""

from __future__ import annotations

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.connections import connection, description
from airflow_provider_engagement.simulator.counts import ExplicitCounts, SeededCounts
from airflow_provider_engagement.simulator.entities import DEFAULT_APP, App, Handle, Reference, Tweet
from airflow_provider_engagement.simulator.faults import Fault, Faults
from airflow_provider_engagement.simulator.journal import Entry, Journal
from airflow_provider_engagement.simulator.server import Simulator
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.tweet_contents import ContentShares
from airflow_provider_engagement.simulator.world import World
from airflow_provider_engagement.simulator.x_api.billed_reads import BilledRead, Ledger
from airflow_provider_engagement.simulator.x_api.x_switches import XApiSwitches

__all__ = [
    "DEFAULT_APP",
    "App",
    "BilledRead",
    "Clock",
    "ContentShares",
    "Entry",
    "ExplicitCounts",
    "Fault",
    "Faults",
    "Handle",
    "Journal",
    "Ledger",
    "Reference",
    "SeededCounts",
    "Simulator",
    "Switches",
    "Tweet",
    "World",
    "XApiSwitches",
    "connection",
    "description",
]
