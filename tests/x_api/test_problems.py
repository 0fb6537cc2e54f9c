"""Problems are told apart by their type, whatever its host, and each states whether a retry can succeed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.exceptions import (
    ApiError,
    AuthenticationError,
    CreditsDepletedError,
    EndpointNotFoundError,
    NotEntitledError,
    PermanentError,
    RequestRejectedError,
    ServerError,
    TransientError,
    UsageCapError,
)
from airflow_provider_engagement.x_api.problems import (
    ProblemType,
    error_for_problem,
    is_usage_cap,
    read_problems,
    words_of,
)

from . import bodies


def error_for(status: int, body: object) -> ApiError:
    return error_for_problem(endpoint="tweets", status=status, body=body, host="https://api.x.com", request_id="r-1")


@pytest.mark.parametrize("host", [bodies.OLD_HOST, bodies.NEW_HOST, "https://elsewhere.example/"])
@pytest.mark.parametrize("segment", [one.value for one in ProblemType if one is not ProblemType.OTHER])
def test_only_the_last_segment_of_a_type_counts(host: str, segment: str) -> None:
    assert ProblemType.from_url(f"{host}{segment}") == segment
    assert ProblemType.from_url(f"{host}{segment}/") == segment


@pytest.mark.parametrize("url", ["about:blank", "https://api.x.com/2/problems/brand-new", "", None, 7])
def test_an_unknown_type_is_another_problem(url: object) -> None:
    assert ProblemType.from_url(url) is ProblemType.OTHER


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (401, bodies.UNAUTHORIZED, AuthenticationError, "Unauthorized"),
        (402, bodies.CREDITS, CreditsDepletedError, "does not have any credits"),
        (402, {"title": "CreditsDepleted"}, CreditsDepletedError, "CreditsDepleted"),
        (403, bodies.NOT_ENROLLED, NotEntitledError, "attached to a Project"),
        (403, bodies.UNSUPPORTED, AuthenticationError, "Application-Only"),
        (429, bodies.USAGE_CAPPED, UsageCapError, "Monthly product cap"),
        (400, bodies.TOO_MANY_IDS, RequestRejectedError, "is not between 1 and 100"),
        (403, {"title": "Forbidden", "type": "about:blank"}, NotEntitledError, "Forbidden"),
        (404, None, EndpointNotFoundError, ""),
        (307, None, EndpointNotFoundError, ""),
    ],
)
def test_what_a_retry_cannot_repair_is_permanent(status: int, body: object, error: type[ApiError], words: str) -> None:
    found = error_for(status, body)

    assert type(found) is error
    assert isinstance(found, PermanentError)
    assert words in str(found)
    assert str(found).startswith(f"tweets: HTTP {status}. ")


@pytest.mark.parametrize(
    ("status", "body"), [(503, None), (500, {"title": "Oops"}), (408, None), (200, {"errors": []})]
)
def test_what_a_retry_may_repair_is_transient(status: int, body: object) -> None:
    found = error_for(status, body)

    assert type(found) is ServerError
    assert isinstance(found, TransientError)


def test_our_remedy_comes_before_the_misleading_words_of_x() -> None:
    text = str(error_for(403, bodies.NOT_ENROLLED))

    assert "client-not-enrolled" in text
    assert text.index("X requires: Appropriate Level of API Access.") < text.index("Use keys from an App")
    assert "Attaching the app to a Project, as X's message says, does not help" in text


def test_long_lists_of_ids_in_the_words_of_x_are_cut() -> None:
    text = str(error_for(400, bodies.TOO_MANY_IDS))

    assert "1990000000000000000,1990000000000000001,1990000000000000002 and 98 more" in text
    assert "1990000000000000050" not in text
    assert len(text) < 500


@pytest.mark.parametrize(
    ("body", "expected"),
    [(bodies.USAGE_CAPPED, True), (bodies.RATE_LIMIT, False), (bodies.OLD_RATE_LIMIT, False), (None, False)],
)
def test_a_cap_of_the_month_is_no_rate_limit(body: object, expected: bool) -> None:
    assert is_usage_cap(body) is expected


def test_each_refused_field_is_a_problem_of_its_tweet() -> None:
    problems = read_problems({"errors": bodies.refused_fields(bodies.FOREIGN)})

    assert {problem.type for problem in problems} == {ProblemType.NOT_AUTHORIZED_FOR_FIELD}
    assert {problem.resource_id for problem in problems} == {bodies.FOREIGN}
    assert len({problem.field for problem in problems}) == 9
    assert not any(problem.is_included for problem in problems)


@pytest.mark.parametrize(
    ("section", "parameter"),
    [("includes", "ids"), ("data", "referenced_tweets.id"), ("includes", "referenced_tweets.id")],
)
def test_a_problem_with_a_referenced_tweet_is_not_about_the_request(section: str, parameter: str) -> None:
    problems = read_problems({"errors": bodies.refused_fields("1", section=section, parameter=parameter)})

    assert all(problem.is_included for problem in problems)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["errors", "title", "type", "detail", "message", "reason", "value"]) | st.text(), inner
        )
    ),
)


@given(st.integers(200, 599), JSON)
def test_any_body_is_an_error_in_words(status: int, body: Any) -> None:
    assert str(error_for(status, body)).startswith(f"tweets: HTTP {status}. ")
    assert all(isinstance(text, str) for text in words_of(read_problems(body)))
