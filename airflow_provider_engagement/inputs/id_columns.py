"""Which columns or keys hold Tweet ids and owners: one rule for files, objects and the results of queries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import quoted, quoted_names

BEYOND_DOUBT = "tweet_id"
"""The name of a column that holds ids whatever the other columns are, in any case and spacing."""

LIKELY = (("status_id",), ("post_id",), ("id_str", "id"))
"""The other names. If a source has names of several of these groups, one of them can be the number of a row.

``id`` comes after ``id_str``, because other programs may have rounded it.
"""

OWNER = "owner"
"""The name of a column of owners, in any case and spacing."""

DEFAULT_NAMES = "tweet_id, status_id, post_id, id_str or id"

_SEPARATORS = re.compile(r"[\W_]+")
_TEXTS = frozenset({"text", "fulltext", "tweet", "tweettext", "posttext", "content", "rawcontent", "body"})


def folded(name: str) -> str:
    """Return the name of a column without case, separators and invisible characters, so that ``Tweet id`` is
    ``tweet_id``."""
    return _SEPARATORS.sub("", name).casefold()


@dataclass(frozen=True, slots=True)
class IdColumns:
    """The columns to read, as an author names them.

    :param ids: the name of the column of the ids; ``None`` to find it. A number, from 1, is the place of the column in
        a file without a header.
    :param owners: the name or number of the column of the owners; ``None`` to find it; ``False`` to read none.
    """

    ids: str | int | None = None
    owners: str | int | bool | None = None

    @property
    def have_header(self) -> bool:
        """Whether the columns have names."""
        return not _is_number(self.ids)

    def keys_of(self, names: tuple[str, ...]) -> tuple[str | None, str | None]:
        """Return the keys of the id and of the owner in an object, or ``None`` for one that it does not have.

        :param names: the keys of the object.
        :raises LookupError: if several keys could hold the id or the owner, or if the object is a user.
        """
        return _keys_of(names, self)

    def place_of_ids(self, names: Sequence[str], *, field: str, source: str) -> int | None:
        """Return the index of the column of the ids, or ``None`` if no name says it.

        :param names: the names of all columns.
        :param field: the parameter that an error names.
        :param source: the file or result that an error names.
        :raises InvalidQueryError: if several columns could hold the ids, or if the rows are users.
        """
        try:
            return _place_of_ids(tuple(names), None if self.ids is None else str(self.ids))
        except LookupError as problem:
            remedy = "Set tweets.column to the column that holds the ids."
            if len(set(names)) < len(names):
                remedy = f"Give each column a name of its own. {remedy}"
            raise InvalidQueryError(field, f"{source}: {problem}", remedy) from None

    def place_of_owners(self, names: Sequence[str], *, field: str, source: str) -> int | None:
        """Return the index of the column of the owners, or ``None`` if there is none.

        :param names: the names of all columns.
        :param field: the parameter that an error names.
        :param source: the file or result that an error names.
        :raises InvalidQueryError: if there is no column of the given name, or if there are several.
        """
        if self.owners is False:
            return None
        places = _places(tuple(names), OWNER if self.owners is None else str(self.owners))
        if len(places) == 1:
            return places[0]
        if not places and self.owners is None:
            return None
        wanted = quoted(OWNER if self.owners is None else self.owners)
        found = "has several columns" if places else "has no column"
        raise InvalidQueryError(
            field,
            f"{source} {found} {wanted}; its columns are {quoted_names(names)}",
            "Set tweets.owner_column to the column that holds the owners, or to False to read none.",
        )

    def remedy_of_owner(self, remedy: str) -> str:
        """Return the remedy of a value that is not an owner. Its column may mean something else."""
        if self.owners is not None:
            return remedy
        return (
            f"{remedy} The column {OWNER} is read as the owners of the Tweets. "
            "Set tweets.owner_column=False to ignore it."
        )

    def not_found(self, names: Sequence[str], *, field: str, source: str, kind: str = "column") -> InvalidQueryError:
        """Return the error of a source without the column or key of the ids."""
        wanted = DEFAULT_NAMES if self.ids is None else quoted(self.ids)
        return InvalidQueryError(
            field,
            f"{source} has no {kind} {wanted}; its {kind}s are {quoted_names(names)}",
            f"Set tweets.column to the {kind} that holds the ids.",
        )


def parse_id_columns(ids: object, owners: object) -> IdColumns:
    """Parse the names or numbers of columns.

    :param ids: ``tweets.column``.
    :param owners: ``tweets.owner_column``.
    :raises InvalidQueryError: if a value is neither a name nor a number from 1.
    """
    parsed = IdColumns(_parse("tweets.column", ids), _parse("tweets.owner_column", owners))
    if parsed.ids is False:
        raise InvalidQueryError("tweets.column", "False is not a column", "Pass a name, or a number from 1.")
    if _is_number(parsed.owners) and parsed.have_header:
        raise InvalidQueryError(
            "tweets.owner_column",
            f"{parsed.owners} is the number of a column, but tweets.column is not a number",
            "Pass names, or pass numbers for a file without a header.",
        )
    if isinstance(parsed.owners, str) and not parsed.have_header:
        raise InvalidQueryError(
            "tweets.owner_column",
            f"{quoted(parsed.owners)} is a name, but tweets.column says that the file has no header",
            "Pass the number of the column, counted from 1.",
        )
    return parsed


def _parse(field: str, value: object) -> str | int | bool | None:
    text = value.strip() if isinstance(value, str) else value
    if text is None or text == "":
        return None
    if text is False or (isinstance(text, str) and text.lower() == "false"):
        return False
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 6:
        text = int(text)
    if isinstance(text, str) or (_is_number(text) and isinstance(text, int) and text > 0):
        return text
    raise InvalidQueryError(field, f"{quoted(value)} is not a column", "Pass a name, or a number from 1.")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@lru_cache(maxsize=256)
def _keys_of(names: tuple[str, ...], columns: IdColumns) -> tuple[str | None, str | None]:
    place = _place_of_ids(names, None if columns.ids is None else str(columns.ids))
    wanted = OWNER if columns.owners is None else columns.owners
    owner_place = _only(_places(names, wanted), names, "owner") if isinstance(wanted, str) else None
    return None if place is None else names[place], None if owner_place is None else names[owner_place]


@lru_cache(maxsize=256)
def _place_of_ids(names: tuple[str, ...], given: str | None) -> int | None:
    """Return the index of the column of the ids, if a name says it.

    :raises LookupError: if several do, or if the rows are users.
    """
    if given is not None:
        return _only(_places(names, given), names)
    places = _alike(names, BEYOND_DOUBT)
    if not places:
        found = [next(filter(None, (_alike(names, name) for name in group)), []) for group in LIKELY]
        places = [place for group in found for place in group]
        if places:
            _reject_users(names)
    return _only(places, names)


@lru_cache(maxsize=256)
def _places(names: tuple[str, ...], given: str) -> list[int]:
    return [place for place, name in enumerate(names) if name == given] or _alike(names, given)


def _alike(names: Sequence[str], given: str) -> list[int]:
    """Return the places of a name in any case and spacing."""
    wanted = folded(given)
    return [place for place, name in enumerate(names) if folded(name) == wanted != ""]


def _only(places: Sequence[int], names: Sequence[str], content: str = "ids") -> int | None:
    if len(places) > 1:
        listed = quoted_names([names[place] for place in places])
        raise LookupError(f"the columns {listed} could all hold the {content}")
    return places[0] if places else None


def _reject_users(names: Sequence[str]) -> None:
    known = set(map(folded, names))
    if "name" in known and known & {"username", "screenname"} and not known & _TEXTS:
        raise LookupError("the rows look like users, who have a name and no text, so their ids are not those of Tweets")
