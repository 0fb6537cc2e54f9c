"""Pulls of totals: every count is true, every gap has a reason, and no request is wasted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.parameters import FromFile
from airflow_provider_engagement.simulator import Simulator, Switches, World

from .conftest import OWNED, PUBLIC, Execute, Pull, counted, requested_ids, table, truth, truths


def test_a_pull_without_an_available_tweet_warns_of_its_ids(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    rounded = [f"{tweet_id[:-4]}0000" for tweet_id in mine if len(tweet_id) == 19][:5]
    assert execute(pull(tweets=rounded))["outcomes"] == {"unavailable": 5}
    assert "Nearly all ids end in zeros, and no such Tweet is available, as if a spreadsheet" in caplog.text

    deleted = [tweet_id for tweet_id in mine if truth(simulator, tweet_id, OWNED) is None][:2]
    execute(pull(tweets=deleted, task_id="deleted"))
    assert "All 2 Tweets are unavailable" in caplog.text

    caplog.clear()
    execute(pull(tweets=[*mine[-5:], *deleted], task_id="mixed"))
    assert "unavailable, as if" not in caplog.text


def test_totals_with_user_credentials_are_true_for_every_tweet(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    report = execute(pull())
    expected = truths(simulator, mine, OWNED)
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == expected
    # The world has Tweets of each kind: deleted, and too old for impressions or for video views.
    kinds = Counter(
        "deleted"
        if tweet_id not in expected
        else "too old for video"
        if expected[tweet_id]["video_views"] is None
        else "too old"
        if expected[tweet_id]["impressions"] is None
        else "complete"
        for tweet_id in mine
    )
    assert min(kinds[kind] for kind in ("deleted", "too old for video", "too old", "complete")) > 10
    assert any(int(tweet_id) < 29700859247 for tweet_id in expected)
    assert sum(counts["video_views"] or 0 for counts in expected.values()) > 0

    statuses = Counter(row["outcome"] for row in table(report["outputs"]["tweet_status"]))
    assert report["outcomes"] == statuses
    assert statuses["unavailable"] == kinds["deleted"]
    assert statuses["ok"] == report["complete"] == kinds["complete"]
    assert statuses["unsupported_90d"] == kinds["too old"] + kinds["too old for video"]
    assert report["requested"] == statuses.total() == len(mine)


def test_public_totals_are_true_for_the_tweets_of_every_user(
    pull: Pull, execute: Execute, simulator: Simulator, world: World
) -> None:
    everything = list(world.tweets)
    report = execute(pull(tweets=everything, metrics=PUBLIC))
    assert counted(table(report["outputs"]["tweet_totals"]), PUBLIC) == truths(simulator, everything, PUBLIC)
    protected = [tweet_id for tweet_id, tweet in world.tweets.items() if world.handles[tweet.author_id].protected]
    unavailable = {
        row["tweet_id"] for row in table(report["outputs"]["tweet_status"]) if row["outcome"] == "unavailable"
    }
    assert len(protected) > 100
    assert unavailable > set(protected)
    assert (report["auth"], report["owners"]) == ("app", {"requested": 0, "rejected": {}})
    assert {entry.auth for entry in simulator.journal.to("totals")} == {"app"}


def test_each_tweet_is_requested_once_in_the_fewest_requests(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    twice = [*mine, *reversed(mine), f" {mine[0]}\n"]
    report = execute(pull(tweets=twice))
    assert len(simulator.journal) == -(-len(mine) // 250) == report["requests"]["sent"]
    assert sorted(requested_ids(simulator)) == sorted(mine)


def test_a_changed_count_of_the_api_changes_one_cell_of_the_table(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tweet_id = max(truths(simulator, mine, OWNED), key=int)
    expected = truths(simulator, mine, OWNED)
    true_total = simulator.world.visible_total
    monkeypatch.setattr(
        simulator.world,
        "visible_total",
        lambda one, metric, sight: true_total(one, metric, sight) + (one == tweet_id and metric == "replies"),
    )
    report = execute(pull())
    found = counted(table(report["outputs"]["tweet_totals"]), OWNED)
    assert found[tweet_id]["replies"] == (expected[tweet_id]["replies"] or 0) + 1
    found[tweet_id]["replies"] = expected[tweet_id]["replies"]
    assert found == expected


@pytest.mark.parametrize(
    ("arguments", "auth", "metrics"),
    [
        ({}, "user", OWNED),
        ({"metrics": ["impressions"]}, "user", ("impressions",)),
        ({"metrics": "favorites, retweets"}, "app", ("favorites", "retweets")),
        ({"metrics": "favorites", "auth": "user"}, "user", ("favorites",)),
        ({"auth": "app"}, "app", PUBLIC),
        ({"metrics": '["replies", "favorites"]'}, "app", ("replies", "favorites")),
    ],
)
def test_the_metrics_select_the_credentials_unless_auth_is_set(
    pull: Pull,
    execute: Execute,
    simulator: Simulator,
    mine: list[str],
    arguments: dict[str, Any],
    auth: str,
    metrics: tuple[str, ...],
) -> None:
    report = execute(pull(tweets=mine[-5:], **arguments))
    (entry,) = simulator.journal.to("totals")
    assert entry.auth == report["auth"] == auth
    assert sorted(entry.body["engagement_types"]) == sorted(metrics) == sorted(report["metrics"])


def test_the_old_name_of_a_metric_becomes_its_new_name(pull: Pull, execute: Execute) -> None:
    # media_clicks became media_engagements, which is not available on totals. The message has the new name.
    with pytest.raises(AirflowFailException, match="media_engagements"):
        execute(pull(metrics=["media_clicks"]))


@pytest.mark.parametrize("values", ["string", "mixed"])
def test_totals_are_true_for_every_undocumented_form_of_the_response(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], values: Any
) -> None:
    simulator.switches = Switches(
        values=values,
        errors_in_partial=False,
        all_unavailable_status=200,
        old_impressions="zero",
        extra_metrics=True,
        negative_counts=True,
    )
    report = execute(pull(dataset_format="parquet"))
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(simulator, mine, OWNED)


def test_tweet_ids_have_many_forms(pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]) -> None:
    ids = mine[-7:]
    forms: dict[str, Any] = {
        "list": ids,
        "list of integers": [int(tweet_id) for tweet_id in ids],
        "string": "\n".join(ids) + "\n",
        "string of a list": repr(ids),
        "template": "{{ params.ids }}",
    }
    for number, (name, tweet_ids) in enumerate(forms.items()):
        simulator.journal.clear()
        # A snapshot of its own, because a stored response would be reused.
        snapshot_at = f"2026-01-{number + 1:02}"
        report = execute(pull(tweets=tweet_ids, snapshot_at=snapshot_at), params={"ids": ids})
        assert sorted(requested_ids(simulator)) == sorted(ids), name
        assert report["requested"] == 7, name


def test_the_path_of_a_file_of_ids_is_templated(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    (tmp_path / "ids-2026.csv").write_text("day,post\n" + "".join(f"2026-01-12,{one}\n" for one in mine[-3:]))
    execute(
        pull(tweets=FromFile(f"{tmp_path}/ids-{{{{ logical_date.year }}}}.csv", column="{{ params.column }}")),
        params={"column": "post"},
    )
    assert sorted(requested_ids(simulator)) == sorted(mine[-3:])
