"""The switches of X API v2: one for each behavior that no source documents, or that sources contradict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from airflow_provider_engagement.simulator.switch_set import SwitchSet


@dataclass(frozen=True, kw_only=True, slots=True)
class XApiSwitches(SwitchSet):
    """The choices for the behaviors that the documentation of X API v2 leaves open.

    The defaults are the most likely ones. A correct client works under every combination.

    :param problem_host: the host in the type of a problem, as in captured responses, or as in the specification.
    :param user_words: the number of a user's Tweets is ``tweet_count`` as in captured responses, or ``post_count`` as
        in the specification.
    :param old_private_metrics: a look-up that asks for private metrics of an own Tweet of more than 30 days has errors
        instead of the Tweet, or the Tweet without these metrics, or neither.
    :param old_listed: a list that asks for private metrics lacks own Tweets of more than 30 days without a word, or has
        errors instead of them.
    :param private_metrics_of_retweets: an own retweet has errors instead of private metrics, or has metrics of its own.
    :param app_on_private_metrics: a bearer token that asks for private metrics receives errors for each Tweet, or the
        whole request is rejected.
    :param url_link_clicks: the count of clicks on links is left out of some Tweets, of none, or of all.
    :param non_public_engagements: ``non_public_metrics`` have ``engagements``.
    :param non_public_counts: ``non_public_metrics`` include promoted engagement, or are organic only.
    :param unpromoted: ``promoted_metrics`` of a Tweet that was never promoted are zero, or the Tweet is missing.
    :param pages: a page of a user's Tweets is full, or lacks Tweets that are deleted or excluded, so that it can be
        empty before the end.
    :param reply_limit: without replies, the 800 newest Tweets are counted after replies are left out, or before.
    :param token_at_limit: the last page of a list that the limit of 3,200 or 800 Tweets ends has a token that leads to
        an empty page.
    :param rate_limited_body: the body of a 429 is a problem, or has an error with a code.
    :param deduplicated: a Tweet or user is billed once a UTC day, or every time it is read.
    :param bill_includes: Tweets and users that a response includes besides those that were asked for are billed.
    """

    problem_host: Literal["api.twitter.com", "api.x.com"] = "api.twitter.com"
    user_words: Literal["tweet", "post"] = "tweet"
    old_private_metrics: Literal["errors", "left_out", "dropped"] = "errors"
    old_listed: Literal["dropped", "errors"] = "dropped"
    private_metrics_of_retweets: Literal["errors", "shown"] = "errors"
    app_on_private_metrics: Literal["errors", "rejected"] = "errors"
    url_link_clicks: Literal["sometimes", "always", "never"] = "sometimes"
    non_public_engagements: bool = True
    non_public_counts: Literal["all", "organic"] = "all"
    unpromoted: Literal["zero", "dropped"] = "zero"
    pages: Literal["full", "sparse"] = "full"
    reply_limit: Literal["listed", "posted"] = "listed"
    token_at_limit: bool = False
    rate_limited_body: Literal["problem", "code"] = "problem"
    deduplicated: bool = True
    bill_includes: bool = False
