"""Where the ids of the Tweets come from: a list, a file, or a query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.choices import parse_text
from airflow_provider_engagement.inputs.rules import Group, Rule, first_items, is_blank, is_constant, mapping_of
from airflow_provider_engagement.inputs.tweet_id_forms import digits_in
from airflow_provider_engagement.inputs.tweet_ids import FIELD, parse_tweet_ids

_PATH = re.compile(r"[/.~\\]|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_WEB = re.compile(r"https?://", re.IGNORECASE)
_PART_OF_A_PATH = re.compile(r"[/\\*]|\.[a-z]\w*$", re.IGNORECASE)
_QUERY = re.compile(r"(select|with)\s", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class TweetSource:
    """Where the ids of the Tweets come from: exactly one of a list, a file and a query.

    :param ids: the list, in any form that can be parsed.
    :param file: the path or URL of the file or files.
    :param sql: the query.
    :param conn_id: the connection of the database for the query.
    :param column: the column that contains the ids, if its name is not one of the known ones.
    :param owner_column: the column that contains the owners; ``None`` for ``owner``, if there is one; ``False``
        for none.
    :param owner: the owner of the Tweets that are listed without one.
    """

    ids: object = None
    file: Any = None
    sql: str | None = None
    conn_id: str | None = None
    column: str | int | None = None
    owner_column: str | int | bool | None = None
    owner: str | None = None

    @property
    def guesses_owners(self) -> bool:
        """Whether a column is read as that of the owners because of its name alone."""
        return self.owner_column is None and self.ids is None


def _column(value: Any) -> Any:
    return value


def _path(value: Any) -> Any:
    return value if isinstance(value, PathLike) else parse_text(value, field=f"{FIELD}.path")


_COLUMNS = {"column": _column, "owner_column": _column}
FROM_FILE = Group(FIELD, {"path": _path, **_COLUMNS}, required=("path",))
FROM_SQL = Group(
    FIELD,
    {
        "query": lambda value: parse_text(value, field=f"{FIELD}.query"),
        "conn_id": lambda value: parse_text(value, field=f"{FIELD}.conn_id"),
        **_COLUMNS,
    },
    required=("query", "conn_id"),
)


class TweetsRule(Rule):
    """The parameter ``tweets``: ids, the path of a file of ids, or one of the groups that say how to read them."""

    def parse(self, value: Any) -> TweetSource:
        """Return where the ids come from. The ids are not read."""
        group = _group_of(value)
        if group is FROM_SQL:
            sql = group.parse(value)
            return TweetSource(sql=sql.pop("query"), **sql)
        if group is FROM_FILE:
            file = group.parse(value)
            return TweetSource(file=file.pop("path"), **file)
        if isinstance(value, (list, tuple)) and not value:
            raise InvalidQueryError(FIELD, "is empty", "Name at least one Tweet.")
        if is_blank(value):
            raise InvalidQueryError(FIELD, "is not set", "Pass Tweet ids, or the path of a file of them.")
        if isinstance(value, PathLike) or (isinstance(value, str) and is_path(value)):
            return TweetSource(file=value)
        if isinstance(value, str) and _QUERY.match(value.lstrip()):
            raise InvalidQueryError(FIELD, "a query needs a connection", "Pass FromSql with the query and conn_id.")
        return TweetSource(ids=value)

    def check(self, value: Any) -> None:
        """Check the ids, as far as no template sets them, or the group of parameters."""
        if isinstance(value, Mapping) and (group := _group_of(value)) is not None:
            group.check(value)
            return
        first = first_items(value)
        if not is_constant(first):
            return
        source = self.parse(first)
        if source.ids is not None:
            parse_tweet_ids(source.ids)


def is_path(text: str) -> bool:
    """Return whether a text is the path or URL of a file of ids, rather than ids or addresses of Tweets."""
    text = text.strip()
    if text[:1] in ("[", "(", "{") or "\n" in text or digits_in(text):
        return False
    if _PATH.match(text) and not _WEB.match(text):
        return True
    return _PART_OF_A_PATH.search(text) is not None and not any(map(digits_in, re.split(r"[\s,;]+", text)))


def _group_of(value: Any) -> Group | None:
    mapping = mapping_of(value, field=FIELD)
    if mapping and "query" in mapping:
        return FROM_SQL
    return FROM_FILE if mapping and "path" in mapping else None
