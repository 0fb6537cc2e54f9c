"""Run a pull from X API v2: send its requests step by step, store the answers, write the tables and the manifest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_engagement.http.credentials import Account
from airflow_provider_engagement.pull.answer_fetch import AnswerResult, Send, fetch_answers
from airflow_provider_engagement.pull.answer_store import AnswerStore
from airflow_provider_engagement.pull.attempt import AttemptTotals
from airflow_provider_engagement.pull.budget import Budget
from airflow_provider_engagement.pull.manifest import SCHEMA_VERSION, manifest_path
from airflow_provider_engagement.pull.progress import ReportProgress
from airflow_provider_engagement.pull.tweet_lookup import TweetLookup
from airflow_provider_engagement.pull.tweets_pull import AssembledTweets, TweetsPull
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.storage.paths import Locate, StoragePath
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.x_api.catalogue import PricedRead
from airflow_provider_engagement.x_api.outcomes import XOutcome
from airflow_provider_engagement.x_api.prices import Cost, cheaper_way

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TweetsResult:
    """What a pull has done.

    :param manifest: the record of the pull, as JSON-compatible values.
    :param manifest_path: the path or URL of its file.
    :param assembled: what was written, and why the pull is not complete, if it is not.
    """

    manifest: dict[str, Any]
    manifest_path: str
    assembled: AssembledTweets


class TweetsRun:
    """One execution of a pull from X API v2.

    :param pull: the pull.
    :param path: the folder of the dataset.
    :param dataset_format: the format of its tables.
    :param identity_of: returns a text that identifies the address and the credentials of an account.
    :param budget: what the pull may read.
    :param address_of: returns the address and the storage options of a Delta table.
    """

    def __init__(
        self,
        pull: TweetsPull,
        path: StoragePath,
        dataset_format: DatasetFormat,
        *,
        identity_of: Callable[[Account], str],
        budget: Budget,
        address_of: Locate,
    ) -> None:
        self._pull, self._budget = pull, budget
        self._path = path
        self._store = AnswerStore(path, identity_of=identity_of, run=pull.run.digest)
        self._folder = DatasetFolder(path, dataset_format, writer=pull.run.digest, address_of=address_of)

    def estimate(self) -> dict[str, Any]:
        """Return what is known of the pull before it sends a request: its first requests, and what they cost."""
        first = self._pull.steps()[0](self._store)
        cost = self._first_cost()
        return {
            "requests": sum(not self._store.contains(request) for request in first),
            "cost": cost.to_dict(),
            "cheaper": self._cheaper_way(),
        }

    def check(self) -> None:
        """Check that the dataset is writable, and that the pull is not larger than its budget.

        :raises BoundExceededError: if it is.
        """
        temporary_files = TemporaryFiles(self._path, writer=self._pull.run.digest)
        temporary_files.delete_leftovers()
        temporary_files.check_writable()
        self._budget.check(self._first_cost())

    def fetch(self, send: Send, report: ReportProgress, *, concurrent_requests: int) -> AnswerResult:
        """Send the requests without a stored answer, step by step.

        :param send: sends one request.
        :param report: is called with the progress.
        :param concurrent_requests: how many requests are in flight at once.
        :raises WaitRequired: if the next request has to wait longer than the client waits in place.
        """
        result, following = AnswerResult(), self._pull.follower()
        for step in self._pull.steps():
            fetch_answers(
                step(self._store),
                store=self._store,
                send=send,
                following=following,
                result=result,
                concurrent_requests=concurrent_requests,
                report=report,
            )
        return result

    def assemble(self, fetched: AnswerResult, attempt: AttemptTotals) -> TweetsResult:
        """Write the tables and the manifest. The answers of a complete pull are deleted, since they hold texts.

        :param fetched: what happened to the requests.
        :param attempt: what the attempt has sent, for the manifest.
        """
        started = time.monotonic()
        assembled = self._pull.assemble(fetched, self._store, self._folder)
        pull = self._pull
        manifest: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "endpoint": "tweets" if isinstance(pull, TweetLookup) else "users/:id/tweets",
            "auth": str(pull.auth),
            "run_id": pull.run.run_id,
            "task": pull.run.task,
            "snapshot_at": pull.snapshot_at.isoformat(),
            "requested": sum(assembled.outcomes.values()),
            "complete": assembled.outcomes[XOutcome.OK],
            "missing": {
                str(outcome): {"tweets": number}
                for outcome, number in sorted(assembled.outcomes.items())
                if outcome is not XOutcome.OK
            },
            "users": {name: _to_json(about) for name, about in assembled.users.items()},
            "cost": assembled.cost.to_dict(),
            "cheaper": self._cheaper_way(),
            "requests": {
                "planned": len(fetched.requests),
                "sent": attempt.sent,
                "succeeded": fetched.succeeded,
                "reused": fetched.reused,
                "failed": len(fetched.failures),
                "rate_limited": attempt.rate_limited,
            },
            "rows": dict(assembled.rows),
            "outputs": dict(self._folder.locations),
            "versions": self._folder.versions,
            "seconds": {"elapsed": round(time.monotonic() - started, 3), "waited": round(attempt.waited_seconds, 3)},
        }
        self._folder.write_json("manifest", manifest_path(pull.run), manifest)
        manifest["outputs"] = dict(self._folder.locations)
        log.info(
            "Done: %s, %s complete; %s sent, %d reused; %s.",
            counted(manifest["requested"], "Tweet"),
            f"{manifest['complete']:,}",
            counted(attempt.sent, "request"),
            fetched.reused,
            assembled.cost,
        )
        for name, about in assembled.users.items():
            if about["complete_from"] is not None and about["complete_from"] != getattr(pull, "start", None):
                log.warning(
                    "The list of %s is complete only from %s on: X lists only the newest Tweets of a user.",
                    name,
                    about["complete_from"].isoformat(),
                )
        if assembled.error is None:
            self._store.delete()
        return TweetsResult(manifest=manifest, manifest_path=self._folder.locations["manifest"], assembled=assembled)

    def _first_cost(self) -> Cost:
        pull = self._pull
        if isinstance(pull, TweetLookup):
            return Cost({PricedRead.TWEET: len(pull.tweets)})
        handles, user_ids = getattr(pull, "handles", ()), getattr(pull, "user_ids", ())
        return Cost({PricedRead.USER: len(handles) + len(user_ids)})

    def _cheaper_way(self) -> str | None:
        pull = self._pull
        if not isinstance(pull, TweetLookup) or pull.own_user is None:
            return None
        return cheaper_way(sum(owner == pull.own_user for owner in pull.tweets.values()))


def _to_json(about: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in about.items()
    }
