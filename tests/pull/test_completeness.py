"""Whether a pull is complete, and otherwise whether a retry can help."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.response import Outcome, TweetStatus
from airflow_provider_engagement.exceptions import (
    EngagementError,
    ForbiddenTweetsError,
    IncompletePullError,
    NoResponseError,
    PermanentError,
    RequestRejectedError,
    TransientError,
    UnacceptedGapsError,
)
from airflow_provider_engagement.inputs.choices import ACCEPTED_BY_DEFAULT
from airflow_provider_engagement.pull.completeness import OutcomeSummary, completeness_error

Failures = list[tuple[Request, EngagementError]]


def forbidden(**ids_by_author: tuple[str, ...]) -> ForbiddenTweetsError:
    by_author = {author.removeprefix("a") or None: ids for author, ids in ids_by_author.items()}
    return ForbiddenTweetsError("not yours", tweet_ids_by_author=by_author, endpoint="totals", status=403)


def outcomes(**by_tweet: Outcome) -> OutcomeSummary:
    summary = OutcomeSummary()
    summary.add(
        (tweet_id.removeprefix("t"), TweetStatus(outcome, (), f"reason of {outcome}"))
        for tweet_id, outcome in by_tweet.items()
    )
    return summary


def check_complete(found: OutcomeSummary, accepted: Sequence[Outcome], failed: Failures) -> None:
    error = completeness_error(found, accepted, failed)
    if error is not None:
        raise error


@pytest.fixture
def failures(request_for: Callable[..., Request]) -> Callable[..., Failures]:
    """Pair each error with a request."""
    return lambda *errors: [(request_for(str(number)), error) for number, error in enumerate(errors, start=1)]


def test_a_pull_without_gaps_is_complete() -> None:
    assert completeness_error(outcomes(t1=Outcome.OK), (), []) is None


def test_a_pull_with_accepted_outcomes_is_complete() -> None:
    found = outcomes(t1=Outcome.UNAVAILABLE, t2=Outcome.UNSUPPORTED_90D, t3=Outcome.UNSUPPORTED_VIDEO)
    assert completeness_error(found, ACCEPTED_BY_DEFAULT, []) is None


def test_a_failed_request_is_complete_if_failed_is_accepted(failures: Callable[..., Failures]) -> None:
    failed = failures(NoResponseError("timeout"))
    assert completeness_error(outcomes(t1=Outcome.FAILED), [Outcome.FAILED], failed) is None


def test_the_error_names_numbers_examples_reason_and_remedy() -> None:
    found = outcomes(t1=Outcome.OK, t2=Outcome.NO_DATA, t3=Outcome.NO_DATA)
    with pytest.raises(IncompletePullError) as raised:
        check_complete(found, ACCEPTED_BY_DEFAULT, [])
    assert str(raised.value) == (
        "2 of 3 Tweets are not complete: 2 no_data (for example 2, 3: reason of no_data). The responses are stored. "
        "A retry requests only what is missing. To accept an outcome, add it to accepted_outcomes."
    )
    assert isinstance(raised.value, TransientError)


def test_a_request_without_a_response_can_be_retried(failures: Callable[..., Failures]) -> None:
    with pytest.raises(IncompletePullError, match="failed"):
        check_complete(outcomes(t1=Outcome.FAILED), ACCEPTED_BY_DEFAULT, failures(NoResponseError("timeout")))


def test_one_error_names_the_tweets_of_other_users_in_all_requests(failures: Callable[..., Failures]) -> None:
    errors = failures(forbidden(a7=("1", "2"), a8=("3",)), forbidden(a7=("4",), a=("5",)))
    with pytest.raises(ForbiddenTweetsError) as raised:
        check_complete(outcomes(t1=Outcome.FAILED, t4=Outcome.FAILED), ACCEPTED_BY_DEFAULT, errors)
    assert raised.value.tweet_ids_by_author == {"7": ("1", "2", "4"), "8": ("3",), None: ("5",)}
    text = str(raised.value)
    for expected in ("5 of the Tweets", "user 7: 1, 2, 4", "user 8: 3", "unknown user: 5", "'forbidden'"):
        assert expected in text
    assert isinstance(raised.value, PermanentError)


def test_the_first_of_several_permanent_errors_is_raised(failures: Callable[..., Failures]) -> None:
    rejected = RequestRejectedError("rejected", endpoint="totals", status=400)
    with pytest.raises(RequestRejectedError) as raised:
        check_complete(outcomes(t1=Outcome.FAILED), ACCEPTED_BY_DEFAULT, failures(rejected, forbidden(a7=("2",))))
    assert raised.value is rejected


def test_a_permanent_error_beside_a_transient_one_can_be_retried(failures: Callable[..., Failures]) -> None:
    errors = failures(forbidden(a7=("1",)), NoResponseError("timeout"))
    with pytest.raises(IncompletePullError):
        check_complete(outcomes(t1=Outcome.FAILED, t2=Outcome.FAILED), ACCEPTED_BY_DEFAULT, errors)


def test_a_permanent_error_beside_missing_data_can_be_retried(failures: Callable[..., Failures]) -> None:
    found = outcomes(t1=Outcome.FAILED, t2=Outcome.NO_DATA)
    with pytest.raises(IncompletePullError, match="no_data"):
        check_complete(found, ACCEPTED_BY_DEFAULT, failures(forbidden(a7=("1",))))


def test_accepted_gaps_beside_a_permanent_error_leave_it_permanent(failures: Callable[..., Failures]) -> None:
    found = outcomes(t1=Outcome.FAILED, t2=Outcome.UNAVAILABLE)
    with pytest.raises(ForbiddenTweetsError):
        check_complete(found, ACCEPTED_BY_DEFAULT, failures(forbidden(a7=("1",))))


@pytest.mark.parametrize("outcome", [Outcome.UNAVAILABLE, Outcome.UNSUPPORTED_90D, Outcome.FORBIDDEN])
def test_a_gap_that_the_api_explains_is_permanent(outcome: Outcome) -> None:
    with pytest.raises(UnacceptedGapsError, match=r"A retry returns the same result.*accepted_outcomes") as raised:
        check_complete(outcomes(t1=Outcome.OK, t2=outcome), (), [])
    assert isinstance(raised.value, PermanentError)


def test_deleted_tweets_and_unsupported_metrics_are_accepted_by_default() -> None:
    explained = {"t1": Outcome.UNAVAILABLE, "t2": Outcome.UNSUPPORTED_90D, "t3": Outcome.UNSUPPORTED_VIDEO}
    found = outcomes(**explained, t4=Outcome.OK)
    assert found.not_accepted(ACCEPTED_BY_DEFAULT) == {}
    assert found.not_accepted(()) == dict.fromkeys(explained.values(), 1)


def test_other_outcomes_are_not_accepted_by_default() -> None:
    for outcome in (Outcome.FAILED, Outcome.FORBIDDEN, Outcome.NO_DATA):
        assert outcomes(t1=outcome).not_accepted(ACCEPTED_BY_DEFAULT) == {outcome: 1}


def test_one_missing_tweet_is_named_in_the_singular() -> None:
    error = completeness_error(outcomes(t1=Outcome.NO_DATA), [], [])

    assert str(error).startswith("1 of 1 Tweet is not complete: 1 no_data")
