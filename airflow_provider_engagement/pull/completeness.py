"""Completeness: how many Tweets have each outcome, and whether that lets the pull succeed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any

from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.engagement_api.error_responses import forbidden_summary
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.response import Outcome, TweetStatus
from airflow_provider_engagement.exceptions import (
    EngagementError,
    ForbiddenTweetsError,
    IncompletePullError,
    PermanentError,
    UnacceptedGapsError,
)
from airflow_provider_engagement.http.credentials import Account, describe_account
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.tweet_id import are_rounded

MAX_EXAMPLES = 10
"""How many Tweets the manifest names for each outcome. The table ``tweet_status`` has all of them."""

MAX_OWNERS_NAMED = 100
"""How many owners with rejected credentials the manifest names. The table ``tweet_status`` has all of them."""


@dataclass(slots=True)
class OutcomeSummary:
    """Counts Tweets by outcome, with a few examples of each and the most frequent reason."""

    numbers: Counter[Outcome] = field(default_factory=Counter)
    examples: dict[Outcome, list[str]] = field(default_factory=dict)
    _reasons: dict[Outcome, Counter[str]] = field(default_factory=dict)

    def add(self, statuses: Iterable[tuple[str, TweetStatus]]) -> None:
        """Count Tweets, given their ids and statuses."""
        for tweet_id, status in statuses:
            self.numbers[status.outcome] += 1
            if status.outcome is not Outcome.OK:
                examples = self.examples.setdefault(status.outcome, [])
                if len(examples) < MAX_EXAMPLES:
                    examples.append(tweet_id)
                self._reasons.setdefault(status.outcome, Counter())[status.message] += 1

    @property
    def reasons(self) -> dict[Outcome, str]:
        """The most frequent reason of each outcome."""
        return {outcome: reasons.most_common(1)[0][0] for outcome, reasons in self._reasons.items()}

    def not_accepted(self, accepted: Collection[Outcome]) -> dict[Outcome, int]:
        """Return how many Tweets have each outcome that is not accepted."""
        return {
            outcome: number
            for outcome, number in sorted(self.numbers.items())
            if outcome is not Outcome.OK and outcome not in accepted
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers and examples as JSON-compatible values."""
        reasons = self.reasons
        return {
            "outcomes": {str(outcome): self.numbers[outcome] for outcome in Outcome if self.numbers[outcome]},
            "missing": {
                str(outcome): {"tweets": self.numbers[outcome], "reason": reasons[outcome], "examples": examples}
                for outcome, examples in self.examples.items()
            },
        }


