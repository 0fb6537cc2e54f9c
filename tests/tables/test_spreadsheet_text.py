"""No spreadsheet executes a text of a CSV document, whatever its locale."""

from __future__ import annotations

import csv
import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.tables.spreadsheet_text import inert

ROW_ENDS = re.compile("[\r\n]")


def is_formula(cell: str) -> bool:
    """Return whether a spreadsheet could execute a cell, by the rules of Unicode rather than by a list."""
    for character in cell:
        if character.isspace() or character in "\"'" or unicodedata.category(character) in ("Cc", "Cf"):
            if character == "'":
                return False
            continue
        return unicodedata.normalize("NFKC", character)[0] in "=+-@\u2212"
    return False


def cells_of(text: str, *, separator: str) -> list[str]:
    """Return the cells of a row that a spreadsheet makes if it takes no notice of quotes in the middle of a line."""
    output = io.StringIO()
    csv.writer(output).writerow(["first", text])
    return [cell for line in ROW_ENDS.split(output.getvalue()) for cell in line.split(separator)]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\uff1d1+1",
        "\uff0b1",
        "\uff0d1",
        "\uff20SUM(A1)",
        "\u22121",
        "\u00a0=1+1",
        "\u3000=1+1",
        "\u200b=1+1",
        "\ufeff=1+1",
        "\t=1+1",
        "\r=1+1",
        " \x00=1+1",
        '"=1+1',
        "\ttext",
        "\rtext",
        "\ntext",
    ],
)
def test_a_text_that_begins_like_a_formula_has_an_apostrophe_in_front(text: str) -> None:
    assert inert(text)[0] == "'"


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_no_part_of_a_text_becomes_a_formula_where_another_character_separates_cells(separator: str) -> None:
    for text in (f"a{separator}=HYPERLINK(1)", f'a{separator}"=HYPERLINK(1)"', f"a{separator}\u00a0\uff1d1", "a\n=1"):
        assert not any(map(is_formula, cells_of(inert(text), separator=separator)))


@given(st.text(alphabet=st.sampled_from("a;|,=+-@\uff1d\uff0b\u2212\u00a0\u200b\t\r\n'\" 1"), max_size=12))
def test_no_text_is_a_formula_in_any_locale(text: str) -> None:
    for separator in (",", ";", "\t", "|"):
        # What begins with a separator has its apostrophe in front of that.
        text = text.lstrip("\t\r\n;|\u00a0\u200b'\" ")
        cells = cells_of(inert(text), separator=separator) if separator != "," else [inert(text)]
        assert not any(map(is_formula, cells)), cells


@given(st.characters())
def test_every_character_that_unicode_maps_to_the_start_of_a_formula_is_known(character: str) -> None:
    assert not is_formula(inert(f"{character}1"))


@pytest.mark.parametrize("text", ["", "impressions", "1 - 2", "a=b", "a;b", "no - reason", "https://x.com/i/status/1"])
def test_a_text_that_is_no_formula_is_not_changed(text: str) -> None:
    assert inert(text) == text


def test_a_long_text_takes_no_longer_than_its_length_requires() -> None:
    # A million characters take less than a second. If each separator looked at all that follow, they would take hours.
    assert inert("a" + "\t" * 1_000_000) == "a" + "\t" * 1_000_000
    assert inert("a;" + " " * 1_000_000 + "=") == "a;" + " " * 1_000_000 + "'="
