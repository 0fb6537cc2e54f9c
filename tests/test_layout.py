"""Which module can import which. The API knows nothing of Airflow, and the simulator nothing of the client."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_engagement

PACKAGE = airflow_provider_engagement.__name__
FOLDER = Path(airflow_provider_engagement.__file__).parent

BASE = ("exceptions", "quantities", "tweet_id")
HTTP = ("http", "exceptions", "quantities")
API = ("engagement_api", "http", *BASE)
X_API = ("x_api", "http", *BASE)
STORAGE = ("storage", *BASE)
TABLES = ("tables", "engagement_api", "http", *STORAGE)
INPUTS = ("inputs", "tables.granularity", "tables.dataset_format", "storage.paths", *API)
PULL = ("pull", "tables", "progress_bar", *INPUTS, *STORAGE)
CONNECTIONS = ("connections", "storage.paths", "storage.user_information", *INPUTS)
TASKS = ("operators", "assets", "sensors", "hooks", "report", "progress_bar", *CONNECTIONS, *PULL)

ALLOWED = {
    "http": HTTP,
    "engagement_api": API,
    "x_api": X_API,
    "storage": STORAGE,
    "tables": TABLES,
    "inputs": INPUTS,
    "pull": PULL,
    "connections": CONNECTIONS,
    "hooks": ("hooks", *CONNECTIONS),
    "assets": ("tables.granularity", "storage.user_information"),
    "operators": TASKS,
    "sensors": TASKS,
    "retry_policies": TASKS,
    "report": ("report", *PULL),
    "plugin": ("plugin", "inputs", "connections.storage_options", "report", *PULL),
    "transfers": ("transfers", "warehouse", *TASKS),
    "warehouse": ("warehouse", *PULL),
    "__main__": ("report", "inputs", "progress_bar", "connections.storage_options", *PULL),
    "simulator": ("simulator", "engagement_api.catalogue", "tweet_id"),
    "exceptions": (),
    "quantities": (),
    "tweet_id": (),
    "progress_bar": (),
    "get_provider_info": (),
    "__init__": (),
}
"""What each room of the package can import, by prefix. Every module can read the version from the root."""

WITHOUT_AIRFLOW = (
    "http",
    "engagement_api",
    "x_api",
    "storage",
    "tables",
    "pull",
    "inputs",
    "report",
    "warehouse",
    "exceptions",
    "progress_bar",
    "quantities",
    "tweet_id",
    "simulator",
    "get_provider_info",
    "__init__",
)
NOT_FOR_TASKS = ("airflow.models", "airflow.utils.session", "airflow.settings")
IN_THE_API_SERVER = ("plugin",)
"""The room that runs in Airflow's API server, which has the database."""

SLOW_TO_IMPORT = (
    "requests",
    "requests_oauthlib",
    "oauthlib",
    "pyarrow",
    "altair",
    "vl_convert",
    "fastapi",
    "dlt",
    "duckdb",
    "sqlglot",
)

THE_CUT_OF_AN_API = ("catalogue.py", "query.py", "planner.py", "response.py", "client.py")
"""Both APIs have these modules, so that who knows one API finds the way in the other."""

SAME_IN_EVERY_ROOM = ("engagement.py", "rate_limit.py", "__main__.py", *THE_CUT_OF_AN_API)
"""The hook, the operators and the sensor have the name of what they are for, as in Airflow's own providers.

The client of an API extends that of the wire. Two packages are programs, and two describe an API.
"""

MODULES = sorted(FOLDER.rglob("*.py"))


def room_of(module: Path) -> str:
    return module.relative_to(FOLDER).parts[0].removesuffix(".py")


def imports(module: Path) -> Iterator[str]:
    """Yield the full name of each module or member that a file imports, wherever in the file it does so."""
    package = [PACKAGE, *module.relative_to(FOLDER).parts[:-1]]
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def is_in(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def test_a_module_imports_only_what_its_room_allows() -> None:
    forbidden = {}
    for module in MODULES:
        ours = [name.removeprefix(f"{PACKAGE}.") for name in imports(module) if is_in(name, (PACKAGE,))]
        wrong = [name for name in ours if name != "__version__" and not is_in(name, ALLOWED[room_of(module)])]
        if wrong:
            forbidden[str(module.relative_to(FOLDER))] = wrong

    assert forbidden == {}


def test_no_module_imports_the_internals_of_airflow() -> None:
    forbidden = {}
    for module in MODULES:
        room = room_of(module)
        theirs = () if room in IN_THE_API_SERVER else NOT_FOR_TASKS
        theirs += ("airflow",) if room in WITHOUT_AIRFLOW else ()
        if wrong := [name for name in imports(module) if is_in(name, theirs)]:
            forbidden[str(module.relative_to(FOLDER))] = wrong

    assert forbidden == {}


def test_no_two_modules_and_no_two_public_classes_have_the_same_name() -> None:
    modules = Counter(module.name for module in MODULES if module.name not in ("__init__.py", *SAME_IN_EVERY_ROOM))
    classes = Counter(
        node.name
        for module in MODULES
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    )

    assert [name for name, number in (modules + classes).items() if number > 1] == []


def test_the_rules_find_a_forbidden_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "simulator").mkdir()
    module = tmp_path / "simulator" / "forbidden.py"
    module.write_text(
        "from ..engagement_api import planner\n"
        "def later():\n"
        "    import airflow.models.dag\n"
        "    from airflow_provider_engagement.engagement_api.catalogue import METRICS\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "FOLDER", tmp_path)

    assert list(imports(module)) == [
        f"{PACKAGE}.engagement_api.planner",
        "airflow.models.dag",
        f"{PACKAGE}.engagement_api.catalogue.METRICS",
    ]
    assert not is_in("engagement_api.planner", ALLOWED["simulator"])
    assert is_in("engagement_api.catalogue.METRICS", ALLOWED["simulator"])


def loaded_by(*modules: str) -> set[str]:
    """Import modules in a new process, and return the top-level packages that are loaded then."""
    program = f"import json, sys, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    completed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in json.loads(completed.stdout.splitlines()[-1])}


def test_what_dag_files_import_loads_nothing_slow() -> None:
    modules = (
        "operators.engagement",
        "operators.report",
        "sensors.rate_limit",
        "hooks.engagement",
        "transfers.engagement_to_warehouse",
    )

    assert loaded_by(*(f"{PACKAGE}.{module}" for module in modules)).isdisjoint(SLOW_TO_IMPORT)


@pytest.mark.parametrize("room", ["http", "engagement_api", "x_api"])
def test_the_wire_and_the_api_load_nothing_of_airflow(room: str) -> None:
    files = [path.relative_to(FOLDER.parent).with_suffix("") for path in (FOLDER / room).rglob("[!_]*.py")]
    modules = [".".join(path.parts) for path in files]

    assert "airflow" not in loaded_by(*modules)
