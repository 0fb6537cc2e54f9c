"""The documentation says what the package does: its snippets run, its links lead somewhere, its lists are whole."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import airflow.sdk
import pendulum
import pytest
from airflow.sdk import DAG, BaseOperator

import airflow_provider_engagement
from airflow_provider_engagement.engagement_api import catalogue
from airflow_provider_engagement.exceptions import ApiError, EngagementError, PermanentError, TransientError
from airflow_provider_engagement.operators.base import EngagementPullOperator
from airflow_provider_engagement.parameters import FromFile, ParameterGroup
from airflow_provider_engagement.simulator import Handle, Simulator, World, connection
from airflow_provider_engagement.tables.tables import TABLES, X_TABLES

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SNIPPETS = DOCS / "snippets"
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted(DOCS.rglob("*.md"))

PAGE_OF = {
    "EngagementTotalsOperator": "operators/totals.md",
    "Engagement28HourOperator": "operators/last-28-hours.md",
    "EngagementHistoricalOperator": "operators/historical.md",
    "EngagementTidyOperator": "operators/tidy.md",
    "EngagementReportOperator": "report.md",
    "EngagementTopTweetsOperator": "operators/top-tweets.md",
    "TweetLookupOperator": "operators/tweets.md",
    "UserTweetsOperator": "operators/tweets.md",
    "EngagementToWarehouseOperator": "operators/to-warehouse.md",
    "EngagementRateLimitSensor": "sensors/rate-limit.md",
}
"""Where each operator and sensor is described. What all pulls share is described once, in ``operators/index.md``."""

SHARED_PAGE = "operators/index.md"

_FENCE = re.compile(
    r"^(?:<!-- snippet: (?P<source>\S+) -->\n)?(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"loaded_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES_OF_CODE = load(ROOT / "scripts" / "docs_tables.py")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    source: str | None
    language: str
    code: str


def blocks() -> Iterator[Block]:
    for path in PAGES:
        for found in _FENCE.finditer(path.read_text(encoding="utf-8")):
            code = textwrap.dedent(found["code"])
            yield Block(path, found["source"], found["language"].strip(), code)


def snippet(source: str) -> str:
    """Return the text between the markers of a snippet, such as ``docs/snippets/totals.py#owned``."""
    path, _, name = source.partition("#")
    text = (ROOT / path).read_text(encoding="utf-8")
    found = re.findall(
        rf"^ *# \[START {re.escape(name)}\]\n(.*?)^ *# \[END {re.escape(name)}\]$", text, re.MULTILINE | re.DOTALL
    )
    assert len(found) == 1, f"{source}: {len(found)} such snippets"
    return textwrap.dedent(found[0]).strip("\n") + "\n"


def shown(code: str) -> str:
    """Return code as a page shows it: without what only a linter or a formatter asks for."""
    return re.sub(r"  # noqa: [A-Z0-9, ]+$", "", code, flags=re.MULTILINE).strip("\n") + "\n"


PYTHON = [block for block in blocks() if block.language == "python"]


def test_a_parameter_without_a_default_is_required() -> None:
    defaults = TABLES_OF_CODE.defaults(TABLES_OF_CODE.member("EngagementTidyOperator"))

    assert defaults == {"dataset_path": "required", "retention_hours": "`168`"}


def test_the_start_page_links_every_page_of_the_site() -> None:
    pages = re.findall(r"^ *- file: docs/(\S+)$", (DOCS / "toc.yml").read_text(encoding="utf-8"), re.MULTILINE)
    # The Python API exists only on the site.
    expected = {f"{name}.md" for name in pages if not name.startswith("api/")}

    assert expected <= set(_LINK.findall(page("index.md")))


def test_the_start_page_lists_the_pages_in_the_order_of_the_site() -> None:
    site = re.findall(r"^ *- file: docs/(\S+)$", (DOCS / "toc.yml").read_text(encoding="utf-8"), re.MULTILINE)
    listed = [target.removesuffix(".md") for target in _LINK.findall(page("index.md"))]

    assert [name for name in listed if name in site] == [name for name in site if name in listed]


