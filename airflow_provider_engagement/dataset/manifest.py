"""The report of a run: what was asked, what came, what is missing and why. Small, whatever the size of the pull."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_engagement.api.query import parse_list
from airflow_provider_engagement.api.response import Outcome, TweetStatus
from airflow_provider_engagement.exceptions import InvalidQueryError

MANIFESTS = "_manifests"
"""The folder of the reports; readers of directories pass over names that begin with an underscore."""

EXAMPLES = 10
"""How many Tweets are named for each outcome; all of them stand in ``tweet_status``."""

ACCEPTED_BY_DEFAULT = (Outcome.UNAVAILABLE, Outcome.UNSUPPORTED_90D, Outcome.UNSUPPORTED_VIDEO)
"""Tweets that are gone, and metrics that are too old to be had: reported, and no failure."""


@dataclass(slots=True)
class Outcomes:
    """Counts Tweets by what became of them, and names a few of each kind."""

    numbers: Counter[Outcome] = field(default_factory=Counter)
    examples: dict[Outcome, list[str]] = field(default_factory=dict)
    _reasons: dict[Outcome, Counter[str]] = field(default_factory=dict)

    def add(self, statuses: Iterable[tuple[str, TweetStatus]]) -> None:
        """Take note of Tweets and their statuses."""
        for tweet_id, status in statuses:
            self.numbers[status.outcome] += 1
            if status.outcome is not Outcome.OK:
                named = self.examples.setdefault(status.outcome, [])
                if len(named) < EXAMPLES:
                    named.append(tweet_id)
                self._reasons.setdefault(status.outcome, Counter())[status.message] += 1

    @property
    def reasons(self) -> dict[Outcome, str]:
        """The most frequent reason of each outcome."""
        return {outcome: reasons.most_common(1)[0][0] for outcome, reasons in self._reasons.items()}

    def not_accepted(self, accepted: Collection[Outcome]) -> dict[Outcome, int]:
        """Return the outcomes that a completeness rule does not accept, with the number of Tweets."""
        return {
            outcome: number
            for outcome, number in sorted(self.numbers.items())
            if outcome is not Outcome.OK and outcome not in accepted
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers and examples as plain data."""
        reasons = self.reasons
        return {
            "outcomes": {str(outcome): self.numbers[outcome] for outcome in Outcome if self.numbers[outcome]},
            "missing": {
                str(outcome): {"tweets": self.numbers[outcome], "why": reasons[outcome], "examples": named}
                for outcome, named in self.examples.items()
            },
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The report of a run; :meth:`to_dict` is what travels as XCom.

    :param endpoint: which endpoint was asked.
    :param auth: as whom.
    :param owner: the id of the user whose Tweets were asked for, where a user's token was used.
    :param run: the run's id.
    :param metrics: the metrics asked for.
    :param asked: how many Tweets were asked for.
    :param outcomes: what became of them.
    :param requests: numbers of requests: ``planned``, ``sent`` (every attempt), ``answered``, ``reused``, ``failed``,
        ``refused`` (for the rate).
    :param rows: rows by table.
    :param outputs: paths by table, and of the manifest itself.
    :param seconds: how long the pull took, ``waited`` of which for the rate limit and between attempts, added up over
        its threads.
    :param budget: what the API last said of its rate limit.
    :param window: start and end of the span asked for, as ISO texts.
    :param snapshot_at: the time that a snapshot of totals bears.
    :param adjustments: edges of the span that are not where they were asked for, and why.
    """

    endpoint: str
    auth: str
    owner: str | None
    run: str
    metrics: tuple[str, ...]
    asked: int
    outcomes: Outcomes
    requests: Mapping[str, int]
    rows: Mapping[str, int]
    outputs: Mapping[str, str]
    seconds: Mapping[str, float]
    budget: Mapping[str, Any]
    window: tuple[str, str] | None = None
    snapshot_at: str | None = None
    adjustments: tuple[Mapping[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, as JSON and XCom take it."""
        return {
            "endpoint": self.endpoint,
            "auth": self.auth,
            "owner": self.owner,
            "run": self.run,
            "metrics": list(self.metrics),
            "window": list(self.window) if self.window else None,
            "snapshot_at": self.snapshot_at,
            "adjustments": list(self.adjustments),
            "asked": self.asked,
            "got": self.outcomes.numbers[Outcome.OK],
            **self.outcomes.to_dict(),
            "requests": dict(self.requests),
            "rows": dict(self.rows),
            "outputs": dict(self.outputs),
            "seconds": dict(self.seconds),
            "budget": dict(self.budget),
        }


def parse_accepted_outcomes(value: object) -> tuple[Outcome, ...]:
    """Read a completeness rule: the outcomes that do not fail a task.

    :param value: outcomes or their names; ``None`` for the default.
    :raises InvalidQueryError: if one is unknown.
    """
    if value is None:
        return ACCEPTED_BY_DEFAULT
    items = parse_list(value, field="accepted_outcomes")
    try:
        return tuple(Outcome(str(item)) for item in items)
    except ValueError as error:
        raise InvalidQueryError("accepted_outcomes", str(error), f"Known are {', '.join(Outcome)}.") from None
