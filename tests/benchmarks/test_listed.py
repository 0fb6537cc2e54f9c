"""Every benchmark is listed with what it measures, and accepts its options. Only the backfill is run."""

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


def test_every_benchmark_is_listed_on_one_line() -> None:
    lines = bench().stdout.splitlines()
    assert sorted(line.split()[0] for line in lines) == NAMES
    assert all(line[12:].strip() for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_shows_its_options(name: str) -> None:
    result = bench(name, "--help")
    assert result.returncode == 0, result.stderr
    assert f"scripts/bench {name}" in result.stdout


def test_an_unknown_name_is_rejected_with_the_list_of_names() -> None:
    result = bench("speed")
    assert result.returncode == 2
    assert all(name in result.stderr for name in NAMES)


def test_figures_are_lines_of_json() -> None:
    result = bench("backfill", "--tweets", "30", "--days", "40")
    assert result.returncode == 0, result.stderr
    figures = [json.loads(line) for line in result.stdout.splitlines()]
    assert [set(figure) for figure in figures] == [{"name", "value", "unit", "goal"}] * len(figures)
    ratio = next(figure for figure in figures if figure["name"] == "daily runs compared with one pull")
    assert ratio["value"] <= 1.1