BRITISH = re.compile(
    r"\w*(?:behaviour|neighbour|colour|favour|honour|labelled|modelled|cancelled|analys(?:e[ds]|ing)"
    r"|(?:organ|normal|serial|recogn|summar|optim|minim|initial)is(?:e|ing|ation))\w*",
    re.IGNORECASE,
)
OF_OTHERS = {"ui-field-behaviour", "CancelledError", "labelledby"}
"""Names that Airflow, Python and HTML spell so."""


def test_english_is_spelled_as_in_airflow() -> None:
    folders = ("airflow_provider_engagement", "docs", "example_dags", "scripts", "tests")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.suffix in {".py", ".js", ".sql"}]
    written = {*PAGES, *(file for file in files if "_build" not in file.parts)} - {Path(__file__)}
    found = {}
    for path in written:
        text = re.sub("|".join(OF_OTHERS), "", path.read_text(encoding="utf-8"))
        found[name_of(path)] = BRITISH.findall(text) + re.findall(r"(?i)\be-mail|\b1800 days", text)

    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_page_installs_the_package_from_a_clone_until_there_is_a_release(path: Path) -> None:
    assert not re.search(r"pip install \S*airflow-provider-engagement", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(PAGE_OF))
def test_a_page_names_the_module_of_its_operator(name: str) -> None:
    found = TABLES_OF_CODE.member(name)
    # What pulls share, the shared page says.
    shared = SHARED_PAGE if issubclass(found, EngagementPullOperator) else PAGE_OF[name]

    assert f"`{found.__module__}`" in page(shared)


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"{name_of(block.page)}:{block.source}")
def test_a_python_block_is_the_text_of_a_file_that_runs(block: Block) -> None:
    assert block.source is not None, f"has no comment that names its snippet:\n{block.code}"

    assert block.code == shown(snippet(block.source))


