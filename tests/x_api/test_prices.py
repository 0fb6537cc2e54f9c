"""A read is billed once in a UTC day. The prices are those of the price list of August 2026."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.x_api.catalogue import PRICES, PricedRead
from airflow_provider_engagement.x_api.prices import BilledReads, Cost, cheaper_way

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_the_same_tweet_is_billed_once_in_a_day_and_again_on_the_next() -> None:
    reads = BilledReads()

    assert reads.add(PricedRead.TWEET, ["1", "2"], at=NOON) == 2
    assert reads.add(PricedRead.TWEET, ["2", "3"], at=NOON + timedelta(hours=11)) == 1
    assert reads.add(PricedRead.TWEET, ["2"], at=NOON + timedelta(hours=13)) == 1
    assert reads.cost().dollars == Decimal("0.020")


def test_a_day_is_a_day_of_utc() -> None:
    reads = BilledReads()
    reads.add(PricedRead.TWEET, ["1"], at=NOON)

    assert reads.add(PricedRead.TWEET, ["1"], at=datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))) == 0


def test_a_tweet_that_was_listed_as_an_own_one_is_not_billed_again() -> None:
    reads = BilledReads()
    reads.add(PricedRead.OWN_TWEET, ["1"], at=NOON)
    reads.add(PricedRead.TWEET, ["1"], at=NOON)
    reads.add(PricedRead.USER, ["1"], at=NOON)

    assert reads.cost().dollars == Decimal("0.011")
    assert reads.cost().tweets == 1


@given(st.lists(st.tuples(st.sampled_from(["1", "2", "3"]), st.integers(0, 100)), max_size=50))
def test_as_many_reads_are_billed_as_there_are_tweets_and_days(reads: list[tuple[str, int]]) -> None:
    billed = BilledReads()

    number = sum(billed.add(PricedRead.TWEET, [tweet], at=NOON + timedelta(hours=hours)) for tweet, hours in reads)

    expected = len({(tweet, (12 + hours) // 24) for tweet, hours in reads})
    assert number == billed.cost().tweets == expected
    assert billed.cost().dollars == expected * Decimal("0.005")


def test_a_cost_names_its_reads_and_the_day_of_the_price_list() -> None:
    cost = Cost({PricedRead.TWEET: 1}) + Cost({PricedRead.TWEET: 1, PricedRead.USER: 1})

    assert str(cost) == "2 Tweets, 1 user: $0.020"
    assert cost.to_dict() == {"reads": {"tweet": 2, "user": 1}, "dollars": 0.02, "prices_of": "2026-08-22"}


def test_the_cheaper_way_to_read_own_tweets_is_named() -> None:
    assert cheaper_way(1000) == (
        "1,000 Tweets of the connection's own user: to look them up costs $5.000. To list them with UserTweetsOperator "
        "costs $1.000, if that user owns the app."
    )
    assert cheaper_way(0) is None


def test_every_price_has_a_day_and_a_source() -> None:
    assert {price.read for price in PRICES} == set(PricedRead)
    assert all(price.dollars > 0 and price.source and price.read_on.year >= 2026 for price in PRICES)
