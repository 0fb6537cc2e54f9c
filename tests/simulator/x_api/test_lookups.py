"""Looking up Tweets and users: fields, expansions, vocabularies, and why something is missing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_engagement.simulator import Clock, Reference, Simulator, Tweet, World

from .conftest import AUTHOR, DELETED, FOREIGN, NEW, NOW, OLD, OTHER, REPLY, RETWEET, VIDEO, XClient, handle

Start = Callable[..., XClient]
PRIVATE = "non_public_metrics,organic_metrics,promoted_metrics"


def titles(body: Any) -> dict[str, str]:
    return {error["resource_id"]: error["title"] for error in body["errors"]}


def test_a_tweet_without_fields_has_id_text_and_history(x: XClient) -> None:
    assert x.tweets(NEW) == {"data": [{"id": NEW, "text": "Hello, world", "edit_history_tweet_ids": [NEW]}]}


def test_public_metrics_are_organic_plus_promoted(x: XClient) -> None:
    (tweet,) = x.tweets(NEW, tweet__fields="public_metrics")["data"]
    # The world counts 4 favorites and 40 impressions, and half as many on top are promoted.
    assert tweet["public_metrics"] == {
        "retweet_count": 3,
        "reply_count": 9,
        "like_count": 6,
        "quote_count": 1,
        "bookmark_count": x.simulator.figures.public(x.simulator.world.tweets[NEW])["bookmark_count"],
        "impression_count": 60,
    }


@pytest.mark.parametrize("credentials", [{"user": AUTHOR}, {"oauth2": AUTHOR}])
def test_the_author_of_a_young_tweet_reads_its_private_metrics(start: Start, world: World, credentials: Any) -> None:
    x = start(world, url_link_clicks="always")
    (tweet,) = x.tweets(NEW, tweet__fields=PRIVATE, **credentials)["data"]
    organic = {
        "impression_count": 40,
        "like_count": 4,
        "reply_count": 6,
        "retweet_count": 2,
        "url_link_clicks": 8,
        "user_profile_clicks": 10,
    }
    assert tweet["organic_metrics"] == organic
    assert tweet["promoted_metrics"] == {name: count // 2 for name, count in organic.items()}
    assert tweet["non_public_metrics"] == {
        "impression_count": 60,
        "url_link_clicks": 12,
        "user_profile_clicks": 15,
        "engagements": 46,
    }


def test_organic_metrics_are_the_totals_of_the_engagement_api(x: XClient) -> None:
    (tweet,) = x.tweets(NEW, tweet__fields="organic_metrics", user=AUTHOR)["data"]
    body = {
        "tweet_ids": [NEW],
        "engagement_types": ["impressions", "favorites"],
        "groupings": {"all": {"group_by": []}},
    }
    body["groupings"] = {"all": {"group_by": ["engagement.type"]}}
    totals = x.session.post(
        f"{x.simulator.base_url}/insights/engagement/totals", json=body, auth=x.oauth1(AUTHOR), timeout=10
    ).json()["all"]
    assert totals == {"impressions": "40", "favorites": "4"}
    assert (tweet["organic_metrics"]["impression_count"], tweet["organic_metrics"]["like_count"]) == (40, 4)


@pytest.mark.parametrize("changes", [{"restatement": True}, {"negative_counts": True}])
def test_they_are_so_under_the_switches_of_the_engagement_api(start: Start, changes: dict[str, bool]) -> None:
    world = World.generate(seed=7, handles=1, tweets=40, start=NOW - timedelta(days=5), end=NOW, old=0.0)
    x = start(world)
    (user_id,) = world.handles
    x.simulator.switches = x.simulator.switches.changed(changes)
    fields = "public_metrics,organic_metrics,promoted_metrics"
    tweets = x.tweets(*world.tweets_of(user_id, deleted=False), tweet__fields=fields, user=user_id)["data"]
    assert len(tweets) > 20
    for tweet in tweets:
        assert tweet["organic_metrics"]["like_count"] == x.simulator.total(tweet["id"], "favorites")
        assert tweet["organic_metrics"]["impression_count"] == x.simulator.total(tweet["id"], "impressions")
        assert tweet["public_metrics"]["like_count"] == (
            tweet["organic_metrics"]["like_count"] + tweet["promoted_metrics"]["like_count"]
        )


@pytest.mark.parametrize("user", [OTHER, None])
def test_who_cannot_read_a_metric_does_not_get_the_tweet_but_one_error_for_each_metric(
    x: XClient, user: str | None
) -> None:
    body = x.tweets(NEW, tweet__fields=f"public_metrics,{PRIVATE}", user=user)
    assert "data" not in body
    assert len(body["errors"]) == 3 + 6 + 6
    assert body["errors"][3] == {
        "resource_id": NEW,
        "parameter": "ids",
        "resource_type": "tweet",
        "field": "organic_metrics.impression_count",
        "section": "data",
        "title": "Field Authorization Error",
        "value": NEW,
        "detail": "Sorry, you are not authorized to access 'organic_metrics.impression_count' on the Tweet with ids : "
        f"[{NEW}].",
        "type": "https://api.twitter.com/2/problems/not-authorized-for-field",
    }


def test_a_tweet_that_a_reader_can_see_is_there_in_spite_of_another_that_is_not(x: XClient) -> None:
    body = x.tweets(NEW, FOREIGN, DELETED, "20", tweet__fields="organic_metrics", user=AUTHOR)
    assert [tweet["id"] for tweet in body["data"]] == [NEW]
    assert titles(body) == {FOREIGN: "Field Authorization Error", DELETED: "Not Found Error", "20": "Not Found Error"}


def test_a_response_with_errors_only_has_status_200_and_no_data(x: XClient) -> None:
    assert x.tweets(DELETED) == {
        "errors": [
            {
                "value": DELETED,
                "detail": f"Could not find tweet with ids: [{DELETED}].",
                "title": "Not Found Error",
                "resource_type": "tweet",
                "parameter": "ids",
                "resource_id": DELETED,
                "type": "https://api.twitter.com/2/problems/resource-not-found",
            }
        ]
    }


def test_a_tweet_that_is_posted_later_does_not_exist_yet(x: XClient) -> None:
    x.simulator.clock.set(NOW - timedelta(days=60))
    assert titles(x.tweets(NEW)) == {NEW: "Not Found Error"}


def test_only_the_user_sees_the_tweets_of_a_protected_account(x: XClient) -> None:
    x.simulator.world.change_handle(OTHER, protected=True)
    assert titles(x.tweets(FOREIGN)) == {FOREIGN: "Authorization Error"}
    assert titles(x.tweets(FOREIGN, user=AUTHOR)) == {FOREIGN: "Authorization Error"}
    assert [tweet["id"] for tweet in x.tweets(FOREIGN, user=OTHER)["data"]] == [FOREIGN]


def test_the_tweets_of_a_suspended_account_do_not_exist(x: XClient) -> None:
    x.simulator.world.change_handle(OTHER, suspended=True)
    assert titles(x.tweets(FOREIGN)) == {FOREIGN: "Not Found Error"}


@pytest.mark.parametrize(("days", "readable"), [(30, True), (31, False)])
def test_private_metrics_end_after_30_days(x: XClient, days: int, readable: bool) -> None:
    created = x.simulator.world.tweets[NEW].created_at
    assert created is not None
    x.simulator.clock.set(created + timedelta(days=days))
    assert ("data" in x.tweets(NEW, tweet__fields="organic_metrics", user=AUTHOR)) is readable


@pytest.mark.parametrize(
    ("choice", "ids", "errors"),
    [("errors", [], 6), ("left_out", [OLD], 0), ("dropped", [], 0)],
)
def test_an_own_tweet_that_is_too_old(start: Start, world: World, choice: str, ids: list[str], errors: int) -> None:
    body = start(world, old_private_metrics=choice).tweets(OLD, tweet__fields="organic_metrics", user=AUTHOR)
    assert [tweet["id"] for tweet in body.get("data", ())] == ids
    assert all("organic_metrics" not in tweet for tweet in body.get("data", ()))
    assert len(body.get("errors", ())) == errors


@pytest.mark.parametrize(("choice", "ids"), [("errors", []), ("shown", [RETWEET])])
def test_the_private_metrics_of_an_own_retweet(start: Start, world: World, choice: str, ids: list[str]) -> None:
    x = start(world, private_metrics_of_retweets=choice)
    body = x.tweets(RETWEET, tweet__fields="organic_metrics", user=AUTHOR)
    assert [tweet["id"] for tweet in body.get("data", ())] == ids
    assert ("errors" in body) is not bool(ids)


@pytest.mark.parametrize(("choice", "status"), [("errors", 200), ("rejected", 403)])
def test_a_bearer_token_reads_no_private_metrics(start: Start, world: World, choice: str, status: int) -> None:
    response = start(world, app_on_private_metrics=choice).get("tweets", ids=NEW, tweet__fields="organic_metrics")
    assert response.status_code == status
    assert "data" not in response.json()


@pytest.mark.parametrize(("choice", "shares"), [("always", {1.0}), ("never", {0.0}), ("sometimes", {0.0, 1.0})])
def test_the_count_of_clicks_on_links_can_be_missing(start: Start, choice: str, shares: set[float]) -> None:
    ids = [str(2000000000000000001 + number) for number in range(40)]
    world = World(handles=[handle(AUTHOR, "acme")], tweets=[Tweet(id=one, author_id=AUTHOR) for one in ids])
    tweets = start(world, url_link_clicks=choice).tweets(*ids, tweet__fields=PRIVATE, user=AUTHOR)["data"]
    present = ["url_link_clicks" in tweet["organic_metrics"] for tweet in tweets]
    assert {float(one) for one in present} == shares
    assert present == ["url_link_clicks" in tweet["non_public_metrics"] for tweet in tweets]


@pytest.mark.parametrize(("choice", "ids"), [("zero", [NEW, VIDEO]), ("dropped", [NEW])])
def test_promoted_metrics_of_a_tweet_that_was_never_promoted(
    start: Start, world: World, choice: str, ids: list[str]
) -> None:
    body = start(world, unpromoted=choice).tweets(NEW, VIDEO, tweet__fields="promoted_metrics", user=AUTHOR)
    assert [tweet["id"] for tweet in body["data"]] == ids
    assert "errors" not in body
    if choice == "zero":
        assert set(body["data"][1]["promoted_metrics"].values()) == {0}


@pytest.mark.parametrize(("choice", "impressions"), [("all", 60), ("organic", 40)])
def test_non_public_counts_can_be_organic_only(start: Start, world: World, choice: str, impressions: int) -> None:
    x = start(world, non_public_counts=choice)
    (tweet,) = x.tweets(NEW, tweet__fields="non_public_metrics", user=AUTHOR)["data"]
    assert tweet["non_public_metrics"]["impression_count"] == impressions


@pytest.mark.parametrize("choice", [True, False])
def test_non_public_metrics_can_lack_engagements(start: Start, world: World, choice: bool) -> None:
    x = start(world, non_public_engagements=choice)
    (tweet,) = x.tweets(NEW, tweet__fields="non_public_metrics", user=AUTHOR)["data"]
    assert ("engagements" in tweet["non_public_metrics"]) is choice


def test_the_spelling_of_the_request_decides_the_words_of_the_response(x: XClient) -> None:
    fields = "public_metrics,author_id"
    tweets = x.tweets(RETWEET, tweet__fields=f"{fields},referenced_tweets", expansions="referenced_tweets.id")
    posts = x.tweets(RETWEET, post__fields=f"{fields},referenced_posts", expansions="referenced_posts")
    assert tweets["data"][0]["edit_history_tweet_ids"] == posts["data"][0]["edit_history_post_ids"] == [RETWEET]
    assert tweets["data"][0]["referenced_tweets"] == posts["data"][0]["referenced_posts"]
    assert "retweet_count" in tweets["data"][0]["public_metrics"]
    assert "repost_count" in posts["data"][0]["public_metrics"]
    assert [one["id"] for one in tweets["includes"]["tweets"]] == [one["id"] for one in posts["includes"]["posts"]]
    assert "repost_count" in posts["includes"]["posts"][0]["public_metrics"]


def test_the_fields_of_a_tweet_say_what_it_is(x: XClient) -> None:
    fields = "created_at,author_id,lang,conversation_id,in_reply_to_user_id,referenced_tweets"
    reply, original = x.tweets(REPLY, NEW, tweet__fields=fields)["data"]
    assert reply["conversation_id"] == FOREIGN
    assert reply["in_reply_to_user_id"] == OTHER
    assert reply["referenced_tweets"] == [{"type": "replied_to", "id": FOREIGN}]
    assert original["created_at"] == "2025-12-14T00:28:52.000Z"
    assert (original["lang"], original["author_id"]) == ("en", AUTHOR)
    assert not {"in_reply_to_user_id", "referenced_tweets"} & original.keys()


def test_a_long_text_is_cut_and_whole_in_a_field_of_its_own(start: Start) -> None:
    long = "word " * 100
    world = World(handles=[handle(AUTHOR, "acme")], tweets=[Tweet(id=NEW, author_id=AUTHOR, text=long)])
    (tweet,) = start(world).tweets(NEW, tweet__fields="note_tweet")["data"]
    assert len(tweet["text"]) == 280
    assert tweet["note_tweet"] == {"text": long}


def test_expansions_include_authors_media_and_what_a_tweet_refers_to(x: XClient) -> None:
    body = x.tweets(
        VIDEO,
        REPLY,
        expansions="author_id,attachments.media_keys,referenced_tweets.id,referenced_tweets.id.author_id",
        user__fields="protected",
        media__fields="public_metrics",
    )
    assert body["data"][0]["attachments"] == {"media_keys": ["13_77"]}
    assert body["data"][0]["author_id"] == AUTHOR
    assert body["includes"]["media"] == [{"media_key": "13_77", "type": "video", "public_metrics": {"view_count": 100}}]
    assert {user["username"]: user["protected"] for user in body["includes"]["users"]} == {
        "acme": False,
        "other_one": False,
    }
    assert [tweet["id"] for tweet in body["includes"]["tweets"]] == [FOREIGN]


def test_what_a_tweet_refers_to_can_be_missing(x: XClient) -> None:
    x.simulator.world.change_tweet(FOREIGN, deleted=True)
    body = x.tweets(REPLY, expansions="referenced_tweets.id")
    assert [tweet["id"] for tweet in body["data"]] == [REPLY]
    assert [(error["resource_id"], error["parameter"]) for error in body["errors"]] == [
        (FOREIGN, "referenced_tweets.id")
    ]


def test_private_metrics_of_an_expanded_tweet_have_errors_of_the_section_includes(x: XClient) -> None:
    body = x.tweets(REPLY, expansions="referenced_tweets.id", tweet__fields="organic_metrics", user=AUTHOR)
    assert [tweet["id"] for tweet in body["data"]] == [REPLY]
    assert "tweets" not in body.get("includes", {})
    assert {(error["section"], error["parameter"], error["resource_id"]) for error in body["errors"]} == {
        ("includes", "referenced_tweets.id", FOREIGN)
    }


def test_the_private_metrics_of_media_are_for_the_author(x: XClient) -> None:
    options = {"expansions": "attachments.media_keys", "media__fields": "non_public_metrics,organic_metrics"}
    (video,) = x.tweets(VIDEO, user=AUTHOR, **options)["includes"]["media"]
    assert video["non_public_metrics"]["playback_0_count"] == video["organic_metrics"]["view_count"] == 100
    assert "view_count" not in video["non_public_metrics"]
    body = x.tweets(VIDEO, user=OTHER, **options)
    assert "includes" not in body
    assert {error["title"] for error in body["errors"]} == {"Field Authorization Error"}


def test_each_version_of_an_edited_tweet_can_be_read(start: Start) -> None:
    versions = (NEW, VIDEO)
    world = World(
        handles=[handle(AUTHOR, "acme")],
        tweets=[Tweet(id=one, author_id=AUTHOR, versions=versions) for one in versions],
    )
    x = start(world)
    body = x.tweets(VIDEO, expansions="edit_history_tweet_ids")
    assert body["data"][0]["edit_history_tweet_ids"] == list(versions)
    assert [tweet["id"] for tweet in body["includes"]["tweets"]] == [NEW]
    assert body["includes"]["tweets"][0]["text"] != body["data"][0]["text"]
    world.change_tweet(NEW, deleted=True)
    assert titles(x.tweets(VIDEO)) == {VIDEO: "Not Found Error"}


def test_a_version_does_not_know_of_later_ones() -> None:
    first, second = NEW, str(int(NEW) + (60_000 << 22))
    world = World(
        handles=[handle(AUTHOR, "acme")],
        tweets=[Tweet(id=one, author_id=AUTHOR, versions=(first, second)) for one in (first, second)],
    )
    created = world.tweets[first].created_at
    assert created is not None
    with Simulator(world, clock=Clock(created + timedelta(seconds=30))) as simulator:
        x = XClient(simulator)
        assert x.tweets(first)["data"][0]["edit_history_tweet_ids"] == [first]
        assert x.listed(AUTHOR) == [first]
        simulator.clock.advance(timedelta(minutes=1))
        assert x.tweets(first)["data"][0]["edit_history_tweet_ids"] == [first, second]
        assert x.listed(AUTHOR) == [second]


def test_users_are_found_by_name_and_by_id_in_the_order_of_the_request(x: XClient) -> None:
    by_name = x.get("users/by", usernames="OTHER_ONE,nobody,acme", user__fields="created_at,protected").json()
    by_id = x.get("users", ids=f"{OTHER},1,{AUTHOR}", user__fields="created_at,protected").json()
    assert [user["id"] for user in by_name["data"]] == [OTHER, AUTHOR]
    assert by_name["data"] == by_id["data"]
    assert by_name["errors"] == [
        {
            "value": "nobody",
            "detail": "Could not find user with usernames: [nobody].",
            "title": "Not Found Error",
            "resource_type": "user",
            "parameter": "usernames",
            "resource_id": "nobody",
            "type": "https://api.twitter.com/2/problems/resource-not-found",
        }
    ]
    assert titles(by_id) == {"1": "Not Found Error"}


def test_a_suspended_user_has_an_error(x: XClient) -> None:
    x.simulator.world.change_handle(OTHER, suspended=True)
    (error,) = x.get("users/by", usernames="other_one").json()["errors"]
    assert (error["title"], error["detail"]) == ("Forbidden", "User has been suspended: [other_one].")


@pytest.mark.parametrize(("words", "name"), [("tweet", "tweet_count"), ("post", "post_count")])
def test_the_numbers_of_a_user_are_those_of_the_world(start: Start, world: World, words: str, name: str) -> None:
    x = start(world, user_words=words)
    metrics = x.get("users/me", user=AUTHOR, user__fields="public_metrics").json()["data"]["public_metrics"]
    audience = world.profiles.audience(AUTHOR, NOW)
    assert metrics == {
        "followers_count": audience.followers,
        "following_count": audience.following,
        name: 5,
        "listed_count": audience.listed,
    }


def test_followers_change_with_the_data_clock(x: XClient) -> None:
    numbers = set()
    for _ in range(10):
        x.simulator.clock.advance(timedelta(days=30))
        user = x.get("users", ids=AUTHOR, user__fields="public_metrics").json()["data"][0]
        numbers.add(user["public_metrics"]["followers_count"])
    assert len(numbers) > 5


def test_an_author_without_tokens_is_a_user_as_well(start: Start) -> None:
    world = World(
        tweets=[Tweet(id=NEW, author_id="999"), Tweet(id=VIDEO, author_id="999", reference=Reference("quoted", NEW))]
    )
    x = start(world)
    name = world.profiles.of("999").username
    assert x.get("users/by", usernames=name).json()["data"][0]["id"] == "999"
    assert x.listed("999") == [VIDEO, NEW]


def test_the_times_of_ids_from_before_snowflake_are_in_order(start: Start) -> None:
    ids = ["20", "5000000000", "29700859246"]
    world = World(tweets=[Tweet(id=one, author_id="999", text="old") for one in ids])
    tweets = start(world).tweets(*ids, tweet__fields="created_at")["data"]
    times = [datetime.fromisoformat(tweet["created_at"]) for tweet in tweets]
    assert times == sorted(times)
    assert (times[0].year, times[-1].year) == (2006, 2010)


@pytest.mark.parametrize("host", ["api.twitter.com", "api.x.com"])
def test_the_type_of_a_problem_can_have_either_host(start: Start, world: World, host: str) -> None:
    (error,) = start(world, problem_host=host).tweets("20")["errors"]
    assert error["type"] == f"https://{host}/2/problems/resource-not-found"
