"""How logs, errors and reports name numbers of things."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_provider_engagement
from airflow_provider_engagement.quantities import counted

FOLDER = Path(airflow_provider_engagement.__file__).parent


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 requests"), (1, "1 request"), (2, "2 requests"), (1500, "1,500 requests")],
)
def test_one_thing_is_named_in_the_singular(number: int, words: str) -> None:
    assert counted(number, "request") == words


def test_no_log_line_has_a_number_before_a_fixed_plural() -> None:
    pattern = re.compile(r"%d (?:Tweets|files|hours|ids|owners|partitions|requests|rows)\b")
    found = [
        f"{path.relative_to(FOLDER)}: {match[0]}"
        for path in sorted(FOLDER.rglob("*.py"))
        for match in pattern.finditer(path.read_text())
    ]

    # Each conflict among at most ten is a line of its own, so this number is above ten.
    assert found == ["inputs/tweet_ids.py: %d Tweets"]
