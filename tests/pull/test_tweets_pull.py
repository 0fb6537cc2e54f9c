"""A pull from X API v2 brings what the world has, in the fewest requests, under every switch of the simulator."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import deltalake
import pyarrow.parquet
import pytest

from airflow_provider_engagement.exceptions import (
    BoundExceededError,
    CreditsDepletedError,
    ServerError,
    UnacceptedGapsError,
    UsageCapError,
    WaitRequired,
)
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.credentials import Account, Auth, Credentials
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.pull.attempt import AttemptTotals
from airflow_provider_engagement.pull.budget import Budget
from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.pull.tweet_listing import TweetListing
from airflow_provider_engagement.pull.tweet_lookup import TweetLookup
from airflow_provider_engagement.pull.tweets_pull import TweetsPull
from airflow_provider_engagement.pull.tweets_run import TweetsResult, TweetsRun
from airflow_provider_engagement.simulator import Clock, Simulator, World, XApiSwitches
from airflow_provider_engagement.simulator.tweet_contents import ContentShares
from airflow_provider_engagement.storage.paths import local_address
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.tidying import tidy
from airflow_provider_engagement.x_api.catalogue import X_METRICS, Excluded
from airflow_provider_engagement.x_api.client import XClient, XQuota
from airflow_provider_engagement.x_api.outcomes import XOutcome

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass
class Setting:
    """A simulator, the tokens of its users, and a folder for the dataset."""

    simulator: Simulator
    path: Path
    with_token: frozenset[str]
    max_inline_wait: float | None = None
    dataset_format: DatasetFormat = DatasetFormat.PARQUET

    @property
    def users(self) -> list[str]:
        return list(self.simulator.world.handles)

    def client(self) -> XClient:
        world = self.simulator.world

        def of_owner(owner: str) -> Credentials:
            handle = world.handles[owner]
            return Credentials(
                api_key=world.app.consumer_key,
                api_key_secret=world.app.consumer_secret,
                access_token=handle.access_token,
                access_token_secret=handle.access_token_secret,
                bearer_token=world.app.bearer_token,
            )

        def create_limiter(quota: XQuota) -> Limiter:
            def sleep(seconds: float) -> None:
                self.simulator.rate_clock.advance(timedelta(seconds=seconds))

            return Limiter(
                RateLimit(window_seconds=900),
                max_inline_wait=self.max_inline_wait,
                clock=lambda: self.simulator.rate_clock.now().timestamp(),
                sleep=sleep,
            )

        return XClient(
            of_owner(self.users[0]),
            address=Address(base_url=self.simulator.base_url, token_url=self.simulator.token_url),
            create_limiter=create_limiter,
            of_owner=of_owner,
            attempts=1,
        )

    def common(self, run_id: str = "run", **changes: Any) -> dict[str, Any]:
        return {
            "run": TaskRun(run_id=run_id, task="dag.task", time=NOW),
            "auth": Auth.USER,
            "has_token": self.with_token.__contains__,
            "own_user": self.users[0],
            "private": True,
            "started": self.simulator.clock.now(),
            "snapshot_at": self.simulator.clock.now(),
            "accepted": (),
            **changes,
        }

    def lookup(self, tweets: dict[str, str | None], **changes: Any) -> TweetLookup:
        return TweetLookup(tweets=tweets, **self.common(**changes))

    def listing(self, *handles: str, **changes: Any) -> TweetListing:
        return TweetListing(handles=handles, **self.common(**changes))

    def start(self, pull: TweetsPull, budget: Budget = Budget()) -> TweetsRun:  # noqa: B008 - frozen
        def identity_of(account: Account) -> str:
            return f"{self.simulator.base_url} {account[1]}"

        return TweetsRun(
            pull, self.path, self.dataset_format, identity_of=identity_of, budget=budget, address_of=local_address
        )

    def run(self, pull: TweetsPull, budget: Budget = Budget()) -> TweetsResult:  # noqa: B008 - frozen
        running = self.start(pull, budget)
        running.check()
        with self.client() as client:
            fetched = running.fetch(client.send, lambda progress: None, concurrent_requests=4)
            return running.assemble(fetched, AttemptTotals(client.requests_sent, 0, 0.0))

    def rows(self, table: str) -> list[dict[str, Any]]:
        paths = sorted((self.path / table).rglob("*.parquet"))
        return [row for path in paths for row in pyarrow.parquet.ParquetFile(path).read().to_pylist()]

    def requests(self, path: str) -> int:
        return len(self.simulator.journal.to(path))


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Callable[..., Setting]]:
    """Start a simulator of a generated world."""
    started: list[Simulator] = []

    def made(*, tokens: int = 2, switches: XApiSwitches | None = None, **world: Any) -> Setting:
        shape = {"seed": 3, "handles": 3, "tweets": 420, "start": NOW - 120 * DAY, "end": NOW, "edited": 0.05, **world}
        simulator = Simulator(
            World.generate(**shape), x_switches=switches, clock=Clock(NOW), rate_clock=Clock(NOW)
        ).start()
        started.append(simulator)
        return Setting(simulator, tmp_path, frozenset(list(simulator.world.handles)[:tokens]))

    yield made
    for simulator in started:
        simulator.stop()


def age(tweet_id: str) -> timedelta:
    return NOW - datetime.fromtimestamp(((int(tweet_id) >> 22) + 1288834974657) / 1000, UTC)


METRICS = [metric.column for metric in X_METRICS]
SWITCHES = [
    XApiSwitches(**{name: value})
    for name, values in XApiSwitches.choices().items()
    for value in values
    if value != getattr(XApiSwitches(), name)
]


@pytest.mark.parametrize("switches", [XApiSwitches(), *SWITCHES], ids=str)
def test_a_lookup_brings_every_value_of_the_world_under_every_switch(
    setting: Callable[..., Setting], switches: XApiSwitches
) -> None:
    at = setting(switches=switches)
    world, figures = at.simulator.world, at.simulator.figures
    tweets = dict.fromkeys(world.tweets)

    result = at.run(at.lookup(tweets))

    assert result.assembled.error is None
    rows = {row["tweet_id"]: row for row in at.rows("tweet_snapshots")}
    assert rows.keys() == {tweet_id for tweet_id, tweet in world.tweets.items() if not tweet.deleted}
    for tweet_id, row in rows.items():
        tweet = world.tweets[tweet_id]
        assert {name: row[f"public_{name}"] for name in figures.public(tweet)} == figures.public(tweet)
        is_retweet = world.contents.of(tweet).kind == "retweeted"
        has_private = tweet.author_id in at.with_token and age(tweet_id) < 29 * DAY and not is_retweet
        for name, count in figures.organic(tweet).items():
            allowed = {count} if has_private else {None}
            assert row[f"organic_{name}"] in (allowed | {None} if name == "url_link_clicks" else allowed)
        assert (row["non_public_impression_count"] is not None) == has_private
    texts = {row["tweet_id"]: row for row in at.rows("tweets")}
    assert texts.keys() == tweets.keys()
    for tweet_id, row in texts.items():
        content = world.contents.of(world.tweets[tweet_id])
        if world.tweets[tweet_id].deleted:
            assert (row["text"], row["media_keys"], row["gone_because"]) == (None, None, "deleted")
            continue
        assert row["author_handle"] == world.profiles.of(world.tweets[tweet_id].author_id).username
        assert row["kind"] == {"replied_to": "reply", "quoted": "quote", "retweeted": "retweet"}.get(
            content.kind, "original"
        )
        assert row["language"] == content.lang
        if row["kind"] != "retweet":
            assert row["text"] == content.full_text
        assert (row["media_keys"] or "") == ",".join(item.key for item in content.media)


def test_a_lookup_sends_the_fewest_requests(setting: Callable[..., Setting]) -> None:
    at = setting()
    world = at.simulator.world

    at.run(at.lookup(dict.fromkeys(world.tweets)))

    young: dict[str, int] = {}
    for tweet_id, tweet in world.tweets.items():
        is_retweet = world.contents.of(tweet).kind == "retweeted"
        if tweet.author_id in at.with_token and age(tweet_id) < 29 * DAY and not tweet.deleted and not is_retweet:
            young[tweet.author_id] = young.get(tweet.author_id, 0) + 1
    assert at.requests("/2/tweets") == math.ceil(len(world.tweets) / 100) + sum(
        math.ceil(number / 100) for number in young.values()
    )


def test_every_missing_value_has_a_reason(setting: Callable[..., Setting]) -> None:
    at = setting()
    world = at.simulator.world

    at.run(at.lookup(dict.fromkeys(world.tweets)))

    snapshots = {row["tweet_id"]: row for row in at.rows("tweet_snapshots")}
    statuses = {row["tweet_id"]: row for row in at.rows("tweet_status")}
    assert statuses.keys() == world.tweets.keys()
    for tweet_id, status in statuses.items():
        affected = set((status["metrics_affected"] or "").split(",")) - {""}
        row = snapshots.get(tweet_id)
        if row is not None:
            assert affected == {
                name for name in row if row[name] is None and name.endswith(("_count", "_clicks", "ments"))
            }
        tweet = world.tweets[tweet_id]
        if tweet.deleted:
            assert status["outcome"] == "deleted"
        elif tweet.author_id not in at.with_token:
            assert status["outcome"] == "no_token"
        elif age(tweet_id) >= 29 * DAY:
            assert status["outcome"] == "too_old"
        elif world.contents.of(tweet).kind == "retweeted":
            assert status["outcome"] == "retweet"
        else:
            assert status["outcome"] in ("ok", "left_out")


def test_the_tweets_of_a_protected_owner_are_asked_for_with_the_owners_token(setting: Callable[..., Setting]) -> None:
    at = setting()
    world, owner = at.simulator.world, at.users[1]
    world.change_handle(owner, protected=True)
    tweets = dict.fromkeys(world.tweets_of(owner, deleted=False), owner)

    result = at.run(at.lookup(dict(tweets)))

    assert result.assembled.outcomes[XOutcome.PROTECTED] == 0
    assert {row["tweet_id"] for row in at.rows("tweet_snapshots")} == tweets.keys()


def test_a_tweet_that_disappears_loses_its_text_and_keeps_its_counts(setting: Callable[..., Setting]) -> None:
    at = setting()
    world = at.simulator.world
    tweet_id = world.tweets_of(at.users[0], deleted=False)[0]
    at.run(at.lookup({tweet_id: None}))
    world.change_tweet(tweet_id, deleted=True)
    at.simulator.clock.set(NOW + DAY)
    at.run(at.lookup({tweet_id: None}, run_id="next"))

    at.run(at.lookup({tweet_id: None}, run_id="one more"))

    (row,) = at.rows("tweets")
    assert (row["text"], row["media_keys"], row["author_handle"]) == (None, None, None)
    assert (row["author_id"], row["gone_because"]) == (at.users[0], "deleted")
    assert row["seen_at"] < row["gone_at"] < row["fetched_at"]
    assert len(at.rows("tweet_snapshots")) == 1
    assert list((at.path / "_responses").rglob("*.answer")) == []


def test_a_lookup_costs_what_the_simulator_bills(setting: Callable[..., Setting]) -> None:
    at = setting()
    pull = at.lookup(dict.fromkeys(at.simulator.world.tweets))
    assert at.start(pull).estimate()["requests"] == math.ceil(len(pull.tweets) / 100)

    result = at.run(pull)

    assert result.assembled.cost.dollars == at.simulator.ledger.cost(at.simulator.world.app)
    assert result.assembled.cost.tweets == len(at.simulator.ledger.reads)


def test_a_pull_beyond_its_budget_sends_nothing(setting: Callable[..., Setting]) -> None:
    at = setting()
    pull = at.lookup(dict.fromkeys(at.simulator.world.tweets))

    with pytest.raises(BoundExceededError, match=r"max_dollars is 0\.5, but the pull costs \$2"):
        at.run(pull, Budget(dollars=Decimal("0.5")))

    assert len(at.simulator.journal) == 0


@pytest.mark.parametrize(
    ("changes", "error"), [({"x_credit": 0.0}, CreditsDepletedError), ({"x_monthly_tweets": 0}, UsageCapError)]
)
def test_spent_credits_and_caps_fail_at_once(
    setting: Callable[..., Setting], changes: dict[str, Any], error: type[Exception]
) -> None:
    at = setting()
    world = at.simulator.world
    world.change_app(world.app.consumer_key, **changes)

    with pytest.raises(error):
        at.run(at.lookup(dict.fromkeys(list(world.tweets)[:50])))

    assert len(at.simulator.journal) == 1


LISTED = [
    switches
    for switches in SWITCHES
    if switches.pages != "full" or switches.token_at_limit or switches.old_listed != XApiSwitches().old_listed
] + [
    XApiSwitches(pages="sparse", user_words="post"),
    XApiSwitches(old_private_metrics="dropped"),
    XApiSwitches(url_link_clicks="always"),
]


@pytest.mark.parametrize("switches", [XApiSwitches(), *LISTED], ids=str)
def test_a_listing_brings_every_tweet_of_its_interval(setting: Callable[..., Setting], switches: XApiSwitches) -> None:
    at = setting(switches=switches)
    world, figures = at.simulator.world, at.simulator.figures
    start, end = NOW - 60 * DAY, NOW - 3 * DAY
    handles = [world.handles[user].screen_name for user in at.users]

    result = at.run(at.listing(*handles, start=start, end=end))

    newest = {tweet.versions[-1] if tweet.versions else tweet.id for tweet in world.tweets.values()}
    expected = {
        tweet_id for tweet_id in newest if not world.tweets[tweet_id].deleted and start <= NOW - age(tweet_id) < end
    }
    rows = {row["tweet_id"]: row for row in at.rows("tweet_snapshots")}
    assert rows.keys() == expected
    for tweet_id, row in rows.items():
        tweet = world.tweets[tweet_id]
        assert row["public_like_count"] == figures.public(tweet)["like_count"]
        kind = world.contents.of(tweet).kind
        if tweet.author_id in at.with_token and age(tweet_id) < 29 * DAY and kind != "retweeted":
            assert row["organic_like_count"] == figures.organic(tweet)["like_count"]
    assert result.assembled.error is None
    users = {row["user"]: row for row in at.rows("user_status")}
    assert users.keys() == set(handles)
    assert {row["complete_from"] for row in users.values()} == {start}
    assert sum(row["listed"] for row in users.values()) == len(expected)
    assert {row["handle"] for row in at.rows("users")} >= set(handles)
    followers = {row["handle"]: row["followers_count"] for row in at.rows("user_snapshots")}
    audience = {world.handles[user].screen_name: world.profiles.audience(user, NOW).followers for user in at.users}
    assert followers == audience


def test_a_listing_costs_what_the_simulator_bills(setting: Callable[..., Setting]) -> None:
    at = setting()
    handles = [handle.screen_name for handle in at.simulator.world.handles.values()]

    result = at.run(at.listing(*handles, start=NOW - 60 * DAY))

    assert result.assembled.cost.dollars == at.simulator.ledger.cost(at.simulator.world.app)


def test_a_listing_that_fails_goes_on_at_its_page(setting: Callable[..., Setting]) -> None:
    at = setting(tokens=0, handles=1, tweets=420, edited=0.0)
    handle = at.simulator.world.handles[at.users[0]].screen_name
    pull = at.listing(handle, start=NOW - 100 * DAY, private=False)
    sent: list[object] = []

    with at.client() as client:

        def send(request: Any) -> Any:
            if len(sent) == 3:
                raise ServerError("The API failed.", endpoint="users/:id/tweets", status=503)
            sent.append(request)
            return client.send(request)

        fetched = at.start(pull).fetch(send, lambda progress: None, concurrent_requests=1)
    assert len(fetched.failures) == 1
    result = at.run(pull)

    expected = {
        tweet_id for tweet_id in at.simulator.world.tweets_of(at.users[0], deleted=False) if age(tweet_id) <= 100 * DAY
    }
    assert result.assembled.error is None
    assert {row["tweet_id"] for row in at.rows("tweet_snapshots")} == expected
    # One request resolves the user. Both attempts together send each page once.
    assert at.requests(f"/2/users/{at.users[0]}/tweets") == math.ceil(len(expected) / 100)
    assert at.requests("/2/users/by") == 1
    assert result.manifest["requests"]["reused"] == 3


def test_the_limit_of_a_list_is_noticed(setting: Callable[..., Setting]) -> None:
    at = setting(tokens=0, handles=1, tweets=1100, edited=0.0, content=ContentShares(reply=0.1))
    world = at.simulator.world
    handle = world.handles[at.users[0]].screen_name

    result = at.run(at.listing(handle, start=NOW - 115 * DAY, excluded=(Excluded.REPLIES,), private=False))

    listed = sorted(row["tweet_created_at"] for row in at.rows("tweet_snapshots"))
    assert len(listed) == 800
    (status,) = at.rows("user_status")
    assert status["complete_from"] == listed[0]
    assert result.manifest["users"][handle]["complete_from"] == listed[0].isoformat()


def test_an_unknown_handle_fails_the_task_after_the_others_are_written(setting: Callable[..., Setting]) -> None:
    at = setting()
    handle = at.simulator.world.handles[at.users[0]].screen_name

    result = at.run(at.listing(handle, "nobody_at_all", start=NOW - 10 * DAY))

    statuses = {row["user"]: row["outcome"] for row in at.rows("user_status")}
    assert statuses == {handle: "ok", "nobody_at_all": "deleted"}
    assert at.rows("tweet_snapshots")
    assert result.manifest["users"]["nobody_at_all"]["outcome"] == "deleted"
    assert isinstance(result.assembled.error, UnacceptedGapsError)


def test_a_window_that_is_used_up_lets_other_users_go_on(setting: Callable[..., Setting]) -> None:
    at = setting(tweets=1200)
    at.max_inline_wait = 5.0
    at.simulator.windows.set_limit("user_tweets", "user", 2)
    handles = [at.simulator.world.handles[user].screen_name for user in at.users[:2]]
    pull = at.listing(*handles, start=NOW - 100 * DAY, private=False)

    with at.client() as client, pytest.raises(WaitRequired) as raised:
        at.start(pull).fetch(client.send, lambda progress: None, concurrent_requests=4)

    assert 0 < (raised.value.until - NOW).total_seconds() <= 901
    pages = {user: at.requests(f"/2/users/{user}/tweets") for user in at.users[:2]}
    assert set(pages.values()) == {2}


@pytest.mark.parametrize("dataset_format", list(DatasetFormat))
def test_a_repeated_run_writes_the_same_rows_in_every_format(
    setting: Callable[..., Setting], dataset_format: DatasetFormat
) -> None:
    at = setting(tweets=60)
    at.dataset_format = dataset_format
    tweets = dict.fromkeys(at.simulator.world.tweets)
    at.run(at.lookup(tweets))

    result = at.run(at.lookup(tweets))

    if dataset_format is DatasetFormat.DELTA:
        written = {name: deltalake.DeltaTable(at.path / name).to_pyarrow_table().num_rows for name in MERGED}
    else:
        files = {name: list((at.path / name).rglob(f"*.{dataset_format}")) for name in MERGED}
        written = {name: sum(count_rows(path) for path in paths) for name, paths in files.items()}
    assert written == {
        "tweets": len(tweets),
        "tweet_snapshots": sum(not tweet.deleted for tweet in at.simulator.world.tweets.values()),
        "users": 3,
    }
    assert {name: result.manifest["rows"][name] for name in MERGED} == written


def test_tidying_deletes_the_replaced_files_that_hold_the_text_of_a_gone_tweet(setting: Callable[..., Setting]) -> None:
    at = setting(tweets=60)
    at.dataset_format = DatasetFormat.DELTA
    world = at.simulator.world
    tweet_id = world.tweets_of(at.users[0], deleted=False)[0]
    at.run(at.lookup({tweet_id: None}))
    text = at_delta(at.path / "tweets")[0]["text"]
    world.change_tweet(tweet_id, deleted=True)
    at.simulator.clock.set(NOW + DAY)
    at.run(at.lookup({tweet_id: None}, run_id="next"))

    tidied = tidy(at.path, retention=timedelta(0))

    assert set(tidied["tables"]) == set(MERGED)
    left = [pyarrow.parquet.ParquetFile(path).read() for path in (at.path / "tweets").glob("created_month=*/*")]
    assert text is not None
    assert [value for rows in left for value in rows["text"].to_pylist()] == [None]


def at_delta(path: Path) -> list[dict[str, Any]]:
    return deltalake.DeltaTable(path).to_pyarrow_table().to_pylist()  # type: ignore[no-any-return]


MERGED = ("tweets", "tweet_snapshots", "users")


def count_rows(path: Path) -> int:
    if path.suffix == ".parquet":
        return int(pyarrow.parquet.read_metadata(path).num_rows)
    if path.suffix == ".jsonl":
        return len(path.read_text(encoding="utf-8").splitlines())
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.DictReader(file))
