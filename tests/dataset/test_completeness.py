"""The rule that decides whether a pull succeeded, and what a retry would do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.response import Outcome, TweetStatus
from airflow_provider_engagement.dataset.completeness import check_complete
from airflow_provider_engagement.dataset.manifest import ACCEPTED_BY_DEFAULT, Outcomes
from airflow_provider_engagement.exceptions import (
    EngagementError,
    ForbiddenTweetsError,
    IncompletePullError,
    NoResponseError,
    PermanentError,
    RequestRejectedError,
    TransientError,
)

MakeRequest = Callable[..., Request]

FORBIDDEN: dict[str, Any] = {"endpoint": "totals", "status": 403}


def forbidden(**ids_by_author: tuple[str, ...]) -> ForbiddenTweetsError:
    by_author = {author.removeprefix("a") or None: ids for author, ids in ids_by_author.items()}
    return ForbiddenTweetsError("not yours", tweet_ids_by_author=by_author, **FORBIDDEN)


def outcomes(**by_tweet: Outcome) -> Outcomes:
    found = Outcomes()
    found.add(
        (tweet_id.removeprefix("t"), TweetStatus(outcome, (), f"reason of {outcome}"))
        for tweet_id, outcome in by_tweet.items()
    )
    return found


@pytest.fixture
def failing(request_for: MakeRequest) -> Callable[..., list[tuple[Request, EngagementError]]]:
    """Pair errors with requests."""
    return lambda *errors: [(request_for(str(number)), error) for number, error in enumerate(errors, start=1)]


def test_a_pull_without_a_gap_is_complete() -> None:
    check_complete(outcomes(t1=Outcome.OK), (), [])


def test_what_is_accepted_is_complete() -> None:
    found = outcomes(t1=Outcome.UNAVAILABLE, t2=Outcome.UNSUPPORTED_90D, t3=Outcome.UNSUPPORTED_VIDEO)
    check_complete(found, ACCEPTED_BY_DEFAULT, [])


def test_a_failed_request_whose_tweets_are_accepted_as_failed_is_complete(failing: Any) -> None:
    check_complete(outcomes(t1=Outcome.FAILED), [Outcome.FAILED], failing(NoResponseError("silence")))


def test_missing_data_fail_with_numbers_examples_reason_and_remedy() -> None:
    found = outcomes(t1=Outcome.OK, t2=Outcome.NO_DATA, t3=Outcome.NO_DATA)
    with pytest.raises(IncompletePullError) as raised:
        check_complete(found, ACCEPTED_BY_DEFAULT, [])
    text = str(raised.value)
    for part in ("2 of 3 Tweets", "2 no_data", "2, 3", "reason of no_data", "accepted_outcomes"):
        assert part in text
    assert isinstance(raised.value, TransientError)


def test_a_request_without_an_answer_is_worth_a_retry(failing: Any) -> None:
    with pytest.raises(IncompletePullError, match="failed"):
        check_complete(outcomes(t1=Outcome.FAILED), ACCEPTED_BY_DEFAULT, failing(NoResponseError("silence")))


def test_other_authors_tweets_of_all_requests_are_named_together_by_author(failing: Any) -> None:
    errors = failing(forbidden(a7=("1", "2"), a8=("3",)), forbidden(a7=("4",), a=("5",)))
    with pytest.raises(ForbiddenTweetsError) as raised:
        check_complete(outcomes(t1=Outcome.FAILED, t4=Outcome.FAILED), ACCEPTED_BY_DEFAULT, errors)
    assert raised.value.tweet_ids_by_author == {"7": ("1", "2", "4"), "8": ("3",), None: ("5",)}
    text = str(raised.value)
    for part in ("5 Tweet(s)", "author 7: 1, 2, 4", "author 8: 3", "author not named: 5", "'forbidden'"):
        assert part in text
    assert isinstance(raised.value, PermanentError)


def test_a_refusal_that_would_come_again_is_permanent(failing: Any) -> None:
    refused = RequestRejectedError("refused", endpoint="totals", status=400)
    with pytest.raises(RequestRejectedError) as raised:
        check_complete(outcomes(t1=Outcome.FAILED), ACCEPTED_BY_DEFAULT, failing(refused, forbidden(a7=("2",))))
    assert raised.value is refused


def test_a_permanent_failure_beside_one_that_may_pass_is_worth_a_retry(failing: Any) -> None:
    with pytest.raises(IncompletePullError):
        check_complete(
            outcomes(t1=Outcome.FAILED, t2=Outcome.FAILED),
            ACCEPTED_BY_DEFAULT,
            failing(forbidden(a7=("1",)), NoResponseError("silence")),
        )


def test_a_permanent_failure_does_not_hide_data_that_a_retry_may_bring(failing: Any) -> None:
    found = outcomes(t1=Outcome.FAILED, t2=Outcome.NO_DATA)
    with pytest.raises(IncompletePullError, match="no_data"):
        check_complete(found, ACCEPTED_BY_DEFAULT, failing(forbidden(a7=("1",))))


def test_accepted_gaps_beside_a_permanent_failure_do_not_make_it_worth_a_retry(failing: Any) -> None:
    found = outcomes(t1=Outcome.FAILED, t2=Outcome.UNAVAILABLE)
    with pytest.raises(ForbiddenTweetsError):
        check_complete(found, ACCEPTED_BY_DEFAULT, failing(forbidden(a7=("1",))))


@pytest.mark.parametrize("outcome", [Outcome.UNAVAILABLE, Outcome.UNSUPPORTED_90D, Outcome.FORBIDDEN])
def test_a_gap_that_no_retry_can_fill_is_permanent(outcome: Outcome) -> None:
    with pytest.raises(PermanentError, match="accepted_outcomes"):
        check_complete(outcomes(t1=Outcome.OK, t2=outcome), (), [])
