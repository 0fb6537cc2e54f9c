"""Operators that list and look up Tweets with X API v2, which any X app can use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, conf

from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.operators.configuration import configured
from airflow_provider_engagement.operators.links import DatasetLink, ManifestLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.x_api.client import XClient


class _TweetsOperator(BaseOperator):
    """Base of the operators that read Tweets with X API v2."""

    operator_extra_links = (DatasetLink(), ManifestLink())
    ui_color = "#d7ecfb"

    lists: ClassVar[bool]
    """Whether the operator lists the Tweets of users, or looks up Tweets by id."""

    client: XClient | None = None
    manifest_path: str | None = None
    dataset_path: str | None

    def configured_dataset_path(self) -> str | None:
        """Return the path of the dataset folder: that of the task, or else that of the configuration."""
        return self.dataset_path or configured("default_dataset_path")

    def execute(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run the pull, and return its manifest.

        :param context: the task's context.
        :param event: the trigger's event, if the task waited. It is not used: the stored answers say what is left.
        """
        from airflow_provider_engagement.operators.tweets_execution import execute_tweets

        return execute_tweets(self, context)

    def on_kill(self) -> None:
        """Stop sending requests. The answers that arrived stay stored."""
        if self.client is not None:
            self.client.stop()


class TweetLookupOperator(_TweetsOperator):
    """Looks up Tweets by id: text, author, and the metrics at this time.

    The task's XCom is the manifest of the pull, with what it has cost.

    :param tweets: the Tweets: a list of ids or addresses, the XCom of a task that returns one, a text of them, or the
        path or URL of a file with ids; or :class:`~airflow_provider_engagement.parameters.FromFile` or
        :class:`~airflow_provider_engagement.parameters.FromSql`. An item of a list can be a mapping with ``tweet_id``
        and ``owner``. (templated)
    :param dataset_path: the path or URL of the dataset folder; by default, the option ``default_dataset_path`` of the
        configuration. (templated)
    :param dataset_format: ``parquet``, ``csv``, ``jsonl`` or ``delta``. (templated)
    :param private_metrics: whether to ask for the private metrics of Tweets whose author's access token the connection
        has, up to 29 days after their creation.
    :param auth: ``user`` or ``app``: the credentials for public metrics; by default ``user``, if the connection has an
        access token. (templated)
    :param accepted_outcomes: the outcomes to accept in addition to ``ok``, ``deleted``, ``protected``, ``withheld``,
        ``left_out``, ``too_old``, ``retweet`` and ``no_token``. If a Tweet has any other outcome, the task fails.
        (templated)
    :param max_tweets: the number of Tweets above which the task fails before it sends a request.
    :param max_dollars: the price in US dollars above which the task fails before it sends a request.
    :param engagement_conn_id: the id of the connection. (templated)
    :param concurrent_requests: the maximum number of requests in flight at the same time.
    :param max_inline_wait: the longest time, in seconds, for which the task sleeps on its worker to wait for a window.
        For a longer wait, the task releases its worker slot.
    :param max_wait: the time limit for waiting, in seconds from the start of the attempt.
    :param estimate_only: whether to return the number of requests and the price instead of sending requests.
    :param deferrable: whether a waiting task defers to the triggerer. If not, the scheduler reschedules the task. By
        default ``[operators] default_deferrable``.
    """

    lists = False

    template_fields: Sequence[str] = (
        "tweets",
        "dataset_path",
        "dataset_format",
        "auth",
        "accepted_outcomes",
        "engagement_conn_id",
    )

    def __init__(
        self,
        *,
        tweets: Any,
        dataset_path: str | None = None,
        dataset_format: str = "parquet",
        private_metrics: bool = True,
        auth: str | None = None,
        accepted_outcomes: Sequence[str] | str | None = None,
        max_tweets: int | None = None,
        max_dollars: float | None = None,
        engagement_conn_id: str = EngagementHook.default_conn_name,
        concurrent_requests: int = 8,
        max_inline_wait: float = 30.0,
        max_wait: float = 21_600.0,
        estimate_only: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tweets = tweets
        self.dataset_path = dataset_path
        self.dataset_format = dataset_format
        self.private_metrics = private_metrics
        self.auth = auth
        self.accepted_outcomes = accepted_outcomes
        self.max_tweets = max_tweets
        self.max_dollars = max_dollars
        self.engagement_conn_id = engagement_conn_id
        self.concurrent_requests = concurrent_requests
        self.max_inline_wait = max_inline_wait
        self.max_wait = max_wait
        self.estimate_only = estimate_only
        self.deferrable = deferrable


class UserTweetsOperator(_TweetsOperator):
    """Lists the Tweets of users: text, kind, and the metrics at this time.

    The task's XCom is the manifest of the pull, with what it has cost and how far each list reaches.

    :param users: the users: handles, with or without an @, and ids; a list, or a text of them between commas. Digits
        alone are an id. (templated)
    :param start: the time of the oldest Tweets; by default the start of the data interval. (templated)
    :param end: the time before which the Tweets were created; by default the end of the data interval, or now if
        ``start`` is set. (templated)
    :param replies: whether to list replies. Without them, X lists the newest 800 Tweets at most, otherwise 3,200.
    :param retweets: whether to list Retweets.
    :param dataset_path: the path or URL of the dataset folder; by default, the option ``default_dataset_path`` of the
        configuration. (templated)
    :param dataset_format: ``parquet``, ``csv``, ``jsonl`` or ``delta``. (templated)
    :param private_metrics: whether to ask for the private metrics of the Tweets of users whose access token the
        connection has, up to 29 days after their creation.
    :param auth: ``user`` or ``app``: the credentials for public metrics; by default ``user``, if the connection has an
        access token. (templated)
    :param accepted_outcomes: the outcomes to accept in addition to ``ok``, ``deleted``, ``protected``, ``withheld``,
        ``left_out``, ``too_old``, ``retweet`` and ``no_token``. If a Tweet has any other outcome, or a user any but
        ``ok``, the task fails. (templated)
    :param max_tweets: the number of Tweets above which the task fails. The answers until then are stored.
    :param max_dollars: the price in US dollars above which the task fails. The answers until then are stored.
    :param engagement_conn_id: the id of the connection. (templated)
    :param concurrent_requests: the maximum number of requests in flight at the same time.
    :param max_inline_wait: the longest time, in seconds, for which the task sleeps on its worker to wait for a window.
        For a longer wait, the task releases its worker slot.
    :param max_wait: the time limit for waiting, in seconds from the start of the attempt.
    :param estimate_only: whether to return the number of first requests and their price instead of sending requests.
        How many Tweets a list has is known only when it is read.
    :param deferrable: whether a waiting task defers to the triggerer. If not, the scheduler reschedules the task. By
        default ``[operators] default_deferrable``.
    """

    lists = True

    template_fields: Sequence[str] = (
        "users",
        "start",
        "end",
        "dataset_path",
        "dataset_format",
        "auth",
        "accepted_outcomes",
        "engagement_conn_id",
    )

    def __init__(
        self,
        *,
        users: Any,
        start: Any = None,
        end: Any = None,
        replies: bool = True,
        retweets: bool = True,
        dataset_path: str | None = None,
        dataset_format: str = "parquet",
        private_metrics: bool = True,
        auth: str | None = None,
        accepted_outcomes: Sequence[str] | str | None = None,
        max_tweets: int | None = None,
        max_dollars: float | None = None,
        engagement_conn_id: str = EngagementHook.default_conn_name,
        concurrent_requests: int = 8,
        max_inline_wait: float = 30.0,
        max_wait: float = 21_600.0,
        estimate_only: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.users = users
        self.start = start
        self.end = end
        self.replies = replies
        self.retweets = retweets
        self.dataset_path = dataset_path
        self.dataset_format = dataset_format
        self.private_metrics = private_metrics
        self.auth = auth
        self.accepted_outcomes = accepted_outcomes
        self.max_tweets = max_tweets
        self.max_dollars = max_dollars
        self.engagement_conn_id = engagement_conn_id
        self.concurrent_requests = concurrent_requests
        self.max_inline_wait = max_inline_wait
        self.max_wait = max_wait
        self.estimate_only = estimate_only
        self.deferrable = deferrable
