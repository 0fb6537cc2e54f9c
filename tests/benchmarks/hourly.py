"""Raw full hourly answers to Parquet: counts per second on one core, and memory at 1 and at 1,000 answers.

A full answer has 25 Tweets, 17 metrics and 672 hours: 285,600 counts, gzipped as it comes. Seconds are the processor's,
of all threads together, so that they are those of one core.
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

from airflow_provider_engagement.api.client import Fetched
from airflow_provider_engagement.api.planner import Request, wanted_hours
from airflow_provider_engagement.api.query import Granularity
from airflow_provider_engagement.api.response import Outcome, parse_response
from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.dataset.fetch import FetchResult
from airflow_provider_engagement.dataset.folder import DatasetFolder
from airflow_provider_engagement.dataset.formats import Format
from airflow_provider_engagement.dataset.response_store import ResponseStore, part_of
from airflow_provider_engagement.dataset.time_series import TimeSeries, assemble_time_series

GOAL = ">= 3000000"


def main(answers: int = 1_000) -> None:
    """Turn answers into parts, and parts into the dataset.

    :param answers: how many, in the larger of the two runs.
    """
    request = full_hourly_request()
    raw = raw_answer(request)
    counts = len(request.tweet_ids) * len(request.query.metrics) * 672
    peaks = {}
    for number in (1, answers):
        stages, peak = in_own_process(to_parts, request, raw, number)
        peaks[number] = peak
    for name, value in rates(stages, counts * answers).items():
        figure(f"{answers} answers, {name}", value, "counts/s", GOAL if name == "raw to part" else None)
    for number, peak in peaks.items():
        figure(f"peak memory at {number} answers", peak / MEGABYTE, "MB")
    figure("peak memory, growth", peaks[answers] / peaks[1], "ratio", "<= 1.2")
    seconds, peak = in_own_process(_assemble, request, raw, 20)
    figure("20 parts to the dataset", 20 * counts / seconds, "counts/s")
    figure("20 parts to the dataset, peak memory", peak / MEGABYTE, "MB")


def raw_answer(request: Request) -> bytes:
    """Return an answer as it travels."""
    return gzip.compress(json.dumps(body(request), separators=(",", ":")).encode(), 6)


def rates(stages: dict[str, float], counts: int) -> dict[str, float]:
    """Return how many counts pass each stage, and all of them, in a second."""
    return {name: counts / seconds for name, seconds in {"raw to part": sum(stages.values()), **stages}.items()}


def to_parts(request: Request, raw: bytes, number: int) -> tuple[dict[str, float], int]:
    """Write an answer so many times, and return the seconds of each stage and the peak memory."""
    import pyarrow

    pyarrow.set_cpu_count(1)
    stages = {name: Spent() for name in ("decompressing", "JSON", "reading", "columns", "Parquet")}
    with tempfile.TemporaryDirectory() as folder:
        for index in range(number):
            # Ten at most are kept, to spare the disk.
            _to_part(request, raw, ResponseStore(Path(folder), identity=f"{index % 10}"), stages)
    return {name: spent.processor_seconds for name, spent in stages.items()}, peak_memory()


def _to_part(request: Request, raw: bytes, store: ResponseStore, stages: dict[str, Spent]) -> None:
    with timed(stages["decompressing"]):
        text = gzip.decompress(raw).decode()
    with timed(stages["JSON"]):
        decoded = json.loads(text)
    with timed(stages["reading"]):
        answer = parse_response(request, decoded)
    with timed(stages["columns"]):
        part = part_of(Fetched(answer=answer, fetched_at=END, authors={}))
    with timed(stages["Parquet"]):
        store.write(request, part)


def series_of(request: Request, name: str = "benchmark") -> TimeSeries:
    """Return that every hour of a request is wanted."""

    def wanted(tweet_id: str, covered: TimeRange) -> TimeRange | None:
        return wanted_hours(tweet_id, covered)

    return TimeSeries(
        query=request.query,
        granularity=Granularity.HOUR,
        zone=ZoneInfo("UTC"),
        wanted=wanted,
        span=None,
        settling_time=timedelta(hours=72),
        run=name,
        owner="1",
        name=name,
        date=END,
    )


def _assemble(request: Request, raw: bytes, number: int) -> tuple[float, int]:
    import pyarrow

    pyarrow.set_cpu_count(1)
    decoded = json.loads(gzip.decompress(raw))
    requests = []
    with tempfile.TemporaryDirectory() as folder:
        store = ResponseStore(Path(folder), identity="")
        for index in range(number):
            renamed = {tweet_id: str(int(tweet_id) + 25 * index) for tweet_id in request.tweet_ids}
            one = replace(request, tweet_ids=tuple(renamed.values()))
            hours = {renamed[tweet_id]: counts for tweet_id, counts in decoded["hour"].items()}
            answer = parse_response(one, decoded | {"hour": hours})
            store.write(one, part_of(Fetched(answer=answer, fetched_at=END, authors={})))
            requests.append(one)
        del decoded
        everything = tuple(tweet_id for one in requests for tweet_id in one.tweet_ids)
        whole = replace(request, query=replace(request.query, tweet_ids=everything))
        with timed() as spent:
            assemble_time_series(
                FetchResult(requests),
                store,
                DatasetFolder(Path(folder), Format.PARQUET),
                wanted=series_of(whole),
                accepted=(Outcome.UNAVAILABLE,),
            )
    return spent.processor_seconds, peak_memory()
