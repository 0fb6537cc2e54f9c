"""What a pull from X API v2 does, as a DAG sets it. It is parsed once, after the templates are rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.http.credentials import Auth
from airflow_provider_engagement.inputs.choices import parse_choice
from airflow_provider_engagement.inputs.lists import parse_list, quoted
from airflow_provider_engagement.inputs.numbers import parse_number, parse_whole_number
from airflow_provider_engagement.inputs.tweet_source import TweetSource, TweetsRule
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tweet_id import is_tweet_id
from airflow_provider_engagement.x_api.catalogue import Excluded
from airflow_provider_engagement.x_api.outcomes import XOutcome
from airflow_provider_engagement.x_api.query import check_handles, check_user_ids


@dataclass(frozen=True, kw_only=True, slots=True)
class XSettings:
    """What the pulls from X API v2 have in common.

    :param conn_id: the connection.
    :param auth: the kind of credentials; ``None`` to choose it by the connection.
    :param private: whether to ask for private metrics.
    :param dataset_path: the path or URL of the dataset.
    :param dataset_format: the format of the dataset.
    :param accepted: the outcomes that do not fail the task, in addition to those that are accepted by default.
    :param max_tweets: how many Tweets the pull may read; ``None`` for any number.
    :param max_dollars: what the pull may cost in US dollars; ``None`` for any price.
    :param concurrent_requests: how many requests are in flight at the same time.
    :param max_inline_wait: the longest wait on the worker, in seconds.
    :param max_wait: how many seconds after the start of the attempt a wait can end.
    :param estimate_only: whether to return an estimate instead of sending requests.
    """

    conn_id: str
    auth: Auth | None
    private: bool
    dataset_path: str
    dataset_format: DatasetFormat
    accepted: tuple[XOutcome, ...]
    max_tweets: int | None
    max_dollars: Decimal | None
    concurrent_requests: int
    max_inline_wait: float
    max_wait: float
    estimate_only: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LookupSettings(XSettings):
    """What a look-up does.

    :param tweets: where the ids of the Tweets come from.
    """

    tweets: TweetSource


@dataclass(frozen=True, kw_only=True, slots=True)
class ListingSettings(XSettings):
    """What a listing does.

    :param handles: the users who are named by handle.
    :param user_ids: the users who are named by id.
    :param start: the start of the interval, as the author has written it; ``None`` for the interval of the run.
    :param end: the end of the interval, likewise.
    :param excluded: the kinds of Tweets to leave out.
    """

    handles: tuple[str, ...]
    user_ids: tuple[str, ...]
    start: object
    end: object
    excluded: tuple[Excluded, ...]


def parse_lookup_settings(values: Mapping[str, Any]) -> LookupSettings:
    """Parse what a look-up does.

    :param values: the rendered parameters of its operator, by name.
    :raises InvalidQueryError: with the first parameter that has an invalid value.
    """
    return LookupSettings(**_common(values), tweets=TweetsRule().parse(values["tweets"]))


def parse_listing_settings(values: Mapping[str, Any]) -> ListingSettings:
    """Parse what a listing does.

    :param values: the rendered parameters of its operator, by name.
    :raises InvalidQueryError: with the first parameter that has an invalid value.
    """
    handles, user_ids = parse_users(values["users"])
    start, end = values["start"], values["end"]
    if start is None and end is not None:
        raise InvalidQueryError("start", "is not set, but end is", "Set start, or neither.")
    listed = {Excluded.REPLIES: values["replies"], Excluded.RETWEETS: values["retweets"]}
    excluded = tuple(kind for kind, is_listed in listed.items() if not is_listed)
    return ListingSettings(
        **_common(values), handles=handles, user_ids=user_ids, start=start, end=end, excluded=excluded
    )


def parse_users(value: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Parse users: handles with or without an @, and ids.

    :param value: a list, or a text of users between commas. Digits alone are an id, and a handle with an @ before them.
    :return: the handles and the ids.
    :raises InvalidQueryError: if one is neither.
    """
    handles, user_ids = [], []
    for item in parse_list(value, field="users"):
        text = str(item).strip()
        if isinstance(item, float | bool) or not text:
            raise InvalidQueryError("users", f"{quoted(item)} is not a user", "Pass a handle or an id.")
        if is_tweet_id(text):
            user_ids.append(text)
        else:
            handles.append(text.removeprefix("@"))
    if not handles and not user_ids:
        raise InvalidQueryError("users", "is empty", "Name at least one user.")
    check_handles(handles)
    check_user_ids(user_ids)
    return tuple(handles), tuple(user_ids)


def _common(values: Mapping[str, Any]) -> dict[str, Any]:
    if not values["dataset_path"]:
        raise InvalidQueryError("dataset_path", "is not set", "Set it to the folder of a dataset.")
    auth, accepted = values["auth"], values["accepted_outcomes"]
    tweets, dollars = values["max_tweets"], values["max_dollars"]
    chosen = () if accepted is None else parse_list(accepted, field="accepted_outcomes")
    return {
        "conn_id": values["engagement_conn_id"],
        "auth": None if auth is None else parse_choice(auth, Auth, field="auth"),
        "private": bool(values["private_metrics"]),
        "dataset_path": values["dataset_path"],
        "dataset_format": parse_choice(values["dataset_format"], DatasetFormat, field="dataset_format"),
        "accepted": tuple(parse_choice(one, XOutcome, field="accepted_outcomes") for one in chosen),
        "max_tweets": None if tweets is None else parse_whole_number(tweets, field="max_tweets", minimum=0),
        "max_dollars": None if dollars is None else Decimal(str(parse_number(dollars, field="max_dollars", minimum=0))),
        "concurrent_requests": parse_whole_number(
            values["concurrent_requests"], field="concurrent_requests", minimum=1
        ),
        "max_inline_wait": parse_number(values["max_inline_wait"], field="max_inline_wait", minimum=0),
        "max_wait": parse_number(values["max_wait"], field="max_wait", minimum=0),
        "estimate_only": bool(values["estimate_only"]),
    }
