"""Every benchmark is listed, says what it measures, and takes its options. None is run here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
SHARED = {"__main__", "figures", "histories", "operators", "simulators", "test_listed"}
NAMES = sorted({path.stem for path in FOLDER.glob("*.py")} - SHARED)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(FOLDER.parents[1])},
    )


def test_each_module_is_listed_in_one_line() -> None:
    lines = bench().stdout.splitlines()
    assert sorted(line.split()[0] for line in lines) == NAMES
    assert all(line[12:].strip() for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_each_tells_its_options(name: str) -> None:
    told = bench(name, "--help")
    assert told.returncode == 0, told.stderr
    assert f"scripts/bench {name}" in told.stdout


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    refused = bench("speed")
    assert refused.returncode == 2
    assert all(name in refused.stderr for name in NAMES)


def test_figures_are_lines_of_json() -> None:
    told = bench("backfill", "--tweets", "30", "--days", "40")
    assert told.returncode == 0, told.stderr
    figures = [json.loads(line) for line in told.stdout.splitlines()]
    assert [set(figure) for figure in figures] == [{"name", "value", "unit", "goal"}] * len(figures)
    ratio = next(figure for figure in figures if figure["name"] == "daily runs against one pull")
    assert ratio["value"] <= 1.1