def test_every_snippet_is_shown_somewhere() -> None:
    written = {
        f"{name_of(path)}#{name}"
        for path in SNIPPETS.glob("*.py")
        for name in re.findall(r"^ *# \[START (\S+)\]$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert written == {block.source for block in PYTHON if block.source and block.source.startswith("docs/snippets/")}


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = []
    for target in _LINK.findall(without_code(path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        if not found.exists() or (
            anchor and anchor not in map(slug, _HEADING.findall(_FENCE.sub("", found.read_text(encoding="utf-8"))))
        ):
            broken.append(target)

    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        for target in _LINK.findall(without_code(path.read_text(encoding="utf-8"))):
            file = target.partition("#")[0]
            if file and not re.match(r"[a-z]+:", target):
                waiting.append((path.parent / file).resolve())

    assert set(PAGES) <= reached


# What the pages list


def modules_of(package: str) -> Iterator[ModuleType]:
    folder = Path(airflow_provider_engagement.__file__).parent / package
    for module in pkgutil.iter_modules([str(folder)]):
        yield importlib.import_module(f"{airflow_provider_engagement.__name__}.{package}.{module.name}")


def public_operators() -> list[type[BaseOperator]]:
    return [
        value
        for package in ("operators", "sensors", "transfers")
        for module in modules_of(package)
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, BaseOperator)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and value is not EngagementPullOperator
    ]


def declaring(operator: type[BaseOperator]) -> list[type[BaseOperator]]:
    """Return the classes of this package that declare parameters of an operator."""
    ours = [cls for cls in operator.__mro__ if cls.__module__.startswith(f"{airflow_provider_engagement.__name__}.")]
    return [cls for cls in ours if "__init__" in vars(cls)]


def parameters(cls: type[BaseOperator]) -> list[str]:
    """Return the parameters that a class declares itself."""
    declared = inspect.signature(vars(cls)["__init__"]).parameters
    return [name for name, it in declared.items() if it.kind is not inspect.Parameter.VAR_KEYWORD and name != "self"]


def regions() -> dict[str, list[Path]]:
    """Return the pages of each generated region."""
    found: dict[str, list[Path]] = {}
    for path, call in TABLES_OF_CODE.regions():
        found.setdefault(call, []).append(path)
    return found


@pytest.mark.parametrize("path", TABLES_OF_CODE.PAGES, ids=name_of)
def test_the_generated_tables_agree_with_the_code(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text == TABLES_OF_CODE.generated(text), "Run scripts/docs_tables."


def test_an_edited_table_is_restored_from_the_code() -> None:
    text = page("operations.md")

    assert TABLES_OF_CODE.generated(text.replace("| counter |", "| gauge |")) == text


def test_every_list_of_the_code_has_a_generated_table() -> None:
    parameters = {f"parameters {cls.__name__}" for operator in public_operators() for cls in declaring(operator)}
    columns = {f"columns {name}" for name in (*TABLES, *X_TABLES)}
    whole = {"metrics", "metric changes", "endpoints", "outcomes", "connection fields", "stats"}
    whole |= {"configuration", "x metrics", "x endpoints", "x prices", "x outcomes", "rooms", "shared columns"}
    whole |= {"switches Switches", "switches XApiSwitches"}
    whole |= {f"parameters {group.__name__}" for group in ParameterGroup.__subclasses__()}

    assert {call for call in regions() if not call.startswith("errors ")} == parameters | columns | whole


@pytest.mark.parametrize("operator", public_operators(), ids=lambda operator: operator.__name__)
def test_the_parameters_of_an_operator_are_on_its_page(operator: type[BaseOperator]) -> None:
    pages = {path for cls in declaring(operator) for path in regions()[f"parameters {cls.__name__}"]}

    assert pages <= {DOCS / PAGE_OF[operator.__name__], DOCS / SHARED_PAGE}
    assert operator.__name__ in page(PAGE_OF[operator.__name__])


@pytest.mark.parametrize("operator", public_operators(), ids=lambda operator: operator.__name__)
def test_a_docstring_describes_every_parameter_and_marks_those_that_are_templated(
    operator: type[BaseOperator],
) -> None:
    for cls in declaring(operator):
        described = TABLES_OF_CODE.described_parameters(cls)
        templated = {name for name, text in described.items() if text.endswith("(templated)")}

        assert set(described) == set(parameters(cls))
        assert templated == set(described) & set(operator.template_fields)


def test_a_column_is_described_once_on_the_page_of_the_dataset() -> None:
    described = re.findall(r"^\| `(\w+)` \| \w+ \| (.+) \|$", page("dataset.md"), re.MULTILINE)

    assert len(described) == len(set(described)) > 30
    # Two meanings of one name are those of two tables.
    assert {name for name, _ in described if [n for n, _ in described].count(name) > 1} == {"outcome", "owner"}


@pytest.mark.parametrize("name", ["recipes.md", "tweet-way.md", "architecture.md"])
def test_a_page_for_contributors_names_files_and_members_that_exist(name: str) -> None:
    package, text = Path(airflow_provider_engagement.__file__).parent, page(name)
    files = re.findall(r"`((?:\w+/)+\w+\.py)`", text)
    constants = re.findall(r"`(_?[A-Z]+(?:_[A-Z]+)*)`", text)
    code = "".join(
        path.read_text(encoding="utf-8") for path in [*package.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    )

    assert files
    assert [file for file in files if not any((folder / file).is_file() for folder in (package, ROOT))] == []
    assert [constant for constant in constants if not re.search(rf"^{constant}\b.*=", code, re.MULTILINE)] == []


def test_former_names_of_metrics_are_described() -> None:
    assert all(f"`{old}`" in page("metric-changes.md") for old in catalogue.RENAMED_METRICS)


def all_errors(cls: type[EngagementError] = EngagementError) -> Iterator[type[EngagementError]]:
    if not cls.__name__.startswith("_"):
        yield cls
    for subclass in cls.__subclasses__():
        yield from all_errors(subclass)


def test_every_error_is_in_one_generated_table() -> None:
    listed = [name for call in regions() if call.startswith("errors ") for name in call.split()[1:]]
    bases = {EngagementError, PermanentError, TransientError, ApiError}

    assert sorted(listed) == sorted({error.__name__ for error in all_errors()} - {base.__name__ for base in bases})
    assert all(f"`{base.__name__}`" in page("errors.md") for base in bases)


MODULES = [module for module in TABLES_OF_CODE.modules() if module.__file__]
_ROLE = re.compile(r":(?:attr|class|const|data|exc|func|meth|mod|obj):`[~!]?(?P<target>[\w.]+)(?:\(\))?`")


def exists(target: str, module: ModuleType) -> bool:
    """Return whether a name exists in a module, or as a path of modules and members."""
    try:
        attrgetter(target)(module)
    except AttributeError:
        try:
            pkgutil.resolve_name(target)
        except (ImportError, AttributeError):
            return False
    return True


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.partition(".")[2])
def test_every_reference_in_a_docstring_names_something_that_exists(module: ModuleType) -> None:
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    classes = [
        value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__
    ]

    assert [
        target
        for target in _ROLE.findall(text)
        if not exists(target, module) and not any(hasattr(value, target) for value in classes)
    ] == []


# What the snippets do


def dags(path: Path) -> list[DAG]:
    """Return the DAGs of a file, also of those that it does not give a name."""
    made: list[DAG] = []
    enter = DAG.__enter__

    def entered(self: DAG) -> DAG:
        made.append(self)
        return enter(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DAG, "__enter__", entered)
        load(path)
    return made


SINCE_AIRFLOW_3_3 = ("retries",)
"""Snippets that older versions of Airflow cannot run."""

DAG_FILES = sorted(
    path
    for path in SNIPPETS.glob("*.py")
    if "with DAG(" in path.read_text(encoding="utf-8")
    and (path.stem not in SINCE_AIRFLOW_3_3 or hasattr(airflow.sdk, "RetryPolicy"))
)


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.stem)
def test_the_dags_of_the_snippets_can_be_parsed(path: Path) -> None:
    found = dags(path)

    assert found
    for dag in found:
        dag.validate()
        assert dag.topological_sort()


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    # Young Tweets, so that each day of the snippets has counts. The time is the real one, as in the snippets.
    world = World.generate(seed=3, handles=2, tweets=40, start=datetime.now(UTC) - timedelta(days=30), old=0)
    with Simulator(world) as running:
        yield running


@pytest.fixture
def author(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Handle:
    """A user whose tokens all the connections of the snippets hold."""
    user = next(iter(simulator.world.handles.values()))
    made = connection(simulator, user)
    made["extra"]["bearer_token"] = simulator.world.app.bearer_token
    for conn_id in ("engagement_default", "engagement_our_brand"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(made))
    return user


def context_of(operator: BaseOperator) -> dict[str, Any]:
    """Return what Airflow tells a task of yesterday's run."""
    zone = "Europe/Prague" if "prague" in operator.dag.dag_id else "UTC"
    end = pendulum.today(zone)
    start = end.subtract(days=1)
    instance = SimpleNamespace(
        dag_id=operator.dag.dag_id,
        task_id=operator.task_id,
        run_id="scheduled__yesterday",
        map_index=-1,
        try_number=1,
        start_date=pendulum.now("UTC"),
        get_first_reschedule_date=lambda context: None,
    )
    return {
        "ti": instance,
        "task_instance": instance,
        "task": operator,
        "run_id": instance.run_id,
        "dag_run": SimpleNamespace(run_id=instance.run_id, run_type="scheduled", run_after=end),
        "logical_date": start,
        "data_interval_start": start,
        "data_interval_end": end,
        "partition_key": start.format("YYYY-MM-DD") if "partition" in operator.dag.dag_id else None,
        "params": {},
    }


def ids_file(folder: Path, operator: EngagementPullOperator, tweet_ids: list[str]) -> Path:
    import pyarrow
    from pyarrow import csv, parquet

    columns = operator.tweets if isinstance(operator.tweets, FromFile) else FromFile(str(operator.tweets))
    path = folder / Path(columns["path"]).name
    table = pyarrow.table({columns.get("column", "tweet_id"): tweet_ids})
    if "owner_column" in columns:
        # The user of the connection posted the Tweets.
        table = table.append_column(columns["owner_column"], pyarrow.nulls(len(tweet_ids), pyarrow.string()))
    if path.suffix == ".txt":
        path.write_text("\n".join(tweet_ids))
    else:
        (csv.write_csv if path.suffix == ".csv" else parquet.write_table)(table, path)
    return path


PULLS = [
    pytest.param(task, id=f"{path.stem}:{dag.dag_id}.{task.task_id}")
    for path in DAG_FILES
    for dag in dags(path)
    for task in dag.tasks
    if isinstance(task, EngagementPullOperator)
]


@pytest.mark.parametrize("operator", PULLS)
def test_a_pull_of_the_snippets_brings_a_number_for_every_tweet(
    operator: EngagementPullOperator, author: Handle, simulator: Simulator, tmp_path: Path
) -> None:
    mixed = "mixed" in str(operator.tweets)
    tweet_ids = list(simulator.world.tweets) if mixed else simulator.world.tweets_of(author.user_id)
    if not isinstance(operator.tweets, str | FromFile) or "xcom_pull" in operator.tweets:
        # There is no database to send a query to, and no other task.
        operator.tweets = tweet_ids
    else:
        path = f"file://{ids_file(tmp_path, operator, tweet_ids)}"
        operator.tweets = (
            FromFile(**{**operator.tweets, "path": path}) if isinstance(operator.tweets, FromFile) else path
        )
    if operator.dataset_path is not None:
        operator.dataset_path = f"file://{tmp_path}/dataset"
    context = context_of(operator)
    operator.render_template_fields(context)

    report = operator.execute(context)

    if operator.estimate_only:
        assert report["requests"] == report["planned_requests"] > 0
        return
    assert report["requested"] == len(tweet_ids)
    assert report["requests"]["failed"] == 0
    assert sum(report["outcomes"].values()) == len(tweet_ids)
    assert sum(rows for table, rows in report["rows"].items() if table in ("tweet_totals", "tweet_metrics")) or (
        operator.task_id == "hours_of_day" and report["rows"]["tweet_hours_of_day"]
    )


def test_the_hooks_snippet_finds_the_likes_of_the_world(author: Handle, simulator: Simulator) -> None:
    tweet_ids = simulator.world.tweets_of(author.user_id)

    likes = load(SNIPPETS / "hook.py").likes(tweet_ids)

    world = simulator.world
    assert likes == {
        tweet_id: None if world.tweets[tweet_id].deleted else simulator.total(tweet_id, "favorites")
        for tweet_id in tweet_ids
    }


def test_the_estimate_of_the_snippet_is_the_example_of_the_page(
    author: Handle,
) -> None:
    first = 1_900_000_000_000_000_000  # of January 2025, so that all of them live for the whole of the 90 days
    tweet_ids = [str(first + number) for number in range(1000)]

    end = datetime(2026, 6, 1, tzinfo=UTC)

    estimate = load(SNIPPETS / "estimate.py").estimate_history(tweet_ids, end - timedelta(days=90), end)

    assert f"4 windows × 40 batches = {estimate.requests} requests" in page("operators/historical.md")  # noqa: RUF001


def test_the_snippet_for_tests_passes_as_a_test(tmp_path: Path) -> None:
    file = tmp_path / "test_snippet.py"
    file.write_text((SNIPPETS / "simulator_in_tests.py").read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(file)]

    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )

    assert "1 passed" in done.stdout, done.stdout


def pull_ten_days(folder: Path, tweet_ids: list[str], dataset_format: str) -> tuple[datetime, datetime]:
    """Write the hourly impressions of ten days into a dataset, and return the first and the last instant."""
    from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator

    end = pendulum.today("UTC").subtract(days=5)
    start = end.subtract(days=10)
    with DAG("reading", schedule=None):
        operator = EngagementHistoricalOperator(
            task_id="hours",
            tweets=tweet_ids,
            metrics=["impressions"],
            start=start,
            end=end,
            dataset_path=f"file://{folder}",
            dataset_format=dataset_format,
        )
    operator.execute(context_of(operator))
    return start, end


def test_the_readers_snippet_reads_what_was_written(author: Handle, simulator: Simulator, tmp_path: Path) -> None:
    tweet_ids = simulator.world.tweets_of(author.user_id, deleted=False)
    start, end = pull_ten_days(tmp_path, tweet_ids, "parquet")
    read = load(SNIPPETS / "read_dataset.py")

    sums = read.final_impressions(str(tmp_path))

    assert sums == read.impressions_or_null(str(tmp_path))
    assert sums
    assert sums == {tweet_id: simulator.count(tweet_id, "impressions", start, end) for tweet_id in sums}


def test_the_snippets_for_delta_tables_read_what_was_written(
    author: Handle, simulator: Simulator, tmp_path: Path
) -> None:
    tweet_ids = simulator.world.tweets_of(author.user_id, deleted=False)
    start, end = pull_ten_days(tmp_path, tweet_ids, "delta")
    read = load(SNIPPETS / "read_delta.py")

    by_day = dict(read.impressions_by_day(str(tmp_path)))
    hours = read.final_hours(str(tmp_path))
    total = sum(simulator.count(tweet_id, "impressions", start, end) for tweet_id in tweet_ids)

    assert sum(by_day.values()) == hours["impressions"].sum() == total > 0
    assert len(by_day) == 10
    assert read.rows_of_version(str(tmp_path), 1).num_rows == hours.height
    assert read.rows_of_version(str(tmp_path), 0).num_rows == 0


@pytest.mark.dag
def test_the_quickstart_runs_as_it_is_written(airflow_database: None, simulator: Simulator, tmp_path: Path) -> None:
    from airflow_provider_engagement.simulator import description

    told = description(simulator)
    (tmp_path / "engagement-world.json").write_text(json.dumps(told))
    folder = tmp_path / "dags"
    folder.mkdir()
    dag = (SNIPPETS / "quickstart.py").read_text(encoding="utf-8").replace("/tmp/", f"{tmp_path}/")
    (folder / "quickstart.py").write_text(dag, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
        "AIRFLOW_CONN_ENGAGEMENT_DEFAULT": json.dumps(told["connections"]["handle_1"]),
    }

    done = subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "test", "quickstart"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (manifest,) = (tmp_path / "engagement" / "_manifests").iterdir()
    assert json.loads(manifest.read_text())["rows"]["tweet_totals"] > 0


# What the pages say about the paths of a dataset

_WRITTEN_AS_EXAMPLE = re.compile(r"(?P<any>…|\*|(?<![a-z_])(?:dag|task|run)(?![a-z_]))|(?P<digits>\d+)")


def pattern_of(path: str) -> str:
    """Return a regular expression for a path of the pages, in which digits, names and ``…`` or ``*`` are examples."""
    pattern, end = "", 0
    for found in _WRITTEN_AS_EXAMPLE.finditer(path):
        pattern += re.escape(path[end : found.start()])
        pattern += "[^/]+" if found["any"] else rf"\d{{{len(found['digits'])}}}"
        end = found.end()
    return pattern + re.escape(path[end:])


def paths_written(simulator: Simulator, folder: Path, dataset_format: str) -> set[str]:
    """Return the paths of the files that pulls of every operator, granularity and option write into one dataset.

    Pulls move a file to its place, and delete some files. All paths of a file are included.
    """
    from airflow_provider_engagement.operators import engagement, report

    user = next(iter(simulator.world.handles.values()))
    end = pendulum.today("UTC").subtract(days=1)
    shared = {
        "tweets": simulator.world.tweets_of(user.user_id),
        "metrics": ["favorites"],
        "dataset_path": f"file://{folder}",
        "dataset_format": dataset_format,
    }
    past = {**shared, "start": end.subtract(days=2), "end": end, "extra_tables": ["restatements"]}
    moved: set[Path] = set()
    move = os.replace

    def observed_move(source: Any, target: Any) -> None:
        moved.update((Path(source), Path(target)))
        move(source, target)

    with DAG("paths", schedule=None), pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", observed_move)
        patch.setattr(os, "replace", observed_move)
        patch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(connection(simulator, user)))
        pulls = [
            engagement.EngagementTotalsOperator(task_id="totals", auth="user", extra_tables=["owner_ledger"], **shared),
            engagement.Engagement28HourOperator(task_id="last_28_hours", **shared),
            engagement.EngagementHistoricalOperator(task_id="total", granularity="total", **past),
            engagement.EngagementHistoricalOperator(task_id="day", granularity="day", **past),
            engagement.EngagementHistoricalOperator(task_id="hour_of_day", granularity="hour_of_day", **past),
            engagement.EngagementHistoricalOperator(
                task_id="groupings", groupings={"by_metric": ["engagement.type"]}, **past
            ),
        ]
        for pull in pulls:
            pull.execute(context_of(pull))
        made = report.EngagementReportOperator(task_id="report", dataset_path=f"file://{folder}")
        made.execute(context_of(made))
    written = moved | {path for path in folder.rglob("*") if path.is_file()}
    return {str(path.relative_to(folder)) for path in written if path.is_relative_to(folder)}


@pytest.fixture(scope="module")
def written_paths(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths of the files in a dataset of Parquet files."""
    return paths_written(simulator, tmp_path_factory.mktemp("dataset"), "parquet")


@pytest.fixture(scope="module")
def delta_paths(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths of the files in a dataset of Delta tables."""
    return paths_written(simulator, tmp_path_factory.mktemp("dataset"), "delta")


def test_the_documented_tree_is_what_pulls_write(written_paths: set[str]) -> None:
    tree = next(block.code for block in blocks() if block.page.name == "dataset.md" and not block.language)
    root, *lines = tree.splitlines()
    documented = [line.split()[0] for line in lines]
    patterns = [pattern_of(path) + (".+" if path.endswith("/") else "") for path in documented]
    matches = {path: [p for p in patterns if re.fullmatch(p, path)] for path in written_paths}

    assert root.endswith("/")
    assert sorted(path for path, found in matches.items() if len(found) != 1) == []
    assert [p for p in patterns if not any(p in found for found in matches.values())] == []


def test_the_documented_tree_of_delta_tables_is_what_pulls_write(delta_paths: set[str]) -> None:
    tree = next(block.code for block in blocks() if block.page.name == "delta.md" and not block.language)
    documented = [pattern_of(line.split()[0]) + (".+" if line.endswith("/") else "") for line in tree.splitlines()[1:]]
    tables = {path for path in delta_paths if path.startswith(("tweet_totals/", "tweet_metrics/", "tweet_hours"))}

    assert [path for path in documented if not any(re.fullmatch(path, written) for written in tables)] == []
    assert {path.partition("=")[0] for path in tables if path.endswith(".parquet") and "_delta_log" not in path} == {
        "tweet_totals/snapshot_date",
        "tweet_metrics/hour/partition_date",
        "tweet_metrics/day/partition_date",
        "tweet_metrics/total/partition_date",
        "tweet_hours_of_day/partition_date",
    }


def test_the_files_on_the_way_of_a_tweet_appear_as_the_page_says(simulator: Simulator, tmp_path: Path) -> None:
    """The digest of the run is that of the page. Other digests and the time are those of its example."""
    from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator

    user = next(iter(simulator.world.handles.values()))
    with DAG("brand", schedule=None):
        operator = EngagementHistoricalOperator(
            task_id="hours",
            tweets=simulator.world.tweets_of(user.user_id, deleted=False)[-1:],
            metrics=["impressions", "favorites"],
            dataset_path=f"file://{tmp_path}",
        )
    context = context_of(operator)
    context["ti"].run_id = context["dag_run"].run_id = context["run_id"] = "scheduled__2026-01-06T00:00:00+00:00"
    appeared: list[str] = []
    move = os.replace

    def observed_move(source: Any, target: Any) -> None:
        move(source, target)
        appeared.append(str(Path(target).relative_to(tmp_path)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", observed_move)
        patch.setattr(os, "rename", observed_move)
        patch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(connection(simulator, user)))
        operator.execute(context)

    text = page("tweet-way.md")
    documented = text.split("```")[3].split()
    of_run = "a31427092f12"
    patterns = [
        of_run.join(
            re.sub(r"[0-9a-f]{16,}|\d+", lambda it: rf"[0-9a-f]{{{len(it[0])}}}", re.escape(part))
            for part in path.split(of_run)
        )
        for path in documented
    ]
    assert len(appeared) == len(patterns)
    assert [path for path, pattern in zip(appeared, patterns, strict=True) if not re.fullmatch(pattern, path)] == []


@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "tweet-way.md"], ids=name_of)
def test_the_paths_of_a_dataset_on_a_page_are_what_pulls_write(
    path: Path, written_paths: set[str], delta_paths: set[str]
) -> None:
    paths = written_paths | delta_paths
    folders = "|".join(re.escape(name) for name in {written.partition("/")[0] for written in paths})
    shown_paths = re.findall(
        rf"(?<![\w/.])((?:{folders}|_[a-z_]+)/[^\s`'\"|),;<]*)|`(_[a-z_]+)`", path.read_text(encoding="utf-8")
    )
    patterns = [pattern_of(folder or f"{name}/") for folder, name in shown_paths]

    assert [p for p in patterns if not any(re.match(p, written) for written in paths)] == []
