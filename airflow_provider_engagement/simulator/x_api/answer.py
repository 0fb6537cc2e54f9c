"""The body of a successful response, and what its reader has read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_engagement.simulator.x_api.problem_bodies import Problem


@dataclass(kw_only=True, slots=True)
class Answer:
    """A successful response.

    :param data: the Tweets, users or figures that were asked for; ``None`` for a response without ``data``.
    :param includes: what the request expands, by kind.
    :param errors: what is missing, and why.
    :param meta: what describes a page.
    :param tweets: the ids of the Tweets that were read.
    :param users: the ids of the users that were read.
    :param included_tweets: the ids of the Tweets that were read besides those that were asked for.
    :param included_users: the ids of the users that were read besides those that were asked for.
    """

    data: Any = None
    includes: dict[str, list[Any]] = field(default_factory=dict)
    errors: list[Problem] = field(default_factory=list)
    meta: dict[str, Any] | None = None
    tweets: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    included_tweets: list[str] = field(default_factory=list)
    included_users: list[str] = field(default_factory=list)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body. It has no empty parts."""
        includes = {kind: objects for kind, objects in self.includes.items() if objects}
        parts = {"data": self.data, "includes": includes, "errors": self.errors, "meta": self.meta}
        return {name: part for name, part in parts.items() if part}
