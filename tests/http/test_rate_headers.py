"""Rate limit headers, complete, missing or garbled, and the wait after HTTP 429."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.http.limits.headers import (
    ExceededLimit,
    HeaderNames,
    RateHeaders,
    exceeded_limit,
    read_headers,
    wait_after_429,
)

NAMES = HeaderNames(window="x-per-minute", second="x-per-second")

START = 1_768_089_600.0  # a whole minute: 2026-01-11T00:00:00Z


def test_all_headers_are_read_in_any_case() -> None:
    headers = {
        "X-Per-Minute-Limit": "60",
        "x-per-minute-remaining": " 0 ",
        "X-PER-MINUTE-RESET": "1768089660",
        "x-per-second-limit": "2",
        "x-per-second-remaining": "1",
        "x-per-second-reset": "1768089631",
        "retry-after": "7",
        "Date": "Sun, 11 Jan 2026 00:00:30 GMT",
    }
    assert read_headers(headers, NAMES, received_at=START) == RateHeaders(
        limit=60,
        remaining=0,
        reset_at=START + 60,
        second_limit=2,
        second_remaining=1,
        second_reset_at=START + 31,
        retry_after=7.0,
        server_time=START + 30,
    )


def test_missing_headers_are_unknown() -> None:
    assert read_headers({}, NAMES, received_at=START) == RateHeaders()


@pytest.mark.parametrize("value", ["", "many", "-1", "6.5", "nan", "60, 60", "٦٠", "0x3c", "99999999999"])
def test_invalid_counts_are_unknown(value: str) -> None:
    headers = read_headers({"x-per-minute-limit": value, "x-per-minute-remaining": value}, NAMES, received_at=START)
    assert headers == RateHeaders()


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "-1768089660", "1768089660000", "42", "0", "1e300"])
def test_invalid_resets_are_unknown(value: str) -> None:
    headers = read_headers({"x-per-minute-reset": value, "x-per-second-reset": value}, NAMES, received_at=START)
    assert headers == RateHeaders()


def test_a_date_in_retry_after_is_compared_with_the_date_header() -> None:
    headers = {"Retry-After": "Sun, 11 Jan 2026 00:00:50 GMT", "Date": "Sun, 11 Jan 2026 00:00:30 GMT"}
    assert read_headers(headers, NAMES, received_at=START + 600).retry_after == 20.0


def test_a_date_in_retry_after_without_date_header_is_compared_with_the_clients_clock() -> None:
    headers = {"Retry-After": "Sun, 11 Jan 2026 00:00:50 GMT"}
    assert read_headers(headers, NAMES, received_at=START + 10).retry_after == 40.0
    assert read_headers(headers, NAMES, received_at=START + 90).retry_after == 0.0


@given(st.dictionaries(st.sampled_from(["Date", "Retry-After", "x-per-minute-limit", "x-per-minute-reset"]), st.text()))
def test_any_header_text_can_be_read(headers: Mapping[str, str]) -> None:
    read = read_headers(headers, NAMES, received_at=START)
    assert read.retry_after is None or read.retry_after >= 0


@pytest.mark.parametrize("left", [-5, 0, 62, 3600])
def test_a_reset_in_the_past_or_after_more_than_a_minute_is_ignored(left: int) -> None:
    assert RateHeaders(reset_at=START + left, server_time=START).seconds_left(60.0) is None


# HTTP 429

EXHAUSTED = RateHeaders(limit=60, remaining=0, reset_at=START + 60, server_time=START + 40)


@pytest.mark.parametrize(
    ("headers", "exceeded", "wait"),
    [
        pytest.param(RateHeaders(), ExceededLimit.WINDOW, 60, id="no headers"),
        pytest.param(EXHAUSTED, ExceededLimit.WINDOW, 20, id="until the minute ends"),
        pytest.param(RateHeaders(remaining=5), ExceededLimit.WINDOW, 60, id="429 although some remain"),
        pytest.param(RateHeaders(remaining=0, second_remaining=0), ExceededLimit.WINDOW, 60, id="both used up"),
        pytest.param(
            RateHeaders(remaining=5, second_remaining=0), ExceededLimit.SECOND, 2, id="only the second used up"
        ),
        pytest.param(
            RateHeaders(remaining=5, second_remaining=0, second_reset_at=START + 4, server_time=START),
            ExceededLimit.SECOND,
            4,
            id="until the second ends",
        ),
        pytest.param(
            RateHeaders(retry_after=7.0, remaining=0), ExceededLimit.WINDOW, 7, id="Retry-After has precedence"
        ),
        pytest.param(RateHeaders(retry_after=0.0), ExceededLimit.WINDOW, 1, id="at least a second"),
        pytest.param(RateHeaders(retry_after=900.0), ExceededLimit.WINDOW, 900, id="a quarter of an hour"),
        pytest.param(RateHeaders(retry_after=901.0), ExceededLimit.PERIOD, 901, id="more than a quarter of an hour"),
        pytest.param(
            RateHeaders(remaining=0, reset_at=START + 20 * 86_400, server_time=START),
            ExceededLimit.PERIOD,
            20 * 86_400,
            id="reset next month",
        ),
        pytest.param(
            RateHeaders(remaining=0, reset_at=START + 3600, server_time=START),
            ExceededLimit.WINDOW,
            60,
            id="reset an hour ahead",
        ),
        pytest.param(
            RateHeaders(remaining=0, reset_at=START - 9, server_time=START),
            ExceededLimit.WINDOW,
            60,
            id="reset in the past",
        ),
    ],
)
def test_429_gives_the_exceeded_limit_and_the_wait(headers: RateHeaders, exceeded: ExceededLimit, wait: float) -> None:
    assert exceeded_limit(headers, now=START) is exceeded
    assert wait <= wait_after_429(headers, window_seconds=60.0, now=START) <= wait + 0.25


def test_a_second_429_in_a_row_waits_at_least_a_minute() -> None:
    assert wait_after_429(RateHeaders(retry_after=1.0), window_seconds=60.0, now=START, in_a_row=2) >= 60
