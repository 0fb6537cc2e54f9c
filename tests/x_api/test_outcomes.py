"""Every missing value has a reason, and no value that is there has one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.x_api.catalogue import X_METRICS, FieldGroup, TweetKind
from airflow_provider_engagement.x_api.outcomes import (
    X_OUTCOME_MEANINGS,
    XOutcome,
    XStatus,
    status_without_private,
    statuses_of_lookup,
    statuses_of_page,
)
from airflow_provider_engagement.x_api.response import TweetObject, parse_tweets

from . import bodies

PUBLIC = (FieldGroup.PUBLIC,)
PRIVATE = (FieldGroup.NON_PUBLIC, FieldGroup.ORGANIC)
COLUMNS = [metric.column for metric in X_METRICS]
PUBLIC_COLUMNS = tuple(column for column in COLUMNS if column.startswith("public_"))
PRIVATE_COLUMNS = tuple(column for column in COLUMNS if not column.startswith("public_"))
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def of_lookup(body: dict[str, Any], *tweet_ids: str, groups: tuple[FieldGroup, ...] = PUBLIC) -> dict[str, XStatus]:
    return statuses_of_lookup(tweet_ids, parse_tweets(body, groups=groups), groups=groups)


def problem(segment: str, tweet_id: str) -> dict[str, str]:
    return {
        "resource_type": "tweet",
        "resource_id": tweet_id,
        "value": tweet_id,
        "parameter": "ids",
        "title": "A title",
        "type": f"{bodies.NEW_HOST}{segment}",
    }


def test_a_tweet_with_all_counts_is_ok_and_a_deleted_one_says_so() -> None:
    statuses = of_lookup(bodies.LOOKUP, bodies.TWEET, bodies.DELETED)

    assert statuses[bodies.TWEET] == XStatus(XOutcome.OK)
    assert statuses[bodies.DELETED].outcome is XOutcome.DELETED
    assert statuses[bodies.DELETED].metrics_affected == PUBLIC_COLUMNS
    assert "Not Found Error" in statuses[bodies.DELETED].message


@pytest.mark.parametrize(
    ("segment", "outcome"),
    [
        ("resource-not-found", XOutcome.DELETED),
        ("not-authorized-for-resource", XOutcome.PROTECTED),
        ("resource-unavailable", XOutcome.WITHHELD),
        ("disallowed-resource", XOutcome.WITHHELD),
        ("internal-error", XOutcome.NO_DATA),
        ("brand-new", XOutcome.NO_DATA),
    ],
)
def test_a_missing_tweet_has_the_reason_that_the_api_gives(segment: str, outcome: XOutcome) -> None:
    statuses = of_lookup({"errors": [problem(segment, "7")]}, "7")

    assert statuses["7"] == XStatus(outcome, PUBLIC_COLUMNS, "A title")


def test_many_refused_fields_of_a_tweet_are_one_reason() -> None:
    body = {**bodies.PRIVATE, "errors": bodies.refused_fields(bodies.FOREIGN)}

    statuses = of_lookup(body, bodies.TWEET, bodies.FOREIGN, groups=PRIVATE)

    assert statuses[bodies.FOREIGN].outcome is XOutcome.FORBIDDEN
    assert statuses[bodies.FOREIGN].metrics_affected == PRIVATE_COLUMNS


def test_a_refused_field_of_a_referenced_tweet_says_nothing_about_the_tweet() -> None:
    body = {"errors": bodies.refused_fields("7", section="includes", parameter="referenced_tweets.id")}

    assert of_lookup(body, "7", groups=PRIVATE)["7"].outcome is XOutcome.NO_DATA


def test_clicks_that_the_api_leaves_out_have_a_reason() -> None:
    statuses = of_lookup(bodies.PRIVATE, bodies.TWEET, groups=PRIVATE)

    assert statuses[bodies.TWEET] == XStatus(
        XOutcome.LEFT_OUT,
        ("non_public_url_link_clicks", "organic_url_link_clicks"),
        "the API returned no value",
    )


def test_a_tweet_that_the_api_passes_over_in_silence_has_a_reason() -> None:
    assert of_lookup({}, "7")["7"] == XStatus(XOutcome.NO_DATA, PUBLIC_COLUMNS, "the API said nothing about the Tweet")


def test_the_tweets_of_a_page_are_those_that_it_lists() -> None:
    answer = parse_tweets(bodies.LAST_PAGE, groups=PUBLIC)

    assert statuses_of_page(answer, groups=PUBLIC)[bodies.TWEET].outcome is XOutcome.LEFT_OUT
    assert statuses_of_page(parse_tweets(bodies.EMPTY_PAGE, groups=PUBLIC), groups=PUBLIC) == {}


def tweet_of_age(age: timedelta) -> str:
    milliseconds = round((NOW - age).timestamp() * 1000)
    return str((milliseconds - 1288834974657) << 22)


@pytest.mark.parametrize(
    ("age", "kind", "has_token", "outcome"),
    [
        (timedelta(days=1), TweetKind.ORIGINAL, False, XOutcome.NO_TOKEN),
        (timedelta(days=40), TweetKind.ORIGINAL, True, XOutcome.TOO_OLD),
        (timedelta(days=1), TweetKind.RETWEET, True, XOutcome.RETWEET),
        (timedelta(days=1), TweetKind.REPLY, True, XOutcome.LEFT_OUT),
    ],
)
def test_private_metrics_that_are_not_asked_for_have_a_reason(
    age: timedelta, kind: TweetKind, has_token: bool, outcome: XOutcome
) -> None:
    tweet = TweetObject(id=tweet_of_age(age), kind=kind)

    status = status_without_private(tweet, has_token=has_token, now=NOW)

    assert (status.outcome, status.metrics_affected) == (outcome, PRIVATE_COLUMNS)


def test_every_outcome_has_a_meaning() -> None:
    assert set(X_OUTCOME_MEANINGS) == set(XOutcome)


STATUSES = st.builds(
    XStatus,
    st.sampled_from(XOutcome),
    st.sets(st.sampled_from(COLUMNS)).map(lambda chosen: tuple(column for column in COLUMNS if column in chosen)),
    st.sampled_from(["", "one reason", "another reason"]),
)


@given(STATUSES, STATUSES, STATUSES)
def test_joined_statuses_keep_every_reason_whatever_their_order(
    first: XStatus, second: XStatus, third: XStatus
) -> None:
    for joined in (first.joined(second).joined(third), third.joined(first.joined(second))):
        assert joined.outcome is min((first.outcome, second.outcome, third.outcome), key=list(XOutcome).index)
        assert set(joined.metrics_affected) == {
            *first.metrics_affected,
            *second.metrics_affected,
            *third.metrics_affected,
        }
        for message in (first.message, second.message, third.message):
            assert message in joined.message


@given(
    st.dictionaries(
        st.integers(30_000_000_000, 30_000_000_050).map(str),
        st.tuples(st.sampled_from(["present", "not-found", "refused", "silent"]), st.sets(st.sampled_from(COLUMNS))),
        min_size=1,
    )
)
def test_each_null_has_a_reason_and_each_number_has_none(world: dict[str, tuple[str, set[str]]]) -> None:
    data, errors = [], []
    for tweet_id, (state, left_out) in world.items():
        if state == "present":
            groups: dict[str, dict[str, int]] = {}
            for metric in X_METRICS:
                if metric.group in PRIVATE and metric.column not in left_out:
                    groups.setdefault(metric.group.field, {})[metric.name] = 0
            data.append({"id": tweet_id, "text": "x", **groups})
        elif state == "not-found":
            errors.append(problem("resource-not-found", tweet_id))
        elif state == "refused":
            errors += bodies.refused_fields(tweet_id)

    answer = parse_tweets({"data": data, "errors": errors}, groups=PRIVATE)
    statuses = statuses_of_lookup(world, answer, groups=PRIVATE)

    assert statuses.keys() == world.keys()
    for tweet_id, (state, left_out) in world.items():
        missing = set(PRIVATE_COLUMNS) & left_out if state == "present" else set(PRIVATE_COLUMNS)
        assert set(statuses[tweet_id].metrics_affected) == missing
        assert (statuses[tweet_id].outcome is XOutcome.OK) == (not missing)
        assert bool(statuses[tweet_id].message) == bool(missing)
