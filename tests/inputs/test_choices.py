"""Names that a parameter chooses from."""

from __future__ import annotations

import pytest

from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.choices import (
    ACCEPTED_BY_DEFAULT,
    parse_accepted_outcomes,
    parse_choice,
    parse_granularity,
)
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.granularity import Granularity


def test_a_choice_is_read_from_its_name_or_its_member() -> None:
    for value in ("parquet", " Parquet ", DatasetFormat.PARQUET):
        assert parse_choice(value, DatasetFormat, field="dataset_format") is DatasetFormat.PARQUET


def test_the_error_shows_the_value_and_lists_the_choices() -> None:
    for value, shown in (("xlsx", "'xlsx'"), (None, "None"), (7, "7")):
        with pytest.raises(InvalidQueryError) as error:
            parse_choice(value, DatasetFormat, field="dataset_format")

        assert str(error.value) == (
            f"dataset_format: {shown} is not a valid choice. Choose one of parquet, csv, jsonl, delta."
        )


@pytest.mark.parametrize("value", ["day", Granularity.DAY])
def test_the_error_of_an_unsupported_granularity_names_the_endpoint_and_never_a_repr(value: object) -> None:
    with pytest.raises(InvalidQueryError) as error:
        parse_granularity(value, ("hour", "total", "hour_of_day"), endpoint="28hr")

    assert str(error.value) == ("granularity: '28hr' does not support 'day'. Choose one of hour, total, hour_of_day.")


def test_outcomes_are_accepted_by_name() -> None:
    expected = (Outcome.FORBIDDEN, Outcome.NO_DATA)

    for value in (["forbidden", "no_data"], "forbidden, no_data", '["forbidden", "no_data"]', expected):
        assert parse_accepted_outcomes(value) == expected
    assert parse_accepted_outcomes(None) == ACCEPTED_BY_DEFAULT
    assert parse_accepted_outcomes([]) == ()


def test_an_unknown_outcome_is_an_error() -> None:
    with pytest.raises(InvalidQueryError, match=r"^accepted_outcomes: 'gone' is not a valid choice\. Choose one of "):
        parse_accepted_outcomes(["unavailable", "gone"])
