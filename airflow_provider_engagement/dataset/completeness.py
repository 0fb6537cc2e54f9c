"""The rule that decides whether a pull succeeded."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from airflow_provider_engagement.api.error_responses import forbidden_summary
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.response import Outcome
from airflow_provider_engagement.dataset.manifest import Outcomes
from airflow_provider_engagement.exceptions import (
    EngagementError,
    ForbiddenTweetsError,
    IncompletePullError,
    PermanentError,
    UnacceptedGapsError,
)


def check_complete(
    outcomes: Outcomes, accepted: Collection[Outcome], failures: Sequence[tuple[Request, EngagementError]]
) -> None:
    """Raise if something is missing for a reason that is not accepted.

    :param outcomes: what became of the Tweets.
    :param accepted: the outcomes that do not fail a task.
    :param failures: requests that failed, with the error.
    :raises ForbiddenTweetsError: if all that failed are requests that named other authors' Tweets; it names them all.
    :raises PermanentError: the first, if only requests failed that would fail again.
    :raises UnacceptedGapsError: if the API gave its reason for all that is missing, so that a retry changes nothing.
    :raises IncompletePullError: else; a retry may bring what is missing.
    """
    missing = outcomes.not_accepted(accepted)
    if not missing:
        return
    errors = [error for _, error in failures] if Outcome.FAILED in missing else []
    permanent = all(isinstance(error, PermanentError) for error in errors) and Outcome.NO_DATA not in missing
    if errors and permanent and set(missing) == {Outcome.FAILED}:
        forbidden = [error for error in errors if isinstance(error, ForbiddenTweetsError)]
        raise _joined(forbidden) if len(forbidden) == len(errors) else errors[0]
    tweets = ", ".join(
        f"{number} {outcome} (such as {', '.join(outcomes.examples[outcome][:3])}: {outcomes.reasons[outcome]})"
        for outcome, number in missing.items()
    )
    retry = "would change nothing" if permanent else "asks only for the rest"
    told = (
        f"{sum(missing.values())} of {outcomes.numbers.total()} Tweets are not complete: {tweets}. What was fetched is "
        f"kept, and a retry {retry}. To do without, add the outcome to accepted_outcomes."
    )
    raise UnacceptedGapsError(told) if permanent else IncompletePullError(told)


def _joined(errors: Sequence[ForbiddenTweetsError]) -> ForbiddenTweetsError:
    by_author: dict[str | None, tuple[str, ...]] = {}
    for error in errors:
        for author, ids in error.tweet_ids_by_author.items():
            by_author[author] = by_author.get(author, ()) + ids
    first = errors[0]
    return ForbiddenTweetsError(
        forbidden_summary(by_author),
        tweet_ids_by_author=by_author,
        endpoint=first.endpoint,
        status=first.status,
        request_id=first.request_id,
    )
