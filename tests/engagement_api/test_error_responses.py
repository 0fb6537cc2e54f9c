"""Every documented error response is mapped to an exception, whose base class states whether a retry can succeed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.error_responses import (
    error_for_response,
    error_messages,
    forbidden_summary,
    forbidden_tweets,
    is_about_every_tweet,
    lacks_entitlement,
    reports_unavailable_tweets,
    unavailable_count,
)
from airflow_provider_engagement.exceptions import (
    ApiError,
    AuthenticationError,
    EndpointNotFoundError,
    ForbiddenMetricsError,
    ForbiddenTweetsError,
    NotEntitledError,
    PermanentError,
    RequestRejectedError,
    ServerError,
    TransientError,
)
from airflow_provider_engagement.http.redaction import LONGEST_READ, presentable, presentable_texts

HOST = "https://data-api.twitter.com"


def error_for(status: int, *messages: str) -> ApiError:
    return error_for_response(endpoint="totals", status=status, messages=messages, host=HOST, request_id="r-1")


E1 = "Your account could not be authenticated. Reason: Access token not found"
E2 = "Your account could not be authenticated. Reason: Unknown Authorization Type"
E4 = "Sorry, your application id is not authorized."
E5 = "Forbidden to access tweets: 640022366307745792, 640026211712786432"
E6 = "Forbidden to access tweets for author id 1114564404: 640022366307745792"
E7 = "Forbidden to access metrics: retweets"
E10 = (
    "One or more of the groupBys you have specified are not supported: (engagement.hour). "
    "Please adjust your request and try again."
)
E11 = (
    "This request requires gzip compression. Retry the request after setting 'Accept-Encoding' header in the request "
    "to 'gzip'."
)

DOCUMENTED = [
    (401, E1, AuthenticationError),
    (401, E2, AuthenticationError),
    (403, E1, AuthenticationError),  # the text has precedence over the status
    (401, "anything else", AuthenticationError),
    (401, E4, NotEntitledError),
    (403, E4, NotEntitledError),
    (403, E4.upper(), NotEntitledError),
    (403, E5, ForbiddenTweetsError),
    (403, E5 + ";", ForbiddenTweetsError),
    (403, E6, ForbiddenTweetsError),
    (400, E6, ForbiddenTweetsError),
    (403, E7, ForbiddenMetricsError),
    (400, E7, ForbiddenMetricsError),
    (403, "Your credentials do not allow access to this resource", NotEntitledError),
    (400, E10, RequestRejectedError),
    (403, E10, RequestRejectedError),
    (500, E10, RequestRejectedError),
    (400, "Tweet ID(s) are unavailable", RequestRejectedError),
    (403, "2 Tweet ID(s) are unavailable", RequestRejectedError),
    (406, E11, RequestRejectedError),
    (400, "tweet_ids: size [26] is not between 1 and 25", RequestRejectedError),
    (405, "Method not allowed", RequestRejectedError),
    (413, "too large", RequestRejectedError),
    (404, "Sorry, that page does not exist", EndpointNotFoundError),
    (410, "gone", EndpointNotFoundError),
    (301, "moved", EndpointNotFoundError),
    (307, "moved", EndpointNotFoundError),
    (500, "internal server error", ServerError),
    (502, "Bad Gateway", ServerError),
    (503, "Service Unavailable", ServerError),
    (504, "Gateway Timeout", ServerError),
    (599, "network", ServerError),
    (200, "something went wrong", ServerError),
]


HUGE = 2_000_000


@pytest.mark.parametrize(
    "messages",
    [
        ["Forbidden to access tweets: 1" + " " * HUGE + "x"],
        ["Forbidden to access tweets: 1" + " ," * HUGE + "x"],
        ["Forbidden to access tweets: " + "1" * HUGE],
        ["Forbidden to access tweets for author id " + "1" * HUGE + ": 1"],
        ["Forbidden to access tweets for author id 7: 101,"] * (HUGE // 20) + ["x"],
        ["1" * HUGE],
        ["1" * HUGE + " Tweet ID(s) are unavailable"],
        ["1 " * HUGE + "Tweet ID(s)" + " " * HUGE],
        [f"Forbidden to access tweets for author id {number}: 101" for number in range(HUGE // 20)],
    ],
)
def test_a_huge_text_of_a_server_takes_no_time_and_gives_a_short_error(messages: list[str]) -> None:
    started = time.process_time()
    error = error_for_response(
        endpoint="totals", status=403, messages=messages, host="https://x.com", shown=presentable_texts
    )
    unavailable_count(messages)
    reports_unavailable_tweets(messages)
    # A pattern that tries every start again would take hours.
    assert time.process_time() - started < 20
    assert len(str(error)) < 10_000


def test_half_a_secret_at_the_end_of_what_is_read_is_not_shown() -> None:
    secret = "canary" * 20
    for signs in range(LONGEST_READ - len(secret) - 5, LONGEST_READ + 5):
        assert "canary" not in presentable(" " * signs + secret + " " * LONGEST_READ, [secret])


@pytest.mark.parametrize(("status", "text", "kind"), DOCUMENTED)
def test_each_documented_error_is_an_exception(status: int, text: str, kind: type[ApiError]) -> None:
    error = error_for(status, text)
    assert type(error) is kind
    assert (error.status, error.endpoint, error.messages, error.request_id) == (status, "totals", (text,), "r-1")
    for part in ("totals", str(status), text, "r-1"):
        assert part in str(error)
    assert isinstance(error, TransientError) is (kind is ServerError)
    assert isinstance(error, PermanentError) is (kind is not ServerError)


def test_an_app_without_access_is_the_error_even_if_tweets_are_named_too() -> None:
    assert type(error_for(403, E6, E4)) is NotEntitledError


def test_a_wrong_address_is_named() -> None:
    for status in (404, 410, 307):
        assert HOST in str(error_for(status))


@pytest.mark.parametrize(("status", "kind"), [(500, ServerError), (403, NotEntitledError), (401, AuthenticationError)])
def test_without_a_text_the_status_decides(status: int, kind: type[ApiError]) -> None:
    assert type(error_for(status)) is kind


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({"errors": ["a", "b"]}, ("a", "b")),
        ({"errors": [{"code": 34, "message": "a"}]}, ("a",)),
        ({"errors": [{"code": 34}]}, ("{'code': 34}",)),
        ({"errors": "a"}, ("a",)),
        ({"errors": {"message": "a"}}, ("a",)),
        (["a", {"message": "b"}], ("a", "b")),
        ({"errors": []}, ()),
        ({"errors": None}, ()),
        ({"errors": 5}, ()),
        ({}, ()),
        (None, ()),
        (5, ()),
    ],
)
def test_error_messages_are_read_in_every_shape(body: object, messages: tuple[str, ...]) -> None:
    assert error_messages(body) == messages


# Tweets of other users


def test_both_formats_name_the_tweets_of_other_users() -> None:
    by_author = [
        "Forbidden to access tweets for author id 1114564404: 640022366307745792",
        "Forbidden to access tweets for author id 18435372: 640026211712786432, 640026277605339136,640027450420756481",
        "Forbidden to access tweets for author id 2265341844: 640022312914407425",
    ]
    assert forbidden_tweets(by_author) == {
        "1114564404": ("640022366307745792",),
        "18435372": ("640026211712786432", "640026277605339136", "640027450420756481"),
        "2265341844": ("640022312914407425",),
    }
    assert forbidden_tweets([E5]) == {None: ("640022366307745792", "640026211712786432")}
    assert forbidden_tweets([*by_author[:1], E5]) == {
        "1114564404": ("640022366307745792",),
        None: ("640022366307745792", "640026211712786432"),
    }


def test_messages_about_the_same_user_are_merged() -> None:
    lines = [f"Forbidden to access tweets for author id 7: {ids}" for ids in ("1, 2", "2, 3")]
    assert forbidden_tweets(lines) == {"7": ("1", "2", "3")}


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.none() | st.integers(1, 2**62).map(str), st.lists(st.integers(1, 2**63).map(str), min_size=1)),
    st.sampled_from([", ", ",", " , "]),
    st.sampled_from(["", ";", " ; ", " "]),
)
def test_all_named_ids_are_read(named: dict[str | None, list[str]], comma: str, end: str) -> None:
    lines = [
        f"Forbidden to access tweets{f' for author id {author}' if author else ''}: {comma.join(ids)}{end}"
        for author, ids in named.items()
    ]
    assert forbidden_tweets(lines) == {author: tuple(dict.fromkeys(ids)) for author, ids in named.items()}


def test_other_messages_name_no_tweets() -> None:
    prefix = "Forbidden to access tweets"
    assert forbidden_tweets(["", prefix, f"{prefix}: ", f"{prefix}: a, b", E7]) == {}


def test_the_error_names_the_tweets_by_user_and_the_remedy() -> None:
    error = error_for(403, E6)
    assert isinstance(error, ForbiddenTweetsError)
    assert error.tweet_ids_by_author == {"1114564404": ("640022366307745792",)}
    assert "user 1114564404" in error.summary
    assert "app credentials" in error.summary


def test_the_summary_of_many_tweets_is_short() -> None:
    summary = forbidden_summary({None: tuple(map(str, range(250))), "7": ("1",)})
    assert "251 of the Tweets" in summary
    assert "245 more" in summary
    assert len(summary) < 500


# Unavailable Tweets


@pytest.mark.parametrize(
    ("messages", "number"),
    [
        (["2 Tweet ID(s) are unavailable"], 2),
        (["1 tweet id(s) are unavailable", "3 Tweet ID(s) are unavailable"], 4),
        (["Tweet ID(s) are unavailable"], 0),
        (["Tweet ID(s) are unavailable", "2 Tweet ID(s) are unavailable"], 2),
        (["something else"], 0),
        ([], 0),
    ],
)
def test_the_number_of_unavailable_tweets_is_read(messages: list[str], number: int) -> None:
    assert unavailable_count(messages) == number


@pytest.mark.parametrize(
    ("messages", "reported"),
    [
        (["Tweet ID(s) are unavailable"], True),
        (["TWEET ID(S) ARE UNAVAILABLE."], True),
        (["3 Tweet ID(s) are unavailable"], True),
        (["Tweet IDs are unavailable"], True),
        (["1 Tweet ID is unavailable"], True),
        (["The tweet is unavailable"], False),
        (["Tweet ID(s) are unavailable", E5], False),
        (["Tweet ID(s) are unavailable", "tweet_ids: size [26] is not between 1 and 25"], False),
        (["something is unavailable"], False),
        ([], False),
    ],
)
def test_unavailable_tweets_are_reported_with_or_without_a_number_and_nothing_else(
    messages: list[str], reported: bool
) -> None:
    assert reports_unavailable_tweets(messages) is reported


@pytest.mark.parametrize(
    ("tweet_ids", "listed", "messages", "every"),
    [
        ("a", "", ["Tweet ID(s) are unavailable"], True),
        ("a", "b", ["Tweet ID(s) are unavailable"], False),
        ("ab", "", ["Tweet ID(s) are unavailable"], False),
        ("ab", "", ["2 Tweet ID(s) are unavailable"], True),
        ("ab", "", ["1 Tweet ID(s) are unavailable"], False),
        ("ab", "bca", [], True),
        ("ab", "a", [], False),
        ("a", "", [], False),
    ],
)
def test_a_response_is_about_every_tweet_if_it_lists_or_counts_all_or_there_is_one(
    tweet_ids: str, listed: str, messages: list[str], every: bool
) -> None:
    assert is_about_every_tweet(tweet_ids, listed, messages) is every


def test_a_missing_entitlement_is_recognized_among_other_texts() -> None:
    assert lacks_entitlement(["other", E4.upper()])
    assert not lacks_entitlement([E1])


@pytest.mark.parametrize("secret", ["tweets", "access", "metrics", "1", "author id", "e"])
@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (403, E5, ForbiddenTweetsError),
        (403, E6, ForbiddenTweetsError),
        (403, E7, ForbiddenMetricsError),
        (403, E4, NotEntitledError),
    ],
)
def test_a_secret_that_is_part_of_a_text_hides_it_from_readers_but_does_not_change_the_error(
    secret: str, status: int, text: str, kind: type[ApiError]
) -> None:
    error = error_for_response(
        endpoint="totals",
        status=status,
        messages=[text],
        host=HOST,
        shown=lambda texts: [shown.replace(secret, "***") for shown in texts],
    )
    assert type(error) is kind
    assert secret not in "".join(error.messages)
