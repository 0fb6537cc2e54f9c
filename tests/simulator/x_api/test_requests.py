"""Credentials, parameters, contracts and the order in which they are checked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_engagement.simulator import Clock, Fault, World
from airflow_provider_engagement.simulator.signature import signature

from .conftest import AUTHOR, FOREIGN, NEW, NOW, OTHER, VIDEO, XClient

Start = Callable[..., XClient]
PATHS = {
    "tweets": {"ids": NEW},
    f"users/{AUTHOR}/tweets": {},
    "users/by": {"usernames": "acme"},
    "users": {"ids": AUTHOR},
    "users/me": {},
    "usage/tweets": {},
}


@pytest.mark.parametrize(
    ("path", "credentials", "status"),
    [
        *((path, "app", 403 if path == "users/me" else 200) for path in PATHS),
        *((path, kind, 403 if path == "usage/tweets" else 200) for path in PATHS for kind in ("oauth1", "oauth2")),
        *((path, "none", 401) for path in PATHS),
        *((path, "wrong", 401) for path in PATHS),
    ],
)
def test_each_endpoint_accepts_some_kinds_of_credentials(x: XClient, path: str, credentials: str, status: int) -> None:
    options: dict[str, Any] = {
        "app": {},
        "oauth1": {"user": AUTHOR},
        "oauth2": {"oauth2": AUTHOR},
        "none": {"headers": {}},
        "wrong": {"headers": {"Authorization": "Bearer wrong"}},
    }[credentials]
    response = x.get(path, **options, **PATHS[path])
    assert response.status_code == status, response.text
    if status == 401:
        assert response.json() == {
            "title": "Unauthorized",
            "type": "about:blank",
            "status": 401,
            "detail": "Unauthorized",
        }
    if status == 403:
        assert response.json()["title"] == "Unsupported Authentication"


def oauth_header(x: XClient, url: str, *, signed_url: str | None = None) -> str:
    app, user = x.simulator.world.app, x.simulator.world.handles[AUTHOR]
    parameters = {
        "oauth_consumer_key": app.consumer_key,
        "oauth_nonce": quote(url, safe=""),
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(int(x.simulator.rate_clock.now().timestamp())),
        "oauth_token": user.access_token,
        "oauth_version": "1.0",
    }

    def header(values: dict[str, str]) -> str:
        return "OAuth " + ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in values.items())

    signed = signature(header(parameters), "GET", signed_url or url, app.consumer_secret, user.access_token_secret)
    return header({**parameters, "oauth_signature": signed})


@pytest.mark.parametrize("comma", [",", "%2C"])
def test_the_signature_covers_the_query_whose_comma_is_encoded_in_it(x: XClient, comma: str) -> None:
    url = f"{x.simulator.base_url}/2/tweets?ids={NEW}{comma}{VIDEO}"
    response = requests.get(url, headers={"Authorization": oauth_header(x, url)}, timeout=10)
    assert [tweet["id"] for tweet in response.json()["data"]] == [NEW, VIDEO]
    assert x.simulator.journal.entries[-1].signature == "valid"


@pytest.mark.parametrize("signed", ["", f"?ids={NEW}", f"?ids={NEW}%252C{VIDEO}"])
def test_a_signature_of_another_query_is_rejected(x: XClient, signed: str) -> None:
    url = f"{x.simulator.base_url}/2/tweets"
    header = oauth_header(x, url, signed_url=url + signed)
    response = requests.get(f"{url}?ids={NEW}%2C{VIDEO}", headers={"Authorization": header}, timeout=10)
    assert response.status_code == 401
    assert x.simulator.journal.entries[-1].signature == "Signature invalid"


def test_the_token_of_a_user_who_has_withdrawn_the_authorization_is_rejected(x: XClient) -> None:
    x.simulator.world.change_handle(AUTHOR, revoked=True)
    assert x.get("users/me", user=AUTHOR).status_code == 401
    assert x.get("users/me", oauth2=AUTHOR).status_code == 401


def test_the_engagement_api_accepts_no_oauth2_token_of_a_user(x: XClient) -> None:
    token = x.simulator.world.handles[AUTHOR].oauth2_token
    response = requests.post(
        f"{x.simulator.base_url}/insights/engagement/totals",
        json={},
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    assert response.status_code == 401


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        ("tweets", {}, "The `ids` query parameter can not be empty"),
        ("tweets", {"ids": ""}, "The `ids` query parameter can not be empty"),
        ("tweets", {"ids": "12,x"}, "value [x] does not match [^[0-9]{1,19}$]"),
        ("tweets", {"ids": "1" * 20}, "does not match"),
        ("tweets", {"ids": "1,"}, "value [] does not match"),
        ("tweets", {"ids": NEW, "weather": "sun"}, "The query parameter [weather] is not one of [expansions,ids,"),
        ("tweets", {"ids": [NEW, VIDEO]}, "[ids] is not allowed more than once"),
        ("tweets", {"ids": NEW, "tweet__fields": "retweets"}, "[retweets] is not one of [article,attachments,"),
        ("tweets", {"ids": NEW, "expansions": "author"}, "[author] is not one of [attachments.media_keys,"),
        ("users/by", {"usernames": "a-b"}, "does not match [^[A-Za-z0-9_]{1,15}$]"),
        (f"users/{AUTHOR}/tweets", {"max_results": "4"}, "value [4] is not between 5 and 100"),
        (f"users/{AUTHOR}/tweets", {"max_results": "101"}, "value [101] is not between 5 and 100"),
        (f"users/{AUTHOR}/tweets", {"max_results": "ten"}, "does not match"),
        (f"users/{AUTHOR}/tweets", {"start_time": "2026-01-10"}, "not a valid RFC 3339 date-time"),
        (f"users/{AUTHOR}/tweets", {"start_time": "2026-13-10T00:00:00Z"}, "not a valid RFC 3339 date-time"),
        (f"users/{AUTHOR}/tweets", {"start_time": "2010-01-10T00:00:00Z"}, "must be on or after 2010-11-06"),
        (
            f"users/{AUTHOR}/tweets",
            {"start_time": "2026-01-10T00:00:00Z", "end_time": "2026-01-10T00:00:00Z"},
            "must be earlier",
        ),
        (f"users/{AUTHOR}/tweets", {"since_id": VIDEO, "until_id": NEW}, "must be less than"),
        (f"users/{AUTHOR}/tweets", {"exclude": "quotes"}, "[quotes] is not one of [replies,retweets]"),
        ("users/acme/tweets", {}, "The `id` query parameter value [acme] does not match"),
        ("usage/tweets", {"days": "91"}, "value [91] is not between 1 and 90"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_it_accepts(
    x: XClient, path: str, query: dict[str, Any], message: str
) -> None:
    response = x.get(path, **query)
    assert response.status_code == 400
    body = response.json()
    assert (body["title"], body["type"]) == ("Invalid Request", "https://api.twitter.com/2/problems/invalid-request")
    assert message in body["errors"][0]["message"]


def test_more_than_100_ids_are_rejected_with_all_of_them_in_the_response(x: XClient) -> None:
    ids = [str(number) for number in range(1000, 1101)]
    response = x.get("tweets", ids=",".join(ids))
    (error,) = response.json()["errors"]
    assert response.status_code == 400
    assert error["parameters"] == {"ids": ids}
    assert error["message"] == ("The number of values in the `ids` query parameter list [101] is not between 1 and 100")
    assert x.get("tweets", ids=",".join(ids[:100])).status_code == 200


def test_every_wrong_parameter_has_an_error(x: XClient) -> None:
    errors = x.get("tweets", ids="x", tweet__fields="y").json()["errors"]
    assert [error["parameters"] for error in errors] == [{"ids": ["x"]}, {"tweet.fields": ["y"]}]


def test_an_app_without_a_contract_is_not_enrolled_and_the_headers_mean_nothing(x: XClient) -> None:
    x.simulator.world.change_app("key", x_tier="none")
    response = x.get("tweets", ids=NEW)
    assert response.status_code == 403
    body = response.json()
    assert (body["title"], body["reason"]) == ("Client Forbidden", "client-not-enrolled")
    assert body["required_enrollment"] == "Appropriate Level of API Access"
    assert body["type"].endswith("/2/problems/client-forbidden")
    assert response.headers["x-rate-limit-limit"] == "40000"


def test_the_contract_of_one_api_says_nothing_of_the_other(x: XClient) -> None:
    x.simulator.world.change_app("key", entitled=False)
    assert x.get("tweets", ids=NEW).status_code == 200


def test_an_app_without_credit_pays_nothing_and_reads_nothing(x: XClient) -> None:
    x.simulator.world.change_app("key", x_credit=0.01)
    assert [x.get("tweets", ids=one).status_code for one in (NEW, VIDEO, FOREIGN)] == [200, 200, 402]
    body = x.get("users", ids=AUTHOR).json()
    assert body["title"] == "CreditsDepleted"
    assert body["account_id"] in body["detail"]
    x.simulator.world.change_app("key", x_credit=1.0)
    assert x.get("tweets", ids=FOREIGN).status_code == 200


def test_an_app_that_has_read_all_tweets_of_a_month_waits_for_the_next(start: Start, world: World) -> None:
    x = start(world, rate_clock=Clock(NOW))
    x.simulator.world.change_app("key", x_monthly_tweets=2)
    assert x.get("tweets", ids=f"{NEW},{VIDEO}").status_code == 200
    response = x.get("tweets", ids=FOREIGN)
    assert response.status_code == 429
    body = response.json()
    assert (body["title"], body["period"], body["scope"]) == ("UsageCapExceeded", "Monthly", "Product")
    assert body["type"].endswith("/usage-capped")
    assert x.get("users", ids=AUTHOR).status_code == 200
    x.simulator.rate_clock.advance(timedelta(days=31))
    assert x.get("tweets", ids=FOREIGN).status_code == 200


def test_an_enterprise_has_neither_credit_nor_cap(x: XClient) -> None:
    x.simulator.world.change_app("key", x_tier="enterprise", x_credit=0.0, x_monthly_tweets=0)
    assert x.get("tweets", ids=NEW).status_code == 200


@pytest.mark.parametrize("path", ["tweets/analytics", "tweets/search/recent", "nothing"])
def test_any_other_path_has_an_empty_404(x: XClient, path: str) -> None:
    response = x.get(path)
    assert (response.status_code, response.content) == (404, b"")


def test_another_method_is_not_allowed(x: XClient) -> None:
    response = requests.post(f"{x.simulator.base_url}/2/tweets", json={}, timeout=10)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET")


def test_the_journal_has_the_query_and_counts_no_user_for_the_engagement_api(x: XClient) -> None:
    x.get("tweets", ids=f"{NEW},{VIDEO}", tweet__fields="lang", user=AUTHOR)
    (entry,) = x.simulator.journal.to("/2/tweets")
    assert entry.query == {"ids": f"{NEW},{VIDEO}", "tweet.fields": "lang"}
    assert (entry.method, entry.auth, entry.user_id, entry.signature) == ("GET", "user", AUTHOR, "valid")
    assert x.simulator.journal.handles_by_month() == {}


def test_faults_apply_to_x_api_v2_as_well(x: XClient) -> None:
    x.simulator.faults.add(Fault(status=503, path="/2/tweets"))
    assert [x.get("tweets", ids=NEW).status_code for _ in range(2)] == [503, 200]
    assert [entry.forced for entry in x.simulator.journal] == [True, False]
    assert x.simulator.ledger.cost(x.simulator.world.app) > 0


def test_a_response_is_compressed_if_the_client_accepts_it(x: XClient) -> None:
    assert x.get("tweets", ids=NEW).headers["Content-Encoding"] == "gzip"
    plain = requests.get(
        f"{x.simulator.base_url}/2/tweets?ids={NEW}",
        headers={"Authorization": f"Bearer {x.simulator.world.app.bearer_token}", "Accept-Encoding": "identity"},
        timeout=10,
    )
    assert "Content-Encoding" not in plain.headers


def test_the_control_plane_reads_and_changes_x_api_v2(x: XClient) -> None:
    control = f"{x.simulator.base_url}/__simulator__"
    assert requests.post(f"{control}/x_switches", json={"pages": "sparse"}, timeout=5).json()["pages"] == "sparse"
    assert x.simulator.x_switches.pages == "sparse"
    limits = requests.post(f"{control}/limits", json={"x_api": {"tweets": {"app": 1}}}, timeout=5).json()
    assert limits["x_api"]["tweets"] == {"app": 1, "user": 5000}
    assert [x.get("tweets", ids=NEW).status_code for _ in range(2)] == [200, 429]
    billed = requests.get(f"{control}/billed_reads", timeout=5).json()
    assert [read["id"] for read in billed["reads"]] == [NEW]
    assert billed["cost"] == {"key": "0.005"}
    tweet = requests.get(f"{control}/tweet", params={"tweet_id": NEW}, timeout=5).json()
    assert (tweet["text"], tweet["kind"], tweet["public_metrics"]["like_count"]) == ("Hello, world", "original", 6)
    user = requests.get(f"{control}/user", params={"user_id": OTHER}, timeout=5).json()
    assert user["username"] == "other_one"
    assert user["followers"] == x.simulator.world.profiles.audience(OTHER, NOW).followers
    requests.post(f"{control}/reset", timeout=5)
    assert (x.simulator.x_switches.pages, x.simulator.ledger.reads) == ("full", ())
    assert x.get("tweets", ids=NEW).status_code == 200
