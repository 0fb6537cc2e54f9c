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
TABLES = ("tables", "engagement_api", "x_api", "http", *STORAGE)
INPUTS = ("inputs", "tables.granularity", "tables.dataset_format", "storage.paths", *API, *X_API)
PULL = ("pull", "tables", "progress_bar", *INPUTS, *STORAGE)
CONNECTIONS = ("connections", "storage.paths", "storage.table_options", "storage.user_information", *INPUTS)
TASKS = ("operators", "parameters", "assets", "sensors", "hooks", "report", "progress_bar", *CONNECTIONS, *PULL)

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
    "assets": ("tables.tables", "storage.user_information"),
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
    "parameters": (),
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


def test_a_room_imports_only_rooms_of_lower_lines_of_the_architecture_page() -> None:
    page = (FOLDER.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    lines = [line.split() for line in page.split("```")[1].split("\n")]
    line_of = {room: number for number, line in enumerate(lines) for room in line}
    rooms = {path.parent.name for path in FOLDER.glob("*/__init__.py")}
    upward = {
        (room_of(module), name)
        for module in MODULES
        for name in (name.split(".")[1] for name in imports(module) if name.startswith(f"{PACKAGE}."))
        if room_of(module) in line_of and name in line_of
        if name != room_of(module) and line_of[name] <= line_of[room_of(module)]
    }

    assert set(line_of) == rooms - {"simulator"}
    assert upward == set()


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


# Which imports stand in functions, and circles.

ENTRIES = ("operators", "sensors", "transfers", "hooks", "plugin.airflow_plugin", "__main__")
"""What Airflow or a shell loads without using it. Its methods import what they need, and nothing else does."""

OPTIONAL = ("altair", "vl_convert", "fastapi", "dlt", "duckdb", "deltalake", "psycopg2", "rich")
"""Packages that an extra installs. What imports them can be imported in a function."""


class Imports(ast.NodeVisitor):
    """The modules of this package that a module imports: at its top, for types alone, and in each function."""

    def __init__(self, names: frozenset[str], text: str) -> None:
        self.names = names
        self.at_top: set[str] = set()
        self.for_types: set[str] = set()
        self.in_functions: list[tuple[str, frozenset[str]]] = []
        self.optional = False
        self._found = self.at_top
        self._function = ""
        self.visit(ast.parse(text))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer = self._function
        self._function = f"{outer}.{node.name}" if outer else node.name
        self.generic_visit(node)
        self._function = outer

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.dump(node.test):
            self.generic_visit(node)
            return
        self._found, outer = self.for_types, self._found
        self.generic_visit(node)
        self._found = outer

    def visit_Import(self, node: ast.Import) -> None:
        self._add({alias.name for alias in node.names})

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        members = {f"{node.module}.{alias.name}" for alias in node.names}
        self._add({member if member in self.names else str(node.module) for member in members})

    def _add(self, modules: set[str]) -> None:
        if not self._function:
            self.optional |= self._found is self.at_top and any(is_in(name, OPTIONAL) for name in modules)
            self._found |= modules & self.names
        elif modules & self.names:
            self.in_functions.append((self._function, frozenset(modules & self.names)))


def imports_by_module(folder: Path = FOLDER, package: str = PACKAGE) -> dict[str, Imports]:
    names = {}
    for path in folder.rglob("*.py"):
        parts = [package, *path.relative_to(folder).with_suffix("").parts]
        names[".".join(part for part in parts if part != "__init__")] = path.read_text(encoding="utf-8")
    return {name: Imports(frozenset(names), text) for name, text in names.items()}


def optional_modules(found: dict[str, Imports]) -> set[str]:
    """Return the modules that cannot be imported without an optional package."""
    optional = {name for name, imported in found.items() if imported.optional}
    while more := {name for name, imported in found.items() if imported.at_top & optional} - optional:
        optional |= more
    return optional


def wrong_imports_in_functions(found: dict[str, Imports]) -> list[str]:
    """Return the functions with an import that belongs to the top of the file, or with more than one."""
    optional = optional_modules(found)
    wrong = []
    for name, imported in found.items():
        room = name.removeprefix(f"{PACKAGE}.")
        entry, entries = is_in(room, ENTRIES), Counter(function for function, _ in imported.in_functions)
        for function, modules in imported.in_functions:
            if (entry and entries[function] > 1 and room != "__main__") or not (entry or modules <= optional):
                wrong.append(f"{room}: {function}")
    return wrong


def circles(found: dict[str, Imports]) -> list[str]:
    """Return the modules that import themselves through others, be it for types alone."""
    edges = {name: (imported.at_top | imported.for_types) - {name} for name, imported in found.items()}
    while free := {name for name, targets in edges.items() if not targets}:
        edges = {name: targets - free for name, targets in edges.items() if name not in free}
    # What is left leads into a circle. Modules that no other one imports are not on it.
    while outside := edges.keys() - set().union(*edges.values()):
        edges = {name: targets for name, targets in edges.items() if name not in outside}
    return sorted(edges)


def test_an_entry_has_one_import_of_its_own_and_all_others_stand_at_the_top() -> None:
    assert wrong_imports_in_functions(imports_by_module()) == []


def test_no_module_imports_itself_through_others() -> None:
    assert circles(imports_by_module()) == []


def test_the_rules_find_an_import_in_a_function_and_a_circle(tmp_path: Path) -> None:
    for name, text in {
        "pull/run.py": "if TYPE_CHECKING:\n    from {0}.pull.plan import Plan\ndef run():\n    from {0} import pull",
        "pull/__init__.py": "",
        "pull/plan.py": "from {0}.pull import run",
        "pull/reader.py": "from {0}.pull import plan\ndef read():\n    from {0}.pull.delta import open_table",
        "pull/delta.py": "import deltalake",
        "hooks/hook.py": "def use():\n    from {0}.pull import run\n    from {0}.pull import plan",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.format(PACKAGE))
    found = imports_by_module(tmp_path)

    assert circles(found) == [f"{PACKAGE}.pull.plan", f"{PACKAGE}.pull.run"]
    assert sorted(wrong_imports_in_functions(found)) == ["hooks.hook: use", "hooks.hook: use", "pull.run: run"]


def loaded_by(*modules: str) -> set[str]:
    """Import modules in a new process, and return the top-level packages that are loaded then."""
    program = f"import json, sys, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    completed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in json.loads(completed.stdout.splitlines()[-1])}


def test_what_dag_files_import_loads_nothing_slow() -> None:
    modules = (
        "operators.engagement",
        "operators.report",
        "operators.tweets",
        "sensors.rate_limit",
        "hooks.engagement",
        "transfers.engagement_to_warehouse",
    )

    assert loaded_by(*(f"{PACKAGE}.{module}" for module in modules)).isdisjoint(SLOW_TO_IMPORT)


@pytest.mark.parametrize("room", ["http", "engagement_api", "x_api", "storage", "tables", "inputs", "pull"])
def test_a_pull_and_what_is_below_it_load_nothing_of_airflow(room: str) -> None:
    files = [path.relative_to(FOLDER.parent).with_suffix("") for path in (FOLDER / room).rglob("[!_]*.py")]
    modules = [".".join(path.parts) for path in files]

    assert "airflow" not in loaded_by(*modules)
