"""What an administrator configures for all DAGs: a DAG comes before it, and it comes before the defaults."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.get_provider_info import get_provider_info
from airflow_provider_engagement.operators.configuration import SECTION, configured
from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.simulator import Handle, Simulator

Execute = Callable[..., Any]
Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Set options of the section, as environment variables of Airflow do."""

    def set_options(**options: str) -> None:
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__ENGAGEMENT__{name.upper()}", value)

    return set_options


def pull(**options: Any) -> EngagementTotalsOperator:
    return EngagementTotalsOperator(**{"task_id": "pull", "tweets": ["20"], "metrics": ["favorites"], **options})


def test_the_section_is_the_one_that_the_provider_describes() -> None:
    assert set(get_provider_info()["config"]) == {SECTION}


def test_an_option_that_is_not_set_or_empty_has_no_value(configure: Configure) -> None:
    assert configured("default_pool") is None
    configure(default_pool=" ", default_dataset_path=" /data ")
    assert (configured("default_pool"), configured("default_dataset_path")) == (None, "/data")


def test_the_configuration_chooses_path_and_format(
    execute: Execute, configure: Configure, connect: Callable[..., str], author: Handle, ids: list[str], tmp_path: Path
) -> None:
    connect(author)
    configure(default_dataset_path=str(tmp_path / "configured"), default_dataset_format="csv")
    execute(pull(tweets=ids[-3:]))
    assert len(list((tmp_path / "configured" / "tweet_totals").rglob("*.csv"))) == 1

    execute(pull(tweets=ids[-3:], dataset_path=str(tmp_path / "own"), dataset_format="jsonl"))
    assert len(list((tmp_path / "own" / "tweet_totals").rglob("*.jsonl"))) == 1

    manifest = execute(pull(tweets=ids[-3:], dataset_path=""))
    assert len(manifest["tweet_totals"]) == 3
    assert len(list((tmp_path / "configured" / "tweet_totals").rglob("*.csv"))) == 1

    blank = pull(tweets=ids[-3:], dataset_path="{{ params.path }}", dataset_format="jsonl", task_id="blank")
    assert "tweet_totals" in execute(blank, params={"path": None})["outputs"]


@pytest.mark.parametrize("bound", ["tweets", "requests"])
def test_a_configured_bound_holds_unless_the_task_sets_its_own(
    execute: Execute,
    configure: Configure,
    connect: Callable[..., str],
    author: Handle,
    ids: list[str],
    simulator: Simulator,
    bound: str,
) -> None:
    connect(author)
    configure(**{f"max_{bound}": "0"})
    with pytest.raises(AirflowFailException, match=f"limits.{bound} is 0"):
        execute(pull(tweets=ids[-3:]))
    assert len(simulator.journal.entries) == 0
    assert execute(pull(tweets=ids[-3:], limits={bound: 3}))["requested"] == 3


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("default_dataset_format", "deltaa", "'deltaa' is not a valid choice. Choose one of "),
        ("max_owners", "many", "'many' is not valid. Pass a whole number of at least 0."),
        ("max_requests", "-1", "'-1' is not valid. Pass a whole number of at least 0."),
        ("max_tweets", "1.5", "'1.5' is not valid. Pass a whole number of at least 0."),
    ],
)
def test_an_invalid_value_is_an_error_that_names_the_option(
    execute: Execute,
    configure: Configure,
    connect: Callable[..., str],
    author: Handle,
    ids: list[str],
    tmp_path: Path,
    option: str,
    value: str,
    problem: str,
) -> None:
    connect(author)
    configure(**{option: value})
    with pytest.raises(AirflowFailException, match=rf"^{re.escape(f'[engagement] {option}: {problem}')}"):
        execute(pull(tweets=ids[-3:], dataset_path=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_an_invalid_value_of_the_task_is_an_error_that_names_the_parameter(
    execute: Execute, connect: Callable[..., str], author: Handle, ids: list[str], tmp_path: Path
) -> None:
    connect(author)
    with pytest.raises(AirflowFailException, match=r"^dataset_format: 'deltaa' is not a valid choice"):
        execute(pull(tweets=ids[-3:], dataset_path=str(tmp_path), dataset_format="deltaa"))


def test_the_pool_of_a_task_comes_from_the_task_the_dag_or_the_configuration(configure: Configure) -> None:
    assert pull().pool == "default_pool"
    configure(default_pool="engagement_api")
    with DAG("plain", schedule=None):
        assert pull().pool == "engagement_api"
        assert pull(task_id="own", pool="own_pool").pool == "own_pool"
        assert pull(task_id="airflows", pool="default_pool").pool == "default_pool"
        assert pull(task_id="own_defaults", default_args={"pool": "task_defaults"}).pool == "task_defaults"
    with DAG("with_default_args", schedule=None, default_args={"pool": "dag_pool"}):
        assert pull().pool == "dag_pool"


def test_a_mapped_task_needs_its_pool_in_partial(configure: Configure) -> None:
    configure(default_pool="engagement_api")
    with DAG("mapped", schedule=None):
        for task_id, options, pool in (("plain", {}, "default_pool"), ("own", {"pool": "own"}, "own")):
            mapped = EngagementTotalsOperator.partial(task_id=task_id, **options).expand(tweets=[["1"], ["2"]])
            assert mapped.pool == pool
