"""What Airflow discovers of the package, held against Airflow's own schemas and its own discovery."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator

from airflow_provider_engagement import __version__
from airflow_provider_engagement.connections.connection_settings import SECRETS, SETTINGS
from airflow_provider_engagement.get_provider_info import get_provider_info
from airflow_provider_engagement.hooks.engagement import EngagementHook

SCHEMAS = Path(airflow.__file__).parent
INFO = get_provider_info()
[CONNECTION] = INFO["connection-types"]


def test_the_info_is_what_airflows_schema_asks_for() -> None:
    jsonschema.validate(INFO, json.loads((SCHEMAS / "provider_info.schema.json").read_text()))


@pytest.mark.parametrize(
    "section",
    [
        "integrations",
        "hooks",
        "operators",
        "sensors",
        "transfers",
        "connection-types",
        "asset-uris",
        "extra-links",
        "config",
    ],
)
def test_each_section_is_what_the_schema_of_providers_own_files_asks_for(section: str) -> None:
    schema = json.loads((SCHEMAS / "provider.yaml.schema.json").read_text())

    jsonschema.validate(INFO[section], {**schema["properties"][section], "definitions": schema.get("definitions", {})})


def test_every_key_is_one_that_airflow_knows() -> None:
    known = json.loads((SCHEMAS / "provider_info.schema.json").read_text())["properties"]

    assert set(INFO) <= {*known, "versions"}


def test_the_version_is_the_packages() -> None:
    assert INFO["versions"] == [__version__]


@pytest.mark.parametrize(
    ("section", "base"), [("hooks", BaseHook), ("operators", BaseOperator), ("sensors", BaseSensorOperator)]
)
def test_each_module_holds_a_class_of_its_kind(section: str, base: type) -> None:
    for integration in INFO[section]:
        for name in integration["python-modules"]:
            module = importlib.import_module(name)
            own = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == name]
            assert any(issubclass(item, base) for item in own), name


def test_each_transfer_holds_an_operator() -> None:
    for transfer in INFO["transfers"]:
        module = importlib.import_module(transfer["python-module"])
        own = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == module.__name__]
        assert any(issubclass(item, BaseOperator) for item in own), module


def test_the_connection_type_names_its_hook() -> None:
    module, _, name = CONNECTION["hook-class-name"].rpartition(".")

    assert getattr(importlib.import_module(module), name) is EngagementHook
    assert CONNECTION["connection-type"] == EngagementHook.conn_type
    assert CONNECTION["hook-name"] == EngagementHook.hook_name


def test_the_form_has_a_field_for_each_thing_the_hook_reads() -> None:
    assert set(CONNECTION["conn-fields"]) == {*SECRETS, *SETTINGS}


@pytest.mark.parametrize("name", CONNECTION["conn-fields"])
def test_a_field_hides_what_is_typed_where_it_is_a_secret(name: str) -> None:
    is_hidden = CONNECTION["conn-fields"][name]["schema"].get("format") == "password"

    assert is_hidden == (name in (*SECRETS, "account_tokens"))


def test_an_empty_field_is_allowed() -> None:
    for field in CONNECTION["conn-fields"].values():
        jsonschema.validate(None, field["schema"])


def test_the_entry_point_leads_to_the_info() -> None:
    found = {
        entry_point.value: entry_point
        for entry_point in entry_points(group="apache_airflow_provider")
        if entry_point.value.startswith("airflow_provider_engagement.")
    }

    assert [entry_point.load()() for entry_point in found.values()] == [INFO]


def discovered(name: str) -> dict[str, Any]:
    """Return what Airflow's page of connections is given for a connection type."""
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    [form] = [form for form in HookMetaService.hook_meta_data() if form.connection_type == name]
    return form.model_dump()


def test_airflows_form_of_a_connection_shows_the_fields() -> None:
    form = discovered("engagement")

    assert form["standard_fields"]["host"] == {
        "hidden": False,
        "title": "Base URL",
        "placeholder": "https://data-api.twitter.com",
    }
    hidden = {name for name, field in form["standard_fields"].items() if field and field["hidden"]}
    assert hidden == {"url_schema", "login", "password"}
    assert form["standard_fields"]["port"] == {"hidden": False, "title": "Port (0 for none)", "placeholder": "0"}
    assert list(form["extra_fields"]) == list(CONNECTION["conn-fields"])
    assert form["extra_fields"]["api_key"]["schema"]["title"] == "API key"
