"""What assembling the parts of a pull gives besides rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_engagement.api.response import Nested
from airflow_provider_engagement.dataset.manifest import Outcomes


@dataclass(slots=True)
class Result:
    """What assembling found.

    :param outcomes: what became of the Tweets.
    :param groupings: counts in the API's nesting, merged over all parts.
    :param rows: rows by table.
    """

    outcomes: Outcomes = field(default_factory=Outcomes)
    groupings: dict[str, Nested] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
