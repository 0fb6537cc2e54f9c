"""What the API leaves out is null and never 0, in both of its vocabularies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.exceptions import InvalidResponseError
from airflow_provider_engagement.x_api.catalogue import X_METRICS, FieldGroup, TweetKind
from airflow_provider_engagement.x_api.response import MediaObject, TweetObject, UserObject, parse_tweets, parse_users

from . import bodies

PUBLIC = (FieldGroup.PUBLIC,)
PRIVATE = (FieldGroup.NON_PUBLIC, FieldGroup.ORGANIC)


def test_a_tweet_has_its_whole_text_its_media_and_its_versions() -> None:
    answer = parse_tweets(bodies.LOOKUP, groups=PUBLIC)

    assert answer.tweets[bodies.TWEET] == TweetObject(
        id=bodies.TWEET,
        text="A first line, and all of the others.",
        author_id=bodies.AUTHOR,
        created_at=datetime(2026, 11, 20, 10, tzinfo=UTC),
        language="en",
        kind=TweetKind.ORIGINAL,
        conversation_id=bodies.TWEET,
        media_keys=("3_1001", "7_1002"),
        edit_history=("1989999999999999999", bodies.TWEET),
        counts=bodies.PUBLIC_COLUMNS,
    )
    assert answer.media == {
        "3_1001": MediaObject(key="3_1001", type="photo"),
        "7_1002": MediaObject(key="7_1002", type="video"),
    }


def test_the_author_of_a_tweet_has_a_name_and_followers() -> None:
    answer = parse_tweets(bodies.LOOKUP, groups=PUBLIC)

    assert answer.users == {
        bodies.AUTHOR: UserObject(
            id=bodies.AUTHOR,
            handle="acme_labs",
            name="Acme Labs",
            created_at=datetime(2012, 5, 1, 8, tzinfo=UTC),
            is_protected=False,
            counts={"followers_count": 1500, "following_count": 20, "tweet_count": 4100, "listed_count": 9},
        )
    }


@pytest.mark.parametrize(
    ("tweet_id", "kind"),
    [
        (bodies.TWEET, TweetKind.ORIGINAL),
        (bodies.REPLY, TweetKind.REPLY),
        (bodies.QUOTE, TweetKind.QUOTE),
        (bodies.RETWEET, TweetKind.RETWEET),
    ],
)
def test_a_tweet_is_an_original_a_reply_a_quote_or_a_retweet(tweet_id: str, kind: TweetKind) -> None:
    assert parse_tweets(bodies.LOOKUP, groups=PUBLIC).tweets[tweet_id].kind is kind


def test_a_reply_to_a_deleted_tweet_is_a_reply() -> None:
    body = {"data": [{"id": "30000000000", "author_id": "1", "in_reply_to_user_id": "2"}]}

    assert parse_tweets(body, groups=PUBLIC).tweets["30000000000"].kind is TweetKind.REPLY


def test_the_kind_is_unknown_if_it_was_not_asked_for() -> None:
    assert parse_tweets(bodies.PRIVATE, groups=PRIVATE).tweets[bodies.TWEET].kind is None


def test_both_vocabularies_give_the_same_tweet() -> None:
    tweet = parse_tweets(bodies.LOOKUP_IN_OTHER_WORDS, groups=PUBLIC).tweets[bodies.RETWEET]

    assert tweet.counts == bodies.PUBLIC_COLUMNS
    assert tweet.kind is TweetKind.RETWEET
    assert tweet.edit_history == (bodies.RETWEET,)
    assert tweet.text == "A first line, and all of the others."


def test_the_other_words_for_a_user_give_the_same_count() -> None:
    users = parse_tweets(bodies.LOOKUP_IN_OTHER_WORDS, groups=PUBLIC).users

    assert users[bodies.AUTHOR].counts["tweet_count"] == 4100
    assert users[bodies.AUTHOR].counts["followers_count"] is None


def test_clicks_that_the_api_leaves_out_are_null() -> None:
    counts = parse_tweets(bodies.PRIVATE, groups=PRIVATE).tweets[bodies.TWEET].counts

    assert counts["organic_url_link_clicks"] is None
    assert counts["non_public_url_link_clicks"] is None
    assert counts["non_public_engagements"] == 3474
    assert not any(column.startswith("public_") for column in counts)


def test_a_tweet_without_its_group_of_metrics_has_no_counts() -> None:
    body = {"data": [{"id": bodies.TWEET, "text": "x"}]}

    assert set(parse_tweets(body, groups=PUBLIC).tweets[bodies.TWEET].counts.values()) == {None}


def test_the_creation_time_is_in_the_id_if_the_api_does_not_say_it() -> None:
    body = {"data": [{"id": "29700859247"}, {"id": "20"}]}

    tweets = parse_tweets(body, groups=PUBLIC).tweets

    # 7,081 milliseconds after the epoch of ids: 29,700,859,247 divided by 2 to the power of 22.
    assert tweets["29700859247"].created_at == datetime(2010, 11, 4, 1, 43, 1, 738_000, tzinfo=UTC)
    assert tweets["20"].created_at is None


@pytest.mark.parametrize(
    ("body", "token"), [(bodies.EMPTY_PAGE, "7140dibdnow9"), (bodies.LAST_PAGE, None), (bodies.LOOKUP, None)]
)
def test_a_page_names_the_next_one_even_if_it_is_empty(body: dict[str, Any], token: str | None) -> None:
    assert parse_tweets(body, groups=PUBLIC).next_token == token


def test_an_answer_with_errors_alone_has_no_tweets() -> None:
    answer = parse_tweets({"errors": bodies.LOOKUP["errors"]}, groups=PUBLIC)

    assert answer.tweets == {}
    assert len(answer.problems) == 1


@pytest.mark.parametrize(
    "node",
    [
        {"id": 1990000000000000001},
        {"id": "x"},
        {"id": "30000000000", "public_metrics": {"like_count": -1}},
        {"id": "30000000000", "public_metrics": {"like_count": True}},
        {"id": "30000000000", "public_metrics": {"like_count": 1.5}},
        {"id": "30000000000", "public_metrics": {"like_count": 2**63}},
        {"id": "30000000000", "public_metrics": [1]},
        {"id": "30000000000", "text": 5},
        {"id": "30000000000", "created_at": "yesterday"},
        {"id": "30000000000", "referenced_tweets": {}},
        {"id": "30000000000", "attachments": {"media_keys": "3_1"}},
        "30000000000",
    ],
)
def test_an_answer_of_another_shape_is_an_error(node: object) -> None:
    with pytest.raises(InvalidResponseError):
        parse_tweets({"data": [node]}, groups=PUBLIC)


def test_a_count_in_quotes_is_a_count() -> None:
    body = {"data": [{"id": "30000000000", "public_metrics": {"like_count": "7"}}]}

    assert parse_tweets(body, groups=PUBLIC).tweets["30000000000"].counts["public_like_count"] == 7


def test_users_are_parsed_with_those_that_are_not_there() -> None:
    answer = parse_users(
        {
            "data": bodies.LOOKUP["includes"]["users"],
            "errors": [
                {
                    "value": "nobody",
                    "parameter": "usernames",
                    "resource_type": "user",
                    "resource_id": "nobody",
                    "title": "Not Found Error",
                    "type": f"{bodies.NEW_HOST}resource-not-found",
                }
            ],
        }
    )

    assert [user.handle for user in answer.users.values()] == ["acme_labs"]
    assert [problem.value for problem in answer.problems] == ["nobody"]


def test_the_user_of_a_token_is_one_user() -> None:
    answer = parse_users({"data": {"id": bodies.AUTHOR, "name": "Acme Labs", "username": "acme_labs"}})

    assert [user.handle for user in answer.users.values()] == ["acme_labs"]


COLUMNS = [metric.column for metric in X_METRICS]
TWEETS = st.builds(
    TweetObject,
    id=st.just(bodies.TWEET),
    text=st.none() | st.sampled_from(["one", "two"]),
    kind=st.none() | st.sampled_from(TweetKind),
    media_keys=st.just(()) | st.just(("3_1",)),
    counts=st.dictionaries(st.sampled_from(COLUMNS), st.none() | st.integers(0, 9)),
)


@given(TWEETS, TWEETS, TWEETS)
def test_joining_answers_does_not_depend_on_how_they_are_grouped(
    first: TweetObject, second: TweetObject, third: TweetObject
) -> None:
    assert first.joined(second).joined(third) == first.joined(second.joined(third))
    assert first.joined(first) == first


@given(TWEETS, TWEETS)
def test_joining_answers_loses_no_value_and_invents_none(first: TweetObject, second: TweetObject) -> None:
    joined = first.joined(second)

    assert joined.counts.keys() == first.counts.keys() | second.counts.keys()
    for column, count in joined.counts.items():
        known = [one.counts[column] for one in (first, second) if one.counts.get(column) is not None]
        assert count == (known[0] if known else None)
    assert joined.text == (first.text or second.text)
