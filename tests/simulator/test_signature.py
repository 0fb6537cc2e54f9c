"""OAuth 1.0a, compared with published signatures and with requests-oauthlib."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import requests
from requests_oauthlib import OAuth1

from airflow_provider_engagement.simulator import App, Clock, Handle, Tweet, World
from airflow_provider_engagement.simulator.signature import CredentialsVerifier, InvalidCredentials, signature

KEY = "xvz1evFS4wEEPTGEFPHBog"
SECRET = "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw"
TOKEN = "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"
TOKEN_SECRET = "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE"
SIGNED_AT = datetime.fromtimestamp(1318622958, UTC)
TOTALS = "/insights/engagement/totals"
FORM = "application/x-www-form-urlencoded"
NEW, AUTHOR = "2000000000000000001", "7588892"


def header(signed: str, *, token: str | None = TOKEN, **changes: str) -> str:
    parameters = {
        "oauth_consumer_key": KEY,
        "oauth_nonce": "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
        "oauth_signature": signed,
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "1318622958",
        "oauth_version": "1.0",
        **({"oauth_token": token} if token else {}),
        **changes,
    }
    return "OAuth " + ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in parameters.items())


@pytest.fixture
def clock() -> Clock:
    return Clock(SIGNED_AT)


@pytest.fixture
def verifier(clock: Clock) -> CredentialsVerifier:
    world = World(
        apps=[App(consumer_key=KEY, consumer_secret=SECRET, bearer_token="AAAA")],
        handles=[Handle(user_id="370773112", screen_name="demo", access_token=TOKEN, access_token_secret=TOKEN_SECRET)],
    )
    return CredentialsVerifier(
        world, clock=clock, window=timedelta(seconds=300), app_with_bearer_token=lambda token: None
    )


def verify(
    verifier: CredentialsVerifier, authorization: str, url: str, body: bytes = b"{}", content_type: str = ""
) -> Any:
    return verifier.verify(authorization, method="POST", url=url, body=body, content_type=content_type)


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("https://data-api.twitter.com" + TOTALS, "/pMYbW9O1cKhdPGpgGyscSuMVoU="),
        ("https://data-api.x.com" + TOTALS, "oETXxUmB7d/+eFImVyDWymiE1SA="),
        ("http://127.0.0.1:8080" + TOTALS, "UhK6MOM2EXJ6rCrCgh8scFbwi48="),
    ],
)
def test_the_published_signature_of_a_json_request_is_valid(
    verifier: CredentialsVerifier, url: str, signed: str
) -> None:
    identity = verify(verifier, header(signed), url, b'{"any": "body"}', "application/json")
    assert identity.handle.user_id == "370773112"


def test_a_signature_without_user_token_identifies_the_app(verifier: CredentialsVerifier) -> None:
    authorization = header("9zv9uOdXKDNqYsgMVfwfdnwXL8U=", token=None)
    identity = verify(verifier, authorization, "https://data-api.twitter.com" + TOTALS)
    assert (identity.auth, identity.handle) == ("app", None)


@pytest.mark.parametrize(
    ("host", "signed"),
    [("api.x.com", "Ls93hJiZbQ3akF3HF3x1Bz8/zU4="), ("api.twitter.com", "hCtSmYh+iHYCEqBWrE7C7hYmtUk=")],
)
def test_the_signature_covers_form_and_query(verifier: CredentialsVerifier, host: str, signed: str) -> None:
    url = f"https://{host}/1.1/statuses/update.json?include_entities=true"
    form = b"status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21"
    assert verify(verifier, header(signed), url, form, FORM).handle is not None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"oauth_signature": "AAAAbW9O1cKhdPGpgGyscSuMVoU="}, "Signature invalid"),
        ({"oauth_nonce": "another"}, "Signature invalid"),
        ({"oauth_consumer_key": "unknown"}, "Consumer key not found"),
        ({"oauth_token": "370773112-unknown"}, "Access token not found"),
        ({"oauth_signature_method": "PLAINTEXT"}, "Unsupported signature method"),
        ({"oauth_version": "2.0"}, "Unsupported OAuth version"),
        ({"oauth_timestamp": "soon"}, "Timestamp or nonce missing"),
    ],
)
def test_a_changed_header_is_rejected(verifier: CredentialsVerifier, changes: dict[str, str], reason: str) -> None:
    authorization = header("/pMYbW9O1cKhdPGpgGyscSuMVoU=", **changes)
    with pytest.raises(InvalidCredentials, match=reason):
        verify(verifier, authorization, "https://data-api.twitter.com" + TOTALS)


def test_an_unknown_authorization_type_is_rejected(verifier: CredentialsVerifier) -> None:
    for authorization in ("OAuth", "OAuth nonsense", "Basic a2V5OnNlY3JldA==", "nonsense"):
        with pytest.raises(InvalidCredentials, match="Unknown Authorization Type"):
            verify(verifier, authorization, "https://data-api.twitter.com" + TOTALS)


@pytest.mark.parametrize(("seconds", "accepted"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_a_timestamp_can_differ_by_five_minutes(
    verifier: CredentialsVerifier, clock: Clock, seconds: int, accepted: bool
) -> None:
    clock.advance(timedelta(seconds=seconds))
    authorization = header("/pMYbW9O1cKhdPGpgGyscSuMVoU=")
    if accepted:
        assert verify(verifier, authorization, "https://data-api.twitter.com" + TOTALS)
    else:
        with pytest.raises(InvalidCredentials, match="Timestamp"):
            verify(verifier, authorization, "https://data-api.twitter.com" + TOTALS)


def test_a_header_is_valid_only_once(verifier: CredentialsVerifier) -> None:
    authorization = header("/pMYbW9O1cKhdPGpgGyscSuMVoU=")
    verify(verifier, authorization, "https://data-api.twitter.com" + TOTALS)
    with pytest.raises(InvalidCredentials, match="Nonce"):
        verify(verifier, authorization, "https://data-api.twitter.com" + TOTALS)


@pytest.mark.parametrize(("hashed", "accepted"), [(b"{}", True), (b"{ }", False)])
def test_a_body_hash_is_optional_but_must_be_correct(
    verifier: CredentialsVerifier, hashed: bytes, accepted: bool
) -> None:
    url = "https://data-api.twitter.com" + TOTALS
    body_hash = base64.b64encode(hashlib.sha1(hashed).digest()).decode()
    unsigned = header("", oauth_body_hash=body_hash)
    signed = signature(unsigned, "POST", url, SECRET, TOKEN_SECRET)
    authorization = header(signed, oauth_body_hash=body_hash)
    if accepted:
        assert verify(verifier, authorization, url)
    else:
        with pytest.raises(InvalidCredentials, match="Body hash"):
            verify(verifier, authorization, url)


def test_the_signature_of_requests_oauthlib_is_valid(client: Any) -> None:
    response = client.totals(NEW, user=AUTHOR)
    assert response.status_code == 200
    assert client.simulator.journal.entries[-1].signature == "valid"


def test_a_two_legged_request_has_app_credentials(client: Any) -> None:
    app = client.simulator.world.app
    response = client.totals(NEW, auth=OAuth1(app.consumer_key, app.consumer_secret))
    assert response.status_code == 200
    assert client.simulator.journal.entries[-1].auth == "app"


def test_the_token_of_a_revoked_user_is_rejected(client: Any) -> None:
    client.simulator.world.change_handle(AUTHOR, revoked=True)
    response = client.totals(NEW, user=AUTHOR)
    assert response.status_code == 401
    assert response.json()["errors"][0].startswith("Your account could not be authenticated. Reason: ")


@pytest.mark.parametrize(
    ("owner", "signer", "status"),
    [("a", "a", 200), ("b", "b", 200), ("a", "b", 401), ("b", "a", 401), ("other", "a", 401)],
)
def test_a_token_belongs_to_one_app(start: Callable[..., Any], owner: str, signer: str, status: int) -> None:
    apps = [App(consumer_key=name, consumer_secret="secret", bearer_token=f"AAAA{name}") for name in "ab"]
    user = Handle(
        user_id=AUTHOR,
        screen_name="author",
        access_token=f"{AUTHOR}-token",
        access_token_secret="secret",
        consumer_key=None if owner == "a" else owner,
    )
    client = start(World(apps=apps, handles=[user], tweets=[Tweet(id=NEW, author_id=AUTHOR)]))
    response = client.totals(NEW, auth=OAuth1(signer, "secret", user.access_token, user.access_token_secret))
    assert response.status_code == status
    if status == 401:
        assert response.json()["errors"] == ["Your account could not be authenticated. Reason: Access token not found"]


def test_timestamps_are_compared_with_the_real_time_and_not_with_the_data_clock(
    start: Callable[..., Any], world: World
) -> None:
    client = start(world, now=datetime(2016, 1, 1, tzinfo=UTC))
    assert client.totals(NEW, user=AUTHOR).json()["unavailable_tweet_ids"] == [NEW]


def test_the_signature_covers_the_public_url_behind_a_proxy(start: Callable[..., Any], world: World) -> None:
    client = start(world, public_url="https://data-api.twitter.com")
    request = client.session.prepare_request(
        requests.Request(
            "POST",
            "https://data-api.twitter.com" + TOTALS,
            json={
                "tweet_ids": [NEW],
                "engagement_types": ["favorites"],
                "groupings": {"all": {"group_by": ["engagement.type"]}},
            },
            auth=client.oauth1(AUTHOR),
        )
    )
    request.url = client.simulator.base_url + TOTALS
    assert client.session.send(request).json() == {"all": {"favorites": "3"}}