def completeness_error(
    outcomes: OutcomeSummary,
    accepted: Collection[Outcome],
    failures: Sequence[tuple[Request, EngagementError]],
    rejected: Mapping[Account, EngagementError] = MappingProxyType({}),
) -> EngagementError | None:
    """Return an error if something is missing for a reason that is not accepted.

    :param outcomes: the outcomes of all requested Tweets.
    :param accepted: the outcomes that do not fail the task.
    :param failures: the requests that failed, with the error.
    :param rejected: the accounts whose credentials the API rejected, with the error.
    :return: ``None`` if nothing is missing. ``ForbiddenTweetsError`` if requests failed only because they named Tweets
        of other users: it names all of these Tweets. The first error, if requests failed and each of them would fail
        again, or if the credentials of the only account are rejected. ``UnacceptedGapsError`` if the API gave a reason
        for everything that is missing, so that a retry returns no more. Otherwise ``IncompletePullError``, because a
        retry may return what is missing.
    """
    missing = outcomes.not_accepted(accepted)
    if not missing:
        return None
    if set(missing) == {Outcome.UNAUTHORIZED} and len(rejected) == 1 and not outcomes.numbers[Outcome.OK]:
        return next(iter(rejected.values()))
    errors = [error for _, error in failures] if Outcome.FAILED in missing else []
    permanent = all(isinstance(error, PermanentError) for error in errors) and Outcome.NO_DATA not in missing
    if errors and permanent and set(missing) == {Outcome.FAILED}:
        forbidden = [error for error in errors if isinstance(error, ForbiddenTweetsError)]
        return _merge_forbidden(forbidden) if len(forbidden) == len(errors) else errors[0]
    # The reasons of rejected credentials follow, by owner.
    reasons = {**outcomes.reasons, Outcome.UNAUTHORIZED: "see below"} if rejected else outcomes.reasons
    number = sum(missing.values())
    details = ", ".join(
        f"{tweets} {outcome} (for example {', '.join(outcomes.examples[outcome][:3])}: {reasons[outcome]})"
        for outcome, tweets in missing.items()
    )
    on_retry = "A retry returns the same result" if permanent else "A retry requests only what is missing"
    if permanent and Outcome.UNAUTHORIZED in missing:
        on_retry = "Correct the credentials and clear the task: it then requests only what is missing"
    named = "; ".join(f"{describe_account(account)}: {error}" for account, error in _first(rejected).items())
    not_named = f" and {len(rejected) - MAX_EXAMPLES} more" if len(rejected) > MAX_EXAMPLES else ""
    message = (
        f"{number:,} of {counted(outcomes.numbers.total(), 'Tweet')} {'is' if number == 1 else 'are'} not complete: "
        f"{details}. The responses are stored. {on_retry}. To accept an outcome, add it to accepted_outcomes."
        + (f" Rejected credentials: {named}{not_named}." if rejected and Outcome.UNAUTHORIZED in missing else "")
    )
    return UnacceptedGapsError(message) if permanent else IncompletePullError(message)


def doubt_about_ids(outcomes: Mapping[str, int], tweet_ids: Collection[str]) -> str | None:
    """Return what is probably wrong with the ids of a pull, in words, or ``None`` if they look right.

    :param outcomes: the number of Tweets with each outcome.
    :param tweet_ids: the ids of the pull.
    """
    rounded = are_rounded(tweet_ids)
    unavailable = bool(tweet_ids) and outcomes.get(Outcome.UNAVAILABLE, 0) == len(tweet_ids)
    if not (rounded or unavailable):
        return None
    what = "Nearly all ids end in zeros" if rounded else f"All {len(tweet_ids)} Tweets are unavailable"
    if len(tweet_ids) == 1:
        what = "The id ends in zeros" if rounded else "The Tweet is unavailable"
    if rounded and unavailable:
        what += ", and no such Tweet is available"
    causes = (
        "a spreadsheet or a float has rounded them"
        if rounded
        else (
            "a spreadsheet or a float has rounded the ids, or they are not the ids of Tweets, or the Tweets are deleted"
        )
    )
    example = next(iter(tweet_ids))
    return f"{what}, as if {causes}. Compare them with their source, such as {example}."


def owners_to_dict(
    accounts: Collection[Account], listed: Collection[str], rejected: Mapping[Account, EngagementError]
) -> dict[str, Any]:
    """Return the owners of a pull as JSON-compatible values.

    X bills the number of different users whose data an app requests, so the manifest counts them.

    :param accounts: the accounts that requests were planned for.
    :param listed: the owners that the Tweet ids were listed with.
    :param rejected: the accounts whose credentials the API rejected, with the error.
    """
    owners = {owner for auth, owner in accounts if auth is Auth.USER}.union(listed)
    reasons = {owner or str(auth): str(error) for (auth, owner), error in rejected.items()}
    return {"requested": len(owners), "rejected": dict(islice(reasons.items(), MAX_OWNERS_NAMED))}


def _first(rejected: Mapping[Account, EngagementError]) -> dict[Account, EngagementError]:
    return dict(islice(rejected.items(), MAX_EXAMPLES))


def _merge_forbidden(errors: Sequence[ForbiddenTweetsError]) -> ForbiddenTweetsError:
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
