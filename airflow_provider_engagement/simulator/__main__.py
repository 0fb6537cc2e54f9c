"""``python -m airflow_provider_engagement.simulator``: the simulator as a program of its own."""

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
    """Run the simulator until it is told to stop by ``SIGTERM`` or ``SIGINT``.

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
        print(f"Engagement API simulator ready at {simulator.base_url}", flush=True)
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_engagement.simulator",
        description="A stand-in for the Engagement API on this machine's loopback address.",
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)")
    parser.add_argument("--handles", type=int, default=3, help="number of users (default: %(default)s)")
    parser.add_argument("--tweets", type=int, default=5000, help="Tweets of all users (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same world (default: %(default)s)")
    parser.add_argument("--start", type=_instant, help="earliest Tweet (default: 400 days before --end)")
    parser.add_argument("--end", type=_instant, help="latest Tweet (default: --now)")
    parser.add_argument("--now", type=_instant, help="instant at which the data clock stands (default: the real time)")
    parser.add_argument(
        "--requests-per-minute", type=int, default=60, help="the contract's budget (default: %(default)s)"
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds per answer (default: %(default)s)")
    parser.add_argument("--world", type=Path, help="file to write addresses, credentials and Tweet ids to, as JSON")
    return parser


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _write(path: Path, content: dict[str, Any]) -> None:
    """Write a file at once: whoever waits for it never reads half of it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)


if __name__ == "__main__":
    sys.exit(main())
