"""Who may import whom. The rules keep the API free of Airflow and the simulator free of the client."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_engagement

PACKAGE = airflow_provider_engagement.__name__
FOLDER = Path(airflow_provider_engagement.__file__).parent

API = ("api", "exceptions")
EVERYTHING_BUT_THE_SIMULATOR = ("api", "dataset", "exceptions", "hooks", "operators", "sensors", "transfers")

ALLOWED = {
    "api": API,
    "dataset": ("dataset", *API),
    "hooks": ("hooks", *API),
    "operators": EVERYTHING_BUT_THE_SIMULATOR,
    "sensors": EVERYTHING_BUT_THE_SIMULATOR,
    "transfers": EVERYTHING_BUT_THE_SIMULATOR,
    "retry_policies": EVERYTHING_BUT_THE_SIMULATOR,
    "simulator": ("simulator", "api.catalogue", "api.tweet_id"),
    "exceptions": (),
    "get_provider_info": (),
    "__init__": (),
}
"""What of the package each part of it may import, by prefix. Anyone may read the version from its root."""

WITHOUT_AIRFLOW = ("api", "dataset", "simulator", "get_provider_info", "__init__")
NO_BUSINESS_OF_A_TASK = ("airflow.models", "airflow.utils.session", "airflow.settings")
SLOW_TO_IMPORT = ("requests", "requests_oauthlib", "oauthlib", "pyarrow")

MODULES = sorted(FOLDER.rglob("*.py"))


def part_of(module: Path) -> str:
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


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(FOLDER)))
def test_a_module_imports_only_what_its_part_may(module: Path) -> None:
    part = part_of(module)
    ours = [name.removeprefix(f"{PACKAGE}.") for name in imports(module) if is_in(name, (PACKAGE,))]

    forbidden = [name for name in ours if name != "__version__" and not is_in(name, ALLOWED[part])]

    assert forbidden == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(FOLDER)))
def test_no_module_reaches_into_airflows_inside(module: Path) -> None:
    theirs = NO_BUSINESS_OF_A_TASK + (("airflow",) if part_of(module) in WITHOUT_AIRFLOW else ())

    assert [name for name in imports(module) if is_in(name, theirs)] == []


def test_the_rules_find_what_they_forbid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "simulator").mkdir()
    module = tmp_path / "simulator" / "cheat.py"
    module.write_text(
        "from ..api import planner\n"
        "def later():\n"
        "    import airflow.models.dag\n"
        "    from airflow_provider_engagement.api.catalogue import METRICS\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "FOLDER", tmp_path)

    assert list(imports(module)) == [
        f"{PACKAGE}.api.planner",
        "airflow.models.dag",
        f"{PACKAGE}.api.catalogue.METRICS",
    ]
    assert not is_in("api.planner", ALLOWED["simulator"])
    assert is_in("api.catalogue.METRICS", ALLOWED["simulator"])


def loaded_by(*modules: str) -> set[str]:
    """Import modules in a fresh process and return the first component of all that is then loaded."""
    program = f"import json, sys, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in json.loads(answer.stdout.splitlines()[-1])}


def test_importing_the_operators_loads_nothing_slow() -> None:
    modules = [".".join([PACKAGE, "operators", path.stem]) for path in (FOLDER / "operators").glob("[!_]*.py")]

    assert loaded_by(*modules).isdisjoint(SLOW_TO_IMPORT)


def test_the_api_loads_nothing_of_airflow() -> None:
    modules = [".".join([PACKAGE, "api", path.stem]) for path in (FOLDER / "api").glob("[!_]*.py")]

    assert "airflow" not in loaded_by(*modules)
