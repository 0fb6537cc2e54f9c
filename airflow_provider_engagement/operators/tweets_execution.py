"""Execute a pull from X API v2 as a task of Airflow."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.connections.engagement import EngagementConnection
from airflow_provider_engagement.connections.listed_tweets import read_tweets
from airflow_provider_engagement.connections.storage_options import storage_path, table_address
from airflow_provider_engagement.exceptions import InvalidConnectionError, WaitRequired
from airflow_provider_engagement.hooks.failures import task_failures
from airflow_provider_engagement.http.credentials import Auth
from airflow_provider_engagement.inputs.times import parse_time
from airflow_provider_engagement.inputs.x_settings import (
    ListingSettings,
    LookupSettings,
    XSettings,
    parse_listing_settings,
    parse_lookup_settings,
)
from airflow_provider_engagement.operators.rendered_parameters import parameter_values, unset_blank_parameters
from airflow_provider_engagement.operators.run_context import run_of
from airflow_provider_engagement.operators.task_state import add_to_attempt
from airflow_provider_engagement.operators.waiting import WaitsByRetrying, wait_until
from airflow_provider_engagement.pull.attempt import AttemptTotals
from airflow_provider_engagement.pull.budget import Budget
from airflow_provider_engagement.pull.progress import ProgressSteps
from airflow_provider_engagement.pull.task_run import RunContext
from airflow_provider_engagement.pull.tweet_listing import TweetListing
from airflow_provider_engagement.pull.tweet_lookup import TweetLookup
from airflow_provider_engagement.pull.tweets_pull import TweetsPull
from airflow_provider_engagement.pull.tweets_run import TweetsRun

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


def execute_tweets(task: Any, context: Context) -> dict[str, Any]:
    """Run the pull of a task, and return its manifest.

    :param task: the operator, with rendered parameters.
    :param context: the task's context.
    """
    with task_failures():
        unset_blank_parameters(task)
        parse = parse_listing_settings if task.lists else parse_lookup_settings
        settings = parse({**parameter_values(task), "dataset_path": task.configured_dataset_path()})
    task.dataset_path = settings.dataset_path
    with task_failures(settings.conn_id):
        try:
            api = EngagementConnection(settings.conn_id)
            return _pull(task, settings, _make_pull(settings, run_of(context), api), api, context)
        except WaitRequired as required:
            if isinstance(getattr(task, "retry_policy", None), WaitsByRetrying):
                raise
            wait_until(
                required.until,
                operator=task,
                context=context,
                deferrable=task.deferrable,
                max_wait=settings.max_wait,
            )


def _make_pull(
    settings: LookupSettings | ListingSettings, run: RunContext, api: EngagementConnection
) -> TweetLookup | TweetListing:
    common = _common(settings, run, api)
    if isinstance(settings, LookupSettings):
        listed = read_tweets(settings.tweets)
        owners = {owner: api.accounts.resolve(owner) for owner in {*listed.values()} if owner is not None}
        tweets = {tweet_id: owners.get(owner or "") for tweet_id, owner in listed.items()}
        return TweetLookup(tweets=tweets, **common)
    start, end = _interval(settings, run)
    return TweetListing(
        handles=settings.handles,
        user_ids=settings.user_ids,
        start=start,
        end=end,
        excluded=settings.excluded,
        budget=_budget(settings),
        **common,
    )


def _common(settings: XSettings, run: RunContext, api: EngagementConnection) -> dict[str, Any]:
    credentials = api.credentials
    auth = settings.auth or (Auth.USER if credentials.has_user else Auth.APP)
    if auth is Auth.USER and not credentials.has_user:
        raise InvalidConnectionError(
            "The connection has no access token. Set access_token and access_token_secret, or use auth='app'."
        )
    return {
        "run": run.task_run(),
        "auth": auth,
        "has_token": api.accounts.has_token,
        "own_user": credentials.user_id,
        "private": settings.private,
        "started": run.start,
        "snapshot_at": run.time,
        "accepted": settings.accepted,
    }


def _interval(settings: ListingSettings, run: RunContext) -> tuple[datetime, datetime | None]:
    """Return the interval of a listing in whole seconds. One that ends in the future ends now."""
    end: datetime | None
    if settings.start is None:
        start, end = run.interval
    else:
        start = parse_time(settings.start, field="start", now=run.time)
        end = None if settings.end is None else parse_time(settings.end, field="end", now=run.time)
    is_over = end is not None and end < run.start
    return start.replace(microsecond=0), end.replace(microsecond=0) if end is not None and is_over else None


def _budget(settings: XSettings) -> Budget:
    return Budget(tweets=settings.max_tweets, dollars=settings.max_dollars)


def _pull(
    task: Any, settings: XSettings, pull: TweetsPull, api: EngagementConnection, context: Context
) -> dict[str, Any]:
    running = TweetsRun(
        pull,
        storage_path(settings.dataset_path, field="dataset_path"),
        settings.dataset_format,
        identity_of=api.x_identity_of,
        budget=_budget(settings),
        address_of=table_address,
    )
    if settings.estimate_only:
        return running.estimate()
    running.check()
    with api.open_x_client(
        max_inline_wait=settings.max_inline_wait,
        max_wait=settings.max_wait,
        max_connections=settings.concurrent_requests,
    ) as client:
        task.client = client
        try:
            report = ProgressSteps(lambda progress: log.info("%s", progress)).update
            fetched = running.fetch(client.send, report, concurrent_requests=settings.concurrent_requests)
        finally:
            totals = AttemptTotals(
                client.requests_sent, client.limiters.rate_limited_requests, client.limiters.waited_seconds
            )
            attempt = add_to_attempt(context, totals)
    result = running.assemble(fetched, attempt)
    task.manifest_path = result.manifest_path
    if result.assembled.error is not None:
        raise result.assembled.error
    return result.manifest
