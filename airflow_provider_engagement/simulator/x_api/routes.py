"""The endpoints: their paths, parameters, credentials and rate limits (reference, and page of rate limits)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from airflow_provider_engagement.simulator.x_api.query_parameters import (
    Choices,
    Items,
    Parameter,
    Text,
    Time,
    WholeNumber,
)
from airflow_provider_engagement.simulator.x_api.spelling import (
    MEDIA_FIELDS,
    POST_FIELDS,
    TWEET_EXPANSIONS,
    TWEET_FIELDS,
    USER_EXPANSIONS,
    USER_FIELDS,
    with_post_words,
)

X_API_PATH: Final = "/2/"

_ID: Final = "[0-9]{1,19}"
_USERNAME: Final = "[A-Za-z0-9_]{1,15}"
_ANY_WORDS: Final = Text(pattern=r"[a-z_.,]{1,500}")
_OF_A_TWEET: Final[Mapping[str, Parameter]] = {
    "tweet.fields": Choices(words=TWEET_FIELDS),
    "post.fields": Choices(words=POST_FIELDS),
    "user.fields": Choices(words=with_post_words(USER_FIELDS)),
    "media.fields": Choices(words=MEDIA_FIELDS),
    "poll.fields": _ANY_WORDS,
    "place.fields": _ANY_WORDS,
    "expansions": Choices(words=with_post_words(TWEET_EXPANSIONS)),
}
_OF_A_USER: Final[Mapping[str, Parameter]] = {
    "user.fields": Choices(words=with_post_words(USER_FIELDS)),
    "tweet.fields": Choices(words=TWEET_FIELDS),
    "post.fields": Choices(words=POST_FIELDS),
    "expansions": Choices(words=with_post_words(USER_EXPANSIONS)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """An endpoint.

    :param name: its name in the simulator.
    :param path: the pattern of its path.
    :param parameters: the parameters of its query.
    :param required: the parameter that cannot be missing, if any.
    :param per_app: requests of an app within 15 minutes; ``None`` if it accepts no app credentials.
    :param per_user: requests of a user within 15 minutes; ``None`` if it accepts no user credentials.
    """

    name: str
    path: str
    parameters: Mapping[str, Parameter]
    required: str | None = None
    per_app: int | None
    per_user: int | None


ROUTES: Final = (
    Route(
        name="tweets",
        path="/2/tweets",
        parameters={"ids": Items(pattern=_ID, most=100), **_OF_A_TWEET},
        required="ids",
        per_app=3500,
        per_user=5000,
    ),
    Route(
        name="user_tweets",
        path="/2/users/(?P<id>[^/]+)/tweets",
        parameters={
            **_OF_A_TWEET,
            "max_results": WholeNumber(least=5, most=100),
            "pagination_token": Text(pattern="[0-9a-zA-Z]{1,64}"),
            "start_time": Time(),
            "end_time": Time(),
            "since_id": Text(pattern=_ID),
            "until_id": Text(pattern=_ID),
            "exclude": Choices(words=("replies", "retweets")),
        },
        per_app=10_000,
        per_user=900,
    ),
    Route(
        name="users_by",
        path="/2/users/by",
        parameters={"usernames": Items(pattern=_USERNAME, most=100), **_OF_A_USER},
        required="usernames",
        per_app=300,
        per_user=900,
    ),
    Route(name="me", path="/2/users/me", parameters=_OF_A_USER, per_app=None, per_user=75),
    Route(
        name="users",
        path="/2/users",
        parameters={"ids": Items(pattern=_ID, most=100), **_OF_A_USER},
        required="ids",
        per_app=300,
        per_user=900,
    ),
    Route(
        name="usage",
        path="/2/usage/tweets",
        parameters={
            "days": WholeNumber(least=1, most=90),
            "usage.fields": Choices(
                words=(
                    "cap_reset_day",
                    "daily_client_app_usage",
                    "daily_project_usage",
                    "project_cap",
                    "project_id",
                    "project_usage",
                )
            ),
        },
        per_app=50,
        per_user=None,
    ),
)


def find_route(path: str) -> tuple[Route, str | None] | None:
    """Return the endpoint of a path, and the id in the path, if any."""
    for route in ROUTES:
        match = re.fullmatch(route.path, path)
        if match is not None:
            return route, match.groupdict().get("id")
    return None
