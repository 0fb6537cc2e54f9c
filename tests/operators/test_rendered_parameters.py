"""Optional parameters that nobody filled in mean unset, for every templated parameter of every operator alike."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

import airflow_provider_engagement
from airflow_provider_engagement.connections.listed_tweets import read_tweets
from airflow_provider_engagement.inputs.tweet_source import TweetsRule
from airflow_provider_engagement.operators.base import EngagementPullOperator
from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.operators.rendered_parameters import unset_blank_parameters
from airflow_provider_engagement.operators.report import EngagementReportOperator
from airflow_provider_engagement.operators.top_tweets import EngagementTopTweetsOperator

A = "1070059276213702656"
ROOMS = ("operators", "sensors", "transfers")
Execute = Callable[..., Any]


def operator_classes() -> list[type[BaseOperator]]:
    """Return all operators, sensors and transfers of the package."""
    found = {}
    for room in ROOMS:
        package = importlib.import_module(f"{airflow_provider_engagement.__name__}.{room}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            members = vars(importlib.import_module(module.name)).values()
            found |= {
                member.__name__: member
                for member in members
                if isinstance(member, type)
                and issubclass(member, BaseOperator)
                and member.__module__.startswith(airflow_provider_engagement.__name__)
                and "__init__" in vars(member)
                and member is not EngagementPullOperator
            }
    return sorted(found.values(), key=lambda member: member.__name__)


CLASSES = operator_classes()


def required_parameters(operator: type[BaseOperator]) -> list[str]:
    constructor = inspect.signature(operator.__dict__["__init__"]).parameters.values()
    return [parameter.name for parameter in constructor if parameter.default is inspect.Parameter.empty][1:-1]


def values_after_execution(operator: type[BaseOperator], execute: Execute, **parameters: Any) -> dict[str, Any]:
    """Execute an operator that has nothing to do, and return its parameters."""
    required = {name: f"absent://nothing/{name}" for name in required_parameters(operator)}
    task = operator(task_id="task", **{**required, **parameters})
    with suppress(Exception):
        execute(task, params={"blank": parameters and "", "none": None})
    return {name: getattr(task, name) for name in operator.template_fields}


def test_all_operators_are_found() -> None:
    assert len(CLASSES) == 10


@pytest.mark.parametrize("blank", [None, "", " ", "None", "none", "null", "{{ params.blank }}", "{{ params.none }}"])
@pytest.mark.parametrize("operator", CLASSES, ids=lambda operator: operator.__name__)
def test_a_blank_parameter_is_as_if_it_was_not_set(operator: type[BaseOperator], blank: str, execute: Execute) -> None:
    optional = set(operator.template_fields).difference(required_parameters(operator))
    untouched = values_after_execution(operator, execute)
    assert values_after_execution(operator, execute, **dict.fromkeys(optional, blank)) == untouched


@pytest.mark.parametrize("operator", CLASSES, ids=lambda operator: operator.__name__)
def test_a_blank_parameter_that_is_required_is_an_error(operator: type[BaseOperator], execute: Execute) -> None:
    for name in required_parameters(operator):
        others = dict.fromkeys(required_parameters(operator), "memory://nothing")
        with pytest.raises(AirflowFailException, match=rf"^{name}: is not set\. "):
            execute(operator(task_id="task", **{**others, name: "{{ params.none }}"}), params={"none": None})


def rendered(operator: type[BaseOperator], params: dict[str, Any], **parameters: Any) -> Any:
    """Return an operator whose templates are rendered as native objects."""
    with DAG("native", schedule=None, render_template_as_native_obj=True):
        task = operator(task_id="task", **parameters)
    task.render_template_fields({"params": params})
    unset_blank_parameters(task)
    return task


@pytest.mark.parametrize("value", [A, int(A), Decimal(A), f"[{A}]", f"['{A}']", f"https://x.com/a/status/{A}"])
def test_one_id_in_a_native_template_is_that_id(value: object) -> None:
    task = rendered(EngagementTotalsOperator, {"ids": value}, tweets="{{ params.ids }}")
    assert read_tweets(TweetsRule().parse(task.tweets)) == {A: None}


def test_several_ids_in_a_native_template_are_those_ids() -> None:
    task = rendered(EngagementTotalsOperator, {"ids": f"{A},20"}, tweets="{{ params.ids }}")
    assert read_tweets(TweetsRule().parse(task.tweets)) == {A: None, "20": None}


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        (EngagementTotalsOperator, "engagement_conn_id"),
        (EngagementReportOperator, "title"),
        (EngagementTopTweetsOperator, "csv_path"),
    ],
)
def test_a_text_that_a_native_template_makes_a_number_is_a_text(operator: type[BaseOperator], name: str) -> None:
    required = dict.fromkeys(required_parameters(operator), "20")
    assert getattr(rendered(operator, {"text": "2026"}, **required, **{name: "{{ params.text }}"}), name) == "2026"


def test_a_text_that_a_native_template_makes_a_list_is_an_error(execute: Execute) -> None:
    with pytest.raises(AirflowFailException, match="dataset_path: list is not a text"):
        execute(EngagementHistoricalOperator(task_id="task", tweets=[A], dataset_path=["a"]))
