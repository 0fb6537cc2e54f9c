"""The Tweets of a world in order of their ids, of all users and of each."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from airflow_provider_engagement.simulator.entities import Tweet


class TweetOrder:
    """The ids of the Tweets as numbers, the smallest first. They are sorted when they are first read.

    :param tweets: the Tweets, by id. None may be added or removed.
    """

    def __init__(self, tweets: Mapping[str, Tweet]) -> None:
        self._tweets = tweets
        self._lock = threading.Lock()
        self._all: list[int] | None = None
        self._by_author: dict[str, list[int]] = {}
        self._gone: dict[str, set[str]] = {}

    def of_author(self, author_id: str) -> Sequence[int]:
        """Return the ids of a user's Tweets."""
        self._sorted()
        return self._by_author.get(author_id, ())

    def authors(self) -> Sequence[str]:
        """Return the ids of all users who have Tweets."""
        self._sorted()
        return list(self._by_author)

    def number_listed(self, author_id: str, newest: int) -> int:
        """Return how many Tweets a user has, without deleted ones and earlier versions.

        :param author_id: the user.
        :param newest: the largest id that has been given to a Tweet.
        """
        number = bisect_right(self.of_author(author_id), newest)
        gone = (self._tweets[tweet_id] for tweet_id in self._gone.get(author_id, ()) if int(tweet_id) <= newest)
        return number - sum(tweet.deleted or newest_version(tweet, newest) != tweet.id for tweet in gone)

    def changed(self, tweet: Tweet) -> None:
        """Take note that a Tweet was deleted or restored."""
        self._sorted()
        with self._lock:
            self._note(tweet)

    def earlier(self, tweet_id: str, which: float) -> str | None:
        """Return a Tweet with a smaller id, if any.

        :param tweet_id: the Tweet.
        :param which: which of the earlier ones: from 0, the first of all, to 1, the last before the Tweet.
        """
        ids = self._sorted()
        number = bisect_left(ids, int(tweet_id))
        return str(ids[min(int(which * number), number - 1)]) if number else None

    def _sorted(self) -> Sequence[int]:
        with self._lock:
            if self._all is None:
                ids = sorted((int(tweet_id), tweet.author_id) for tweet_id, tweet in self._tweets.items())
                for number, author_id in ids:
                    self._by_author.setdefault(author_id, []).append(number)
                for tweet in self._tweets.values():
                    self._note(tweet)
                self._all = [number for number, _ in ids]
            return self._all

    def _note(self, tweet: Tweet) -> None:
        """Remember a Tweet that a list of its author's Tweets may lack."""
        if tweet.deleted or tweet.id != tweet.history[-1]:
            self._gone.setdefault(tweet.author_id, set()).add(tweet.id)
        else:
            self._gone.get(tweet.author_id, set()).discard(tweet.id)


def newest_version(tweet: Tweet, newest: int) -> str:
    """Return the newest version of a Tweet that exists.

    :param tweet: any of its versions.
    :param newest: the largest id that has been given to a Tweet.
    """
    return next((version for version in reversed(tweet.history) if int(version) <= newest), tweet.history[0])
