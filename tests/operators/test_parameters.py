"""Every parameter of a pull, in every way in which a DAG can set it, and what is wrong before a task runs."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, XComArg, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension
from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.inputs.intervals import OnOutOfRange, OnUnaligned
from airflow_provider_engagement.inputs.settings import AssetEvents, parse_settings
from airflow_provider_engagement.operators.engagement import (
    Engagement28HourOperator,
    EngagementHistoricalOperator,
    EngagementTotalsOperator,
)
from airflow_provider_engagement.operators.rendered_parameters import parameter_values, unset_blank_parameters
from airflow_provider_engagement.parameters import (
    AfterPost,
    Freshness,
    FromFile,
    FromSql,
    Interval,
    Limits,
    Owners,
    ParameterGroup,
)
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.granularity import Granularity

A, B = "1070059276213702656", "1050118621198921728"
TOTALS, LAST_28_HOURS, HISTORY = EngagementTotalsOperator, Engagement28HourOperator, EngagementHistoricalOperator
OPERATORS: tuple[type[Any], ...] = (TOTALS, LAST_28_HOURS, HISTORY)
HISTORICAL = (HISTORY,)
SERIES = (LAST_28_HOURS, HISTORY)

Settings = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """A value of a parameter, and what the pull reads from it.

    :param name: the parameter.
    :param value: what a DAG sets.
    :param read: the attribute of the settings that the value becomes.
    :param expected: the parsed value.
    :param operators: the operators that have the parameter.
    :param is_templated: whether a template can set it.
    """

    name: str
    value: Any
    read: str
    expected: Any
    operators: tuple[type[Any], ...] = OPERATORS
    is_templated: bool = True


CASES = (
    Case("tweets", [A, B], "tweets.ids", [A, B]),
    Case("tweets", f"{A} {B}", "tweets.ids", f"{A} {B}"),
    Case("tweets", f"https://x.com/acme/status/{A}", "tweets.ids", f"https://x.com/acme/status/{A}"),
    Case("tweets", "s3://bucket/ids.csv", "tweets.file", "s3://bucket/ids.csv"),
    Case("tweets", "part-*.txt", "tweets.file", "part-*.txt"),
    Case("tweets", FromFile("/data/list", column=2), "tweets.column", 2),
    Case("tweets", FromFile("/data/list", owner_column=False), "tweets.owner_column", False),
    Case("tweets", FromSql("SELECT id FROM posts", conn_id="warehouse"), "tweets.sql", "SELECT id FROM posts"),
    Case("tweets", FromSql("SELECT id FROM posts", conn_id="warehouse"), "tweets.conn_id", "warehouse"),
    Case("metrics", ["favorites", "impressions"], "metrics", ("favorites", "impressions")),
    Case("groupings", {"all": ["engagement.type"]}, "groupings", {"all": (Dimension.METRIC,)}),
    Case("dataset_path", "s3://warehouse/engagement", "dataset_path", "s3://warehouse/engagement"),
    Case("dataset_format", "csv", "dataset_format", DatasetFormat.CSV),
    Case("extra_tables", ["owner_ledger"], "write_owner_ledger", True),
    Case("extra_tables", ["restatements"], "write_restatements", True, SERIES),
    Case("owners", Owners(default="783214"), "tweets.owner", "783214"),
    Case("owners", Owners(conn_id="brand_{owner}"), "owner_conn_id", "brand_{owner}"),
    Case("accepted_outcomes", ["forbidden"], "accepted", (Outcome.FORBIDDEN,)),
    Case("limits", Limits(tweets=7), "limits.tweets", 7),
    Case("limits", Limits(requests="500"), "limits.requests", 500),
    Case("limits", Limits(owners=0), "limits.owners", 0),
    Case("limits", Limits(concurrent_requests=2), "concurrent_requests", 2),
    Case("limits", Limits(wait="2h"), "max_wait", 7200.0),
    Case("limits", Limits(wait_on_worker="90s"), "max_inline_wait", 90.0),
    Case("asset_events", "run", "asset_events", AssetEvents.RUN, is_templated=False),
    Case("estimate_only", True, "estimate_only", True),
    Case("engagement_conn_id", "acme", "conn_id", "acme"),
    Case("auth", "app", "auth", Auth.APP, (EngagementTotalsOperator,)),
    Case("snapshot_at", "2026-01-11", "snapshot_at", "2026-01-11", (EngagementTotalsOperator,)),
    Case("max_delay", "3h", "max_delay", timedelta(hours=3), OPERATORS[:2]),
    Case("max_delay", "unlimited", "max_delay", None, OPERATORS[:2]),
    Case("settles_after", "2d", "settling_time", timedelta(days=2), (Engagement28HourOperator,)),
    Case("granularity", "total", "granularity", Granularity.TOTAL, SERIES),
    Case("time_zone", "Europe/Prague", "zone", ZoneInfo("Europe/Prague"), SERIES),
    Case("interval", Interval(lookback="3d"), "lookback", timedelta(days=3), HISTORICAL),
    Case("interval", Interval(on_unaligned="expand"), "on_unaligned", OnUnaligned.EXPAND, HISTORICAL),
    Case("interval", Interval(on_out_of_range="clip"), "on_out_of_range", OnOutOfRange.CLIP, HISTORICAL),
    Case("interval", Interval(max_age="unlimited"), "max_age", None, HISTORICAL),
    Case("interval", AfterPost(7), "after_post_days", 7, HISTORICAL),
    Case("interval", AfterPost("7", period="2"), "after_post_period", 2, HISTORICAL),
    Case("freshness", Freshness(settles_after="1d"), "settling_time", timedelta(days=1), HISTORICAL),
    Case("freshness", Freshness(reuse_for="1h"), "reuse_for", timedelta(hours=1), HISTORICAL),
    Case("freshness", Freshness(share_backfill_requests=False), "share_backfill_requests", False, HISTORICAL),
)
PAIRS = [
    pytest.param(case, operator, id=f"{operator.endpoint}-{case.name}-{case.value}")
    for case in CASES
    for operator in case.operators
]
TEMPLATED = [pair for pair in PAIRS if pair.values[0].is_templated]
GROUPS = ("tweets", "owners", "limits", "interval", "freshness")

DEFAULTS: dict[str, Any] = {"tweets": [A], "dataset_path": "/data"}


class Upstream:
    """A task instance whose XComs are at hand, as the worker has them."""

    map_index = 0

    def __init__(self, xcom: Any = None) -> None:
        self.xcom = xcom

    def xcom_pull(self, **_: Any) -> Any:
        return self.xcom

    def get_relevant_upstream_map_indexes(self, **_: Any) -> None:
        return None


def rendered(operator: Any, *, params: dict[str, Any] | None = None, xcom: Any = None) -> Any:
    """Return the operator of a task as Airflow executes it: with rendered templates, and one of the mapped tasks."""
    instance = Upstream(xcom)
    context = {"ti": instance, "task_instance": instance, "params": params or {}, "_upstream_map_indexes": {}}
    context |= {"task": operator, "dag": operator.get_dag(), "dag_run": SimpleNamespace(conf={})}
    operator.render_template_fields(context)
    return context["task"]


def settings_of(operator: Any, **context: Any) -> Any:
    executed = rendered(operator, **context)
    unset_blank_parameters(executed)
    return parse_settings(executed.endpoint, parameter_values(executed))


def read(settings: Any, path: str) -> Any:
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings


def upstream_value() -> Any:
    """Return the XCom of a task before the task that a test constructs."""

    @task
    def upstream() -> None: ...

    return upstream()


def nested(value: Any, *, put: Callable[[Any], Any]) -> Any:
    """Return a group with each of its values replaced, or one value replaced."""
    if isinstance(value, ParameterGroup):
        return type(value)(**{name: put(item) for name, item in value.items()})
    return put(value)


# In every way in which a DAG can set it


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_parameter_has_a_case(operator: type[Any]) -> None:
    parameters = set(inspect.signature(operator.__dict__["__init__"]).parameters) - {"self", "kwargs"}
    # The first two have tests of their own, and Airflow alone reads the third.
    parameters -= {"start", "end", "deferrable"}
    assert {case.name for case in CASES if operator in case.operators} == parameters


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_has_fewer_than_twenty_parameters_that_an_editor_sees(operator: type[Any]) -> None:
    parameters = inspect.signature(operator.__dict__["__init__"]).parameters.values()
    own = [parameter for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    assert len(own) < 20
    assert next(iter(own)).name == "tweets"
    assert operator is not EngagementHistoricalOperator or [own[1].name, own[2].name] == ["start", "end"]


@pytest.mark.parametrize(("case", "operator"), PAIRS)
def test_a_constant_is_read(case: Case, operator: type[Any]) -> None:
    task = operator(task_id="pull", **{**DEFAULTS, case.name: case.value})
    assert read(settings_of(task), case.read) == case.expected


@pytest.mark.parametrize(("case", "operator"), PAIRS)
def test_default_args_are_read(case: Case, operator: type[Any]) -> None:
    with DAG("pulls", schedule=None, default_args={**DEFAULTS, case.name: case.value}):
        pulls = [operator(task_id="first"), operator(task_id="second")]
    assert [read(settings_of(pull), case.read) for pull in pulls] == [case.expected] * 2


@pytest.mark.parametrize(("case", "operator"), PAIRS)
def test_a_mapped_task_is_read(case: Case, operator: type[Any]) -> None:
    others = {name: value for name, value in DEFAULTS.items() if name != case.name}
    with DAG("pulls", schedule=None):
        expanded = operator.partial(task_id="expanded", **others).expand(**{case.name: [case.value]})
        by_kwargs = operator.partial(task_id="kwargs", **others).expand_kwargs([{case.name: case.value}])
        partial = operator.partial(task_id="partial", **{**others, case.name: case.value}).expand(deferrable=[True])
    for mapped in (expanded, by_kwargs, partial):
        assert read(settings_of(mapped), case.read) == case.expected, mapped


@pytest.mark.parametrize(("case", "operator"), TEMPLATED)
def test_an_xcom_is_read_and_its_task_comes_first(case: Case, operator: type[Any]) -> None:
    with DAG("pulls", schedule=None):
        pull = operator(task_id="pull", **{**DEFAULTS, case.name: upstream_value()})
    assert pull.upstream_task_ids == {"upstream"}
    # An XCom is JSON, so a group arrives as a plain mapping.
    assert read(settings_of(pull, xcom=json.loads(json.dumps(case.value))), case.read) == case.expected


@pytest.mark.parametrize(("case", "operator"), [pair for pair in TEMPLATED if pair.values[0].name in GROUPS])
def test_an_xcom_in_a_group_is_read_and_its_task_comes_first(case: Case, operator: type[Any]) -> None:
    if not isinstance(case.value, dict):
        pytest.skip("not a group")
    name = next(name for name, value in case.value.items() if value == list(case.value.values())[-1])
    with DAG("pulls", schedule=None):
        group = type(case.value)(**{**case.value, name: upstream_value()})
        pull = operator(task_id="pull", **{**DEFAULTS, case.name: group})
        mapped = operator.partial(task_id="mapped", **{**DEFAULTS, case.name: group}).expand(deferrable=[True])
    assert pull.upstream_task_ids == mapped.upstream_task_ids == {"upstream"}
    assert read(settings_of(pull, xcom=case.value[name]), case.read) == case.expected
    assert isinstance(group[name], XComArg), "the group of the DAG stays as it is, because other tasks use it too"


@pytest.mark.parametrize("is_native", [False, True])
@pytest.mark.parametrize(("case", "operator"), TEMPLATED)
def test_what_is_typed_into_the_form_is_read(case: Case, operator: type[Any], is_native: bool) -> None:
    params: dict[str, Any] = {}

    def typed(value: Any) -> str:
        name = f"field_{len(params)}"
        params[name] = value if isinstance(value, bool | int | str) else json.dumps(value)
        return f"{{{{ params.{name} }}}}"

    with DAG("pulls", schedule=None, render_template_as_native_obj=is_native):
        pull = operator(task_id="pull", **{**DEFAULTS, case.name: nested(case.value, put=typed)})
    expected = case.expected
    if case.name == "tweets" and isinstance(case.value, list):
        expected = json.loads(json.dumps(case.value)) if is_native else json.dumps(case.value)
    if case.read == "tweets.column" and not is_native:
        expected = str(expected)
    if case.read == "tweets.owner_column" and not is_native:
        expected = str(expected)
    assert read(settings_of(pull, params=params), case.read) == expected


@pytest.mark.parametrize("blank", ["", " ", "None", None])
@pytest.mark.parametrize(("case", "operator"), [pair for pair in TEMPLATED if pair.values[0].name != "tweets"])
def test_a_field_of_the_form_that_is_left_empty_means_the_default(
    case: Case, operator: type[Any], blank: str | None
) -> None:
    untouched = settings_of(operator(task_id="pull", **DEFAULTS))
    if case.name in ("dataset_path",):
        untouched = settings_of(operator(task_id="pull", tweets=[A]))
    required = ("days",) if isinstance(case.value, AfterPost) else ()
    group = {name: "{{ params.blank }}" for name in case.value if name not in required} if case.name in GROUPS else {}
    for value in ("{{ params.blank }}", group):
        if value and not required:
            pull = operator(task_id="pull", **{**DEFAULTS, case.name: value})
            assert read(settings_of(pull, params={"blank": blank}), case.read) == read(untouched, case.read)


@pytest.mark.parametrize("form", ["2026-01-05", "7d", "{{ params.time }}"])
def test_start_and_end_stay_as_written_until_the_run_is_known(form: str) -> None:
    pull = EngagementHistoricalOperator(task_id="pull", start=form, end="now", **DEFAULTS)
    settings = settings_of(pull, params={"time": "36h"})
    assert (settings.start, settings.end) == ("36h" if "params" in form else form, "now")


# What Airflow shows


@pytest.mark.parametrize(("case", "operator"), TEMPLATED)
def test_the_rendered_templates_are_readable(case: Case, operator: type[Any]) -> None:
    from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

    pull = rendered(operator(task_id="pull", **{**DEFAULTS, case.name: case.value}))
    shown = _serialize_rendered_fields(pull)[case.name]
    assert shown == json.loads(json.dumps(case.value)), "as the author wrote it, with the names of a group"


@pytest.mark.parametrize(("case", "operator"), PAIRS)
def test_a_dag_survives_serialization(case: Case, operator: type[Any]) -> None:
    serialized_objects = pytest.importorskip("airflow.serialization.serialized_objects")
    serialization = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
    others = {name: value for name, value in DEFAULTS.items() if name != case.name}
    with DAG("pulls", schedule=None) as dag:
        operator(task_id="pull", **{**DEFAULTS, case.name: case.value})
        operator.partial(task_id="mapped", **others).expand(**{case.name: [case.value]})
    encoded = json.loads(json.dumps(serialization.to_dict(dag)))
    restored = serialization.from_dict(encoded)
    assert set(restored.task_dict) == {"pull", "mapped"}
    if case.is_templated:
        assert getattr(restored.task_dict["pull"], case.name) == json.loads(json.dumps(case.value))


# What is wrong before a task runs


WRONG: Iterable[tuple[type[Any], dict[str, Any], str]] = (
    (TOTALS, {"tweets": ["20", "abc"]}, "tweets: item 2: 'abc' is not a Tweet id"),
    (TOTALS, {"tweets": []}, "tweets: is empty. Name at least one Tweet."),
    (TOTALS, {"tweets": "SELECT id FROM t"}, "tweets: a query needs a connection. Pass FromSql"),
    (
        EngagementTotalsOperator,
        {"tweets": {"path": "a", "colum": 1}},
        "tweets: 'colum' is not a parameter. Did you mean c",
    ),
    (TOTALS, {"metrics": ["likes"]}, "metrics: 'likes' is not a metric. Did you mean favorites?"),
    (
        EngagementTotalsOperator,
        {"metrics": ["views"]},
        "metrics: 'views' is not a metric. Did you mean video_views or i",
    ),
    (
        EngagementTotalsOperator,
        {"metrics": ["replies count"]},
        "metrics: 'replies count' is not a metric. Did you mean r",
    ),
    (
        EngagementTotalsOperator,
        {"metrics": ["impresions"]},
        "metrics: 'impresions' is not a metric. Did you mean impress",
    ),
    (TOTALS, {"metrics": ["url_clicks"]}, "metrics: totals does not support 'url_clicks'"),
    (TOTALS, {"groupings": {"all": ["user"]}}, "groupings: 'all' names the unknown dimension 'user'"),
    (TOTALS, {"auth": "owner"}, "auth: 'owner' is not a valid choice"),
    (TOTALS, {"max_delay": 24}, "max_delay: 24 has no unit. Pass a timedelta, or a text such as 90s"),
    (TOTALS, {"dataset_format": "xlsx"}, "dataset_format: 'xlsx' is not a valid choice"),
    (TOTALS, {"accepted_outcomes": ["gone"]}, "accepted_outcomes: 'gone' is not a valid choice"),
    (
        EngagementTotalsOperator,
        {"extra_tables": ["restatements"]},
        "extra_tables: 'restatements' is not a valid choice",
    ),
    (TOTALS, {"limits": Limits(requests=-1)}, "limits.requests: -1 is not valid"),
    (TOTALS, {"limits": Limits(concurrent_requests=0)}, "limits.concurrent_requests: 0 is not valid"),
    (TOTALS, {"limits": Limits(wait="soon")}, "limits.wait: 'soon' is not a duration"),
    (
        EngagementTotalsOperator,
        {"limits": {"request": 5}},
        "limits: 'request' is not a parameter. Did you mean requests?",
    ),
    (
        EngagementTotalsOperator,
        {"limits": 500},
        "limits: 500 is not a group of parameters. Set some of tweets, requests",
    ),
    (
        EngagementTotalsOperator,
        {"owners": Owners(default="Anna Smith")},
        "owners.default: 'Anna Smith' is not an owner",
    ),
    (TOTALS, {"estimate_only": "maybe"}, "estimate_only: 'maybe' is not a valid choice"),
    (LAST_28_HOURS, {"granularity": "day"}, "granularity: '28hr' does not support 'day'"),
    (HISTORY, {"granularity": "week"}, "granularity: 'historical' does not support 'week'"),
    (
        HISTORY,
        {"time_zone": "Europe/Atlantis"},
        "time_zone: 'Europe/Atlantis' is not a known time",
    ),
    (HISTORY, {"start": "7d"}, "end: is not set, but start is. Set start and end, or neither."),
    (
        HISTORY,
        {"interval": Interval(lookback="-3d")},
        "interval.lookback: '-3d' is not a duration",
    ),
    (
        HISTORY,
        {"interval": Interval(on_unaligned="round")},
        "interval.on_unaligned: 'round' is not a",
    ),
    (HISTORY, {"interval": Interval(max_age="0d")}, "interval.max_age: 0:00:00 is not above zero"),
    (HISTORY, {"interval": AfterPost(0)}, "interval.days: 0 is not valid"),
    (
        HISTORY,
        {"interval": {"days": 7, "lookback": "1d"}},
        "interval: 'lookback' is not a parameter. Set some of days, period",
    ),
    (
        HISTORY,
        {"interval": AfterPost(7), "groupings": {"all": ["engagement.type"]}},
        "groupings: the days after each post do not support groupings",
    ),
)


@pytest.mark.parametrize(("operator", "parameters", "problem"), WRONG, ids=lambda value: str(value)[:60])
def test_a_constant_that_can_never_be_right_fails_when_it_is_written(
    operator: type[Any], parameters: dict[str, Any], problem: str
) -> None:
    with pytest.raises(AirflowFailException) as parsing:
        operator(task_id="pull", **{**DEFAULTS, **parameters})
    assert str(parsing.value).startswith(problem)


@pytest.mark.parametrize(("operator", "parameters", "problem"), WRONG, ids=lambda value: str(value)[:60])
def test_a_template_fails_with_the_same_text_when_the_task_runs(
    operator: type[Any], parameters: dict[str, Any], problem: str, execute: Callable[..., Any]
) -> None:
    with DAG("pulls", schedule=None, render_template_as_native_obj=True):
        templates = {name: f"{{{{ params.{name} }}}}" for name in parameters}
        pull = operator(task_id="pull", **{**DEFAULTS, **templates})
    with pytest.raises(AirflowFailException) as running:
        execute(pull, params=parameters)
    assert str(running.value).startswith(problem)


def test_airflow_shows_a_constant_that_can_never_be_right_as_an_import_error(tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(
        "from airflow.sdk import DAG\n"
        "from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator\n"
        "with DAG('wrong', schedule=None):\n"
        "    EngagementTotalsOperator(task_id='pull', tweets=['20'], metrics=['likes'])\n"
    )
    bag = DagBag(file)
    assert bag.dags == {}
    (error,) = bag.import_errors.values()
    assert "metrics: 'likes' is not a metric. Did you mean favorites?" in error


def test_only_the_first_items_of_a_long_list_are_checked_when_it_is_written() -> None:
    ids = [str(int(A) + number) for number in range(2_000)]
    assert EngagementTotalsOperator(task_id="pull", tweets=[*ids, "abc"]).tweets[-1] == "abc"
    with pytest.raises(AirflowFailException, match="item 1: 'abc' is not a Tweet id"):
        EngagementTotalsOperator(task_id="pull", tweets=["abc", *ids])


def test_a_missing_parameter_of_a_group_is_named() -> None:
    pull = EngagementTotalsOperator(task_id="pull", tweets={"query": "SELECT 1", "conn_id": "{{ params.conn_id }}"})
    with pytest.raises(Exception, match=r"^tweets\.conn_id: is not set\. Set it\."):
        settings_of(pull, params={"conn_id": ""})


def test_a_group_shows_itself_as_it_is_written() -> None:
    assert repr(Limits(requests=5, wait="2h")) == "Limits(requests=5, wait='2h')"
    assert AfterPost(7) == {"days": 7}
