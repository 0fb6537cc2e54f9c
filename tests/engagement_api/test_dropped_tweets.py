"""A request that the API rejects for some of its Tweets is repeated without them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.exceptions import (
    ForbiddenTweetsError,
    RequestRejectedError,
)
from airflow_provider_engagement.simulator import (
    Fault,
    Switches,
    World,
)

from ..engagement_client import (
    AUTHOR,
    FOREIGN,
    FOREIGN_TOO,
    NEW,
    NOW,
    OLD,
    OTHER,
    SECOND,
    THIRD,
    Connect,
    Make,
    counts_of,
    outcomes,
)


@pytest.mark.parametrize("form", Switches.choices()["forbidden_format"])
def test_tweets_of_other_users_make_the_request_fail_by_default(
    form: str, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR, switches=Switches(forbidden_format=form))
    with pytest.raises(ForbiddenTweetsError) as caught:
        one.client.fetch(totals(NEW, FOREIGN, FOREIGN_TOO, auth=Auth.USER))
    found = caught.value.tweet_ids_by_author
    if form == "by_author":
        assert found == {OTHER: (FOREIGN,), THIRD: (FOREIGN_TOO,)}
    else:
        assert found == {None: (FOREIGN, FOREIGN_TOO)}


@pytest.mark.parametrize("form", Switches.choices()["forbidden_format"])
def test_dropped_tweets_of_other_users_are_reported_with_their_authors(
    form: str, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR, switches=Switches(forbidden_format=form), drop_forbidden=True)
    fetched = one.client.fetch(totals(NEW, FOREIGN, SECOND, FOREIGN_TOO, auth=Auth.USER))
    assert list(fetched.response.statuses) == [NEW, FOREIGN, SECOND, FOREIGN_TOO]
    assert outcomes(fetched.response) == {NEW: "ok", FOREIGN: "forbidden", SECOND: "ok", FOREIGN_TOO: "forbidden"}
    assert fetched.response.statuses[FOREIGN].metrics_affected == ("favorites",)
    named = form == "by_author"
    assert fetched.authors == {FOREIGN: OTHER if named else None, FOREIGN_TOO: THIRD if named else None}
    assert {key[0] for key in counts_of(fetched.response)} == {NEW, SECOND}
    assert [entry.body["tweet_ids"] for entry in one.simulator.journal] == [
        [NEW, FOREIGN, SECOND, FOREIGN_TOO],
        [NEW, SECOND],
    ]


def test_if_all_tweets_are_dropped_no_other_request_is_sent(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, user=AUTHOR, drop_forbidden=True)
    fetched = one.client.fetch(totals(FOREIGN, FOREIGN_TOO, auth=Auth.USER))
    assert outcomes(fetched.response) == {FOREIGN: "forbidden", FOREIGN_TOO: "forbidden"}
    assert counts_of(fetched.response) == {}
    assert len(one.simulator.journal) == 1


def test_tweets_that_are_named_in_several_responses_are_dropped_in_rounds(
    world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR, drop_forbidden=True)
    for tweet_id in (SECOND, OLD):
        one.simulator.faults.add(Fault(status=403, body={"errors": [f"Forbidden to access tweets: {tweet_id};"]}))
    fetched = one.client.fetch(totals(NEW, SECOND, OLD, auth=Auth.USER))
    assert outcomes(fetched.response) == {NEW: "ok", SECOND: "forbidden", OLD: "forbidden"}


def test_an_error_that_names_no_tweet_of_the_request_is_raised(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, user=AUTHOR, drop_forbidden=True)
    one.simulator.faults.add(Fault(status=403, body={"errors": [f"Forbidden to access tweets: {OLD}"]}, times=None))
    with pytest.raises(ForbiddenTweetsError):
        one.client.fetch(totals(NEW, auth=Auth.USER))
    assert len(one.simulator.journal) == 1


# Unavailable Tweets


@pytest.mark.parametrize("status", [400, 200])
def test_a_request_that_is_rejected_for_some_unavailable_tweets_is_repeated_without_them(
    status: int, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW)
    body = {"errors": ["1 Tweet ID(s) are unavailable"], "unavailable_tweet_ids": [SECOND]}
    one.simulator.faults.add(Fault(status=status, body=body))
    fetched = one.client.fetch(totals(NEW, SECOND))
    assert outcomes(fetched.response) == {NEW: "ok", SECOND: "unavailable"}
    assert fetched.response.statuses[SECOND].metrics_affected == ("favorites",)
    assert fetched.authors == {}
    assert [entry.body["tweet_ids"] for entry in one.simulator.journal] == [[NEW, SECOND], [NEW]]


@pytest.mark.parametrize("status", [400, 200])
def test_a_response_without_available_tweets_succeeds_in_every_form(
    status: int, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW)
    bodies: list[dict[str, Any]] = [
        {"errors": ["2 Tweet ID(s) are unavailable"], "unavailable_tweet_ids": [NEW, SECOND]},
        {"errors": ["2 Tweet ID(s) are unavailable"]},
        {"unavailable_tweet_ids": [NEW, SECOND]},
        {"unavailable_tweet_ids": f"{NEW}, {SECOND}"},
    ]
    for body in bodies:
        one.simulator.faults.add(Fault(status=status, body=body))
        response = one.client.fetch(totals(NEW, SECOND)).response
        assert outcomes(response) == {NEW: "unavailable", SECOND: "unavailable"}
        assert counts_of(response) == {}
    assert len(one.simulator.journal) == len(bodies)


def test_tweets_of_a_protected_user_are_unavailable(world: World, connect: Connect, totals: Make) -> None:
    world.change_handle(AUTHOR, protected=True)
    one = connect(world, now=NOW, user=AUTHOR)
    assert outcomes(one.client.fetch(totals(NEW, auth=Auth.USER)).response) == {NEW: "unavailable"}


def test_an_error_about_tweets_that_are_all_available_is_raised(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW)
    one.simulator.faults.add(Fault(status=400, body={"errors": ["1 Tweet ID(s) are unavailable"]}))
    with pytest.raises(RequestRejectedError, match="unavailable"):
        one.client.fetch(totals(NEW, SECOND))
