"""Full hourly responses to Parquet: counts per second on one core, and memory at 1 and at 1,000 responses.

A full response has 25 Tweets, 17 metrics and 672 hours: 285,600 counts, compressed. Times are processor times of all
threads, as on one core.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from figures import MEGABYTE, Spent, figure, in_own_process, peak_memory, timed
from histories import END, body, full_hourly_request

from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
from airflow_provider_engagement.engagement_api.response import Outcome, parse_response
from airflow_provider_engagement.http.response_body import decode_json
from airflow_provider_engagement.pull.fetch import FetchResult
from airflow_provider_engagement.pull.response_store import ResponseStore, StoredResponse
from airflow_provider_engagement.pull.series_rows import SeriesRows
from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.pull.time_series import assemble_time_series
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.granularity import Granularity

GOAL = ">= 3000000"


def main(responses: int = 1_000) -> None:
    """Store responses, and assemble them.

    :param responses: the number of responses in the larger of the two runs.
    """
    request = full_hourly_request()
    raw = raw_response(request)
    counts = len(request.tweet_ids) * len(request.query.metrics) * 672
    peaks = {}
    for number in (1, responses):
        stages, peak = in_own_process(store_responses, request, raw, number)
        peaks[number] = peak
    for name, value in rates(stages, counts * responses).items():
        figure(f"{responses} responses, {name}", value, "counts/s", GOAL if name == "raw to stored" else None)
    for number, peak in peaks.items():
        figure(f"peak memory at {number} responses", peak / MEGABYTE, "MB")
    figure("peak memory, growth", peaks[responses] / peaks[1], "ratio", "<= 1.2")
    seconds, peak = in_own_process(_assemble, request, raw, 20)
    figure("20 stored responses to the dataset", 20 * counts / seconds, "counts/s")
    figure("20 stored responses to the dataset, peak memory", peak / MEGABYTE, "MB")


def raw_response(request: Request) -> bytes:
    """Return a compressed response."""
    return gzip.compress(json.dumps(body(request), separators=(",", ":")).encode(), 6)


def rates(stages: dict[str, float], counts: int) -> dict[str, float]:
    """Return how many counts per second each stage processes, and all of them together."""
    return {name: counts / seconds for name, seconds in {"raw to stored": sum(stages.values()), **stages}.items()}


def store_responses(request: Request, raw: bytes, number: int) -> tuple[dict[str, float], int]:
    """Store a response several times, and return the seconds of each stage and the peak memory."""
    import pyarrow

    pyarrow.set_cpu_count(1)
    stages = {name: Spent() for name in ("decompressing", "JSON", "parsing", "columns", "Parquet")}
    with tempfile.TemporaryDirectory() as folder:
        for index in range(number):
            # At most ten are kept, to save disk space.
            _store(request, raw, ResponseStore(Path(folder), identities={None: f"{index % 10}"}), stages)
    return {name: spent.processor_seconds for name, spent in stages.items()}, peak_memory()


def _store(request: Request, raw: bytes, store: ResponseStore, stages: dict[str, Spent]) -> None:
    with timed(stages["decompressing"]):
        text = gzip.decompress(raw).decode()
    with timed(stages["JSON"]):
        decoded = decode_json(text)
    with timed(stages["parsing"]):
        response = parse_response(request, decoded)
    with timed(stages["columns"]):
        stored = StoredResponse.from_fetched(FetchedResponse(response=response, fetched_at=END, authors={}))
    with timed(stages["Parquet"]):
        store.write(request, stored)


def rows_of(query: Query) -> SeriesRows:
    """Return that each hour of a query is a row."""
    return SeriesRows(
        query=query,
        granularity=Granularity.HOUR,
        zone=ZoneInfo("UTC"),
        settling_time=timedelta(hours=72),
    )


def task_run() -> TaskRun:
    """Return the run that the rows belong to."""
    return TaskRun(run_id="benchmark", task="benchmark", time=END, accepted=(Outcome.UNAVAILABLE,))


def _assemble(request: Request, raw: bytes, number: int) -> tuple[float, int]:
    import pyarrow

    pyarrow.set_cpu_count(1)
    decoded = json.loads(gzip.decompress(raw))
    requests = []
    with tempfile.TemporaryDirectory() as folder:
        store = ResponseStore(Path(folder), identities={None: ""})
        for index in range(number):
            renamed = {tweet_id: str(int(tweet_id) + 25 * index) for tweet_id in request.tweet_ids}
            one = replace(request, tweet_ids=tuple(renamed.values()))
            hours = {renamed[tweet_id]: counts for tweet_id, counts in decoded["hour"].items()}
            response = parse_response(one, decoded | {"hour": hours})
            store.write(
                one, StoredResponse.from_fetched(FetchedResponse(response=response, fetched_at=END, authors={}))
            )
            requests.append(one)
        del decoded
        everything = tuple(tweet_id for one in requests for tweet_id in one.tweet_ids)
        fetched = FetchResult(requests)
        with timed() as spent:
            assemble_time_series(
                fetched,
                TweetStatuses.from_responses(fetched, store),
                store,
                DatasetFolder(Path(folder), DatasetFormat.PARQUET),
                rows=rows_of(replace(request.query, tweet_ids=everything)),
                run=task_run(),
            )
    return spent.processor_seconds, peak_memory()
