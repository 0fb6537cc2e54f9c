"""The order of the checks: which error a request with several errors receives."""

from __future__ import annotations

from typing import Any

import pytest

NEW, FOREIGN, DELETED, AUTHOR = "2000000000000000001", "2000000000000000009", "2000000000000000003", "7588892"
BY_TWEET = {"counts": {"group_by": ["tweet.id", "engagement.type"]}}


def test_the_path_is_checked_first(client: Any) -> None:
    response = client.post("weekly", {}, headers={"Accept-Encoding": "identity", "Authorization": "Nobody"})
    assert response.status_code == 404
    assert response.json() == {"errors": [{"message": "Sorry, that page does not exist", "code": 34}]}


def test_a_get_request_is_not_allowed(client: Any) -> None:
    response = client.session.get(client.simulator.base_url + "/insights/engagement/totals")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_compression_is_checked_before_authentication(client: Any) -> None:
    response = client.totals(NEW, headers={"Accept-Encoding": "deflate", "Authorization": "Nobody"})
    assert response.status_code == 406


def test_authentication_is_checked_before_the_rate_limit(client: Any) -> None:
    client.simulator.set_limit(per_minute=1)
    client.totals(NEW)
    assert client.totals(NEW, headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_requests_rejected_before_the_rate_limit_do_not_count_against_the_quota(client: Any) -> None:
    client.simulator.set_limit(per_minute=1)
    client.totals(NEW, headers={"Authorization": "Bearer wrong"})
    client.totals(NEW, headers={"Accept-Encoding": "deflate"})
    assert client.totals(NEW).status_code == 200


def test_the_rate_limit_is_checked_before_the_entitlement(client: Any) -> None:
    client.simulator.world.change_app("key", entitled=False)
    client.simulator.set_limit(per_minute=1)
    assert [client.totals(NEW).status_code for _ in range(2)] == [403, 429]


def test_the_entitlement_is_checked_before_the_body(client: Any) -> None:
    client.simulator.world.change_app("key", entitled=False)
    response = client.post("totals", {})
    assert response.status_code == 403
    assert "your application id is not authorized." in response.json()["errors"][0].lower()


def test_the_body_is_checked_before_permissions(client: Any) -> None:
    body = {"tweet_ids": [NEW, NEW], "engagement_types": ["impressions"], "groupings": BY_TWEET}
    assert client.post("totals", body).status_code == 400


def test_metrics_are_checked_before_ownership(client: Any) -> None:
    response = client.totals(FOREIGN, metrics=("url_clicks", "favorites"), user=AUTHOR)
    assert (response.status_code, response.json()) == (403, {"errors": ["Forbidden to access metrics: url_clicks"]})


def test_ownership_is_checked_before_availability(client: Any) -> None:
    response = client.totals(DELETED, FOREIGN, user=AUTHOR)
    assert (response.status_code, response.json()) == (
        403,
        {"errors": [f"Forbidden to access tweets for author id 370773112: {FOREIGN}"]},
    )


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "Access token not found"),
        ("Basic a2V5OnNlY3JldA==", "Unknown Authorization Type"),
        ("Bearer wrong", "Invalid or expired token"),
        ("Bearer ", "Access token not found"),
    ],
)
def test_invalid_credentials_are_rejected_with_a_reason(client: Any, authorization: str | None, reason: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = client.session.post(client.simulator.base_url + "/insights/engagement/totals", json={}, headers=headers)
    assert response.status_code == 401
    assert response.json() == {"errors": [f"Your account could not be authenticated. Reason: {reason}"]}


@pytest.mark.parametrize("endpoint", ["28hr", "historical"])
def test_a_bearer_token_reads_no_metric_of_28hr_and_historical(client: Any, endpoint: str) -> None:
    body = {"tweet_ids": [NEW], "engagement_types": ["favorites", "retweets"], "groupings": BY_TWEET}
    response = client.post(endpoint, body)
    assert (response.status_code, response.json()) == (
        403,
        {"errors": ["Forbidden to access metrics: favorites, retweets"]},
    )


def test_a_bearer_token_reads_no_impressions_on_totals(client: Any) -> None:
    response = client.totals(NEW, metrics=("impressions", "favorites"))
    assert (response.status_code, response.json()) == (403, {"errors": ["Forbidden to access metrics: impressions"]})


def test_a_bearer_token_reads_public_metrics_of_every_author(client: Any) -> None:
    assert client.totals(NEW, FOREIGN).json() == {"by_tweet": {NEW: {"favorites": "3"}, FOREIGN: {"favorites": "0"}}}


def test_a_body_that_is_not_a_json_object_is_rejected(client: Any) -> None:
    for body in (b"", b"{", b"[]", b"3", b"\xff"):
        response = client.post("totals", None, data=body)
        assert response.status_code == 400, body
        assert response.json()["errors"]
