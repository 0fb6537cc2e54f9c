"""Manifests: what is one, and what only looks like one."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_engagement.report.pull_figures import is_manifest, missing_figure, owners_figure

from .conftest import Pulled


def test_the_manifest_of_a_pull_is_one(hours: Pulled) -> None:
    assert all(is_manifest(manifest) for manifest in hours.manifests.values())
    figure = missing_figure(hours.manifests["second"])
    assert [row["tweets"] for row in figure.records()] == [len(hours.tweet_ids) - len(hours.available)]


@pytest.mark.parametrize(
    "change",
    [
        {"outputs": []},
        {"requests": {"sent": "1"}},
        {"metrics": [["impressions"]]},
        {"interval": "2026-01-05"},
        {"interval": ["2026-01-05T00:00:00", "2026-01-06T00:00:00"]},
        {"seconds": None},
        {"snapshot_at": "yesterday"},
        {"snapshot_at": 5},
        {"rate_limit": {"observed_at": "now"}},
    ],
)
def test_what_only_looks_like_a_manifest_is_none(hours: Pulled, change: dict[str, Any]) -> None:
    assert not is_manifest({**hours.manifests["second"], **change})


def test_the_rejected_owners_are_named_with_the_reason(hours: Pulled) -> None:
    manifest = hours.manifests["second"]
    assert owners_figure(manifest).rows == []
    rejected = {**manifest, "owners": {"requested": 300, "rejected": {"42": "The token is revoked."}}}

    figure = owners_figure(rejected)

    assert figure.records() == [{"owner": "42", "reason": "The token is revoked."}]
    assert "Owners in the pull: 300." in figure.text


@pytest.mark.parametrize("owners", [None, [], {"rejected": ["42"]}])
def test_owners_of_another_form_are_not_shown(hours: Pulled, owners: Any) -> None:
    assert owners_figure({**hours.manifests["second"], "owners": owners}).rows == []
