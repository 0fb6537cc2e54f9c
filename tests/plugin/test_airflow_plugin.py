"""The plugin: what Airflow finds, and what loading it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files

from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

from airflow_provider_engagement.plugin.airflow_plugin import EngagementPlugin

APPLICATION = ("fastapi", "pyarrow", "altair", "vl_convert", "sqlalchemy.dialects.postgresql")


def test_loading_the_plugin_loads_nothing_of_the_application() -> None:
    program = (
        "import sys, json, airflow.plugins_manager; before = set(sys.modules);"
        "import airflow_provider_engagement.plugin.airflow_plugin;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    loaded = json.loads(output.splitlines()[-1])
    assert [name for name in loaded if not name.startswith("airflow_provider_engagement")] == []


def test_the_views_have_the_form_that_airflow_reads() -> None:
    views = [ExternalViewResponse.model_validate(view) for view in EngagementPlugin.external_views]

    assert [(view.destination, view.category) for view in views] == [("nav", "browse"), ("task_instance", None)]
    assert views[1].href.startswith("engagement/?dag_id={DAG_ID}&")
    assert EngagementPlugin.fastapi_apps[0]["url_prefix"] == "/engagement"


def test_the_page_loads_nothing_from_the_internet() -> None:
    page = files("airflow_provider_engagement.plugin").joinpath("page")
    for name in ("index.html", "page.js", "page.css"):
        text = page.joinpath(name).read_text(encoding="utf-8")
        assert "http:" not in text
        assert "https:" not in text.replace("/^https:\\/\\//", "")


def test_the_script_of_the_page_sets_no_html() -> None:
    script = files("airflow_provider_engagement.plugin").joinpath("page", "page.js").read_text(encoding="utf-8")
    assert all(
        word not in script for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
    )
