"""A ranking of Tweets as CSV and as Markdown. Programs that show them execute nothing that they contain."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence

from airflow_provider_engagement.report.ranking import TopTweet
from airflow_provider_engagement.tables.spreadsheet_text import inert

COLUMNS = ("metric", "rank", "tweet_id", "count", "link")

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#|!~&])")


def ranking_as_csv(ranking: Mapping[str, Sequence[TopTweet]]) -> str:
    """Return a ranking as CSV, with a heading and one row for each Tweet and metric.

    A text that a spreadsheet would execute as a formula has an apostrophe in front.

    :param ranking: the Tweets of each metric, the best first.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for metric, tweets in ranking.items():
        for place, tweet in enumerate(tweets, start=1):
            writer.writerow([inert(metric), place, inert(tweet.tweet_id), tweet.count, inert(tweet.link)])
    return text.getvalue()


def ranking_as_markdown(ranking: Mapping[str, Sequence[TopTweet]], *, title: str, subtitle: str) -> str:
    """Return a ranking as Markdown: a heading and a table for each metric.

    :param ranking: the Tweets of each metric, the best first.
    :param title: the heading of the document.
    :param subtitle: the sentence below the heading.
    """
    lines = [f"# {_escaped(title)}", "", _escaped(subtitle)]
    for metric, tweets in ranking.items():
        lines += ["", f"## {_escaped(metric)}", "", "| rank | Tweet | count |", "|---:|---|---:|"]
        lines += [
            f"| {place} | [{_escaped(tweet.tweet_id)}]({tweet.link}) | {tweet.count:,} |"
            for place, tweet in enumerate(tweets, start=1)
        ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
