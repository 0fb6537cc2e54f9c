"""The next task of a dataset knows the rate limit of the last one, as long as that is still true."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from airflow_provider_engagement.http.limits.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.pull.saved_rate_limit import load_rate_limit, save_rate_limit, saved_rate_limits


def used_up(*, resets_in: float | None = None, held_for: float | None = None) -> RateLimitSnapshot:
    now = time.time()
    return RateLimitSnapshot(
        observed_at=now,
        limit=60,
        remaining=0,
        resets_at=None if resets_in is None else now + resets_in,
        held_until=None if held_for is None else now + held_for,
    )


def test_a_saved_rate_limit_is_loaded_for_the_same_quota_only(tmp_path: Path) -> None:
    snapshot = used_up(resets_in=30)
    save_rate_limit(tmp_path, "canary-key", snapshot)
    assert load_rate_limit(tmp_path, "canary-key") == snapshot
    assert load_rate_limit(tmp_path, "other") is None
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert file.relative_to(tmp_path).parts[0].startswith("_")
    assert "canary" not in f"{file}{file.read_text()}"


def test_a_rate_limit_expires_at_its_reset_or_at_the_end_of_a_hold(tmp_path: Path) -> None:
    for snapshot in (used_up(resets_in=-1), used_up(held_for=-1), used_up()):
        save_rate_limit(tmp_path, "7", snapshot)
        assert load_rate_limit(tmp_path, "7") is None
    held = used_up(resets_in=-1, held_for=30)
    save_rate_limit(tmp_path, "7", held)
    assert load_rate_limit(tmp_path, "7") == held


VALID = '"observed_at": 1, "limit": 60, "remaining": 0, "resets_at": SOON'


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "{}", "[" * 9_999, '{"observed_at": 1, "resets_at": "soon"}'),
        *(f'{{{VALID}, "{name}": {value}}}' for name in ("limit", "sent") for value in ('"x"', "true", "[]", "NaN")),
        *(f'{{{VALID}, "held_until": {value}}}' for value in ("Infinity", "1e15", "-1e400", "1" * 400, '""')),
        f'{{{VALID}, "x": "{"x" * 20_000}"}}',
    ],
)
def test_an_unreadable_file_is_no_rate_limit(tmp_path: Path, content: str) -> None:
    save_rate_limit(tmp_path, "7", used_up(resets_in=30))
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    file.write_text(content.replace("SOON", str(time.time() + 30)))
    assert load_rate_limit(tmp_path, "7") is None


def test_an_unknown_key_of_a_file_is_ignored(tmp_path: Path) -> None:
    save_rate_limit(tmp_path, "7", used_up(resets_in=30))
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    file.write_text(f'{{{VALID}, "x": 1}}'.replace("SOON", str(time.time() + 30)))
    assert load_rate_limit(tmp_path, "7") is not None


def test_all_saved_rate_limits_are_read_with_expired_ones(tmp_path: Path) -> None:
    assert saved_rate_limits(tmp_path) == {}
    old = dataclasses.replace(used_up(resets_in=-60), observed_at=1.0)
    new = used_up(resets_in=30)
    save_rate_limit(tmp_path, "old", old)
    save_rate_limit(tmp_path, "new", new)
    (tmp_path / "_rate_limit" / "broken.json").write_text("{")
    (tmp_path / "_rate_limit" / "another.txt").write_text("no rate limit")

    found = saved_rate_limits(tmp_path)
    assert sorted(found.values(), key=lambda snapshot: snapshot.observed_at) == [old, new]
    another = tmp_path / "another"
    save_rate_limit(another, "new", old)
    assert saved_rate_limits(another).keys() <= found.keys()
