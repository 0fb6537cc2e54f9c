"""``python -m airflow_provider_engagement.simulator``: run the simulator as a program."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.connections import description
from airflow_provider_engagement.simulator.server import Simulator
from airflow_provider_engagement.simulator.world import World


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator until the process receives ``SIGTERM`` or ``SIGINT``.

    :param arguments: the command line; by default that of the process.
    :return: the exit status.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        world = World.generate(
            seed=options.seed,
            handles=options.handles,
            tweets=options.tweets,
            start=options.start,
            end=options.end or options.now,
            edited=options.edited,
        )
        simulator = Simulator(world, clock=Clock(options.now), latency=options.latency, port=options.port)
        simulator.set_limit(per_minute=options.requests_per_minute)
    except (OSError, ValueError) as problem:
        parser.error(str(problem))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with simulator:
        if options.world is not None:
            _write(options.world, description(simulator))
        print(f"Simulator of the Engagement API and X API v2 ready at {simulator.base_url}", flush=True)
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_engagement.simulator",
        description="Simulate the Engagement API and X API v2 on this machine's loopback address.",
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 picks a free one (default)")
    parser.add_argument("--handles", type=int, default=3, help="number of users (default: %(default)s)")
    parser.add_argument(
        "--tweets", type=int, default=5000, help="number of Tweets, of all users together (default: %(default)s)"
    )
    parser.add_argument(
        "--edited",
        type=float,
        default=0.0,
        help="share of edited Tweets, whose earlier versions come on top (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same world (default: %(default)s)")
    parser.add_argument("--start", type=_time, help="earliest creation time (default: 400 days before --end)")
    parser.add_argument("--end", type=_time, help="latest creation time (default: --now)")
    parser.add_argument("--now", type=_time, help="time at which the data clock stands still (default: the real time)")
    parser.add_argument(
        "--requests-per-minute", type=int, default=60, help="quota of the Engagement API (default: %(default)s)"
    )
    parser.add_argument(
        "--latency", type=float, default=0.0, help="minimum seconds per response (default: %(default)s)"
    )
    parser.add_argument(
        "--world", type=Path, help="JSON file to write addresses, credentials, Tweet ids and Airflow connections to"
    )
    return parser


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _write(path: Path, content: dict[str, Any]) -> None:
    """Write a file atomically: a process that waits for it never reads half of it. Only its owner can read it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=2) + "\n")
    unfinished.replace(path)


if __name__ == "__main__":
    sys.exit(main())
