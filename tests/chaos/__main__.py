"""Disturb pulls on one machine, and compare every cell of the dataset with the simulator's world after each fault.

``scripts/chaos`` creates the environment and runs this program. The pulls of several owners publish to the same
partition of a dataset at the same time, while a reader polls it. The exit status is 0 only if no fault did any harm.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice, repeat
from multiprocessing import active_children
from pathlib import Path

from cluster.programs import Programs
from cluster.simulator import SimulatedApi
from cluster.terminal import exit_at_signals, say, show_table

from chaos.api_faults import CLOSED
from chaos.faults import ANYWHERE, COMMIT_MOMENTS, FAULTS, Outcome, disturb, kill
from chaos.machine import Machine, Reader, run_all

FORMATS = ("delta", "parquet")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix, print a table of faults and outcomes, and return the exit status."""
    options = parser().parse_args(arguments)
    exit_at_signals()
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    begin = time.monotonic()
    outcomes: list[tuple[str, Outcome]] = []
    with tempfile.TemporaryDirectory(prefix="engagement-chaos-") as folder:
        # Killed pulls leave their temporary files.
        tempfile.tempdir = folder
        for dataset_format in options.formats:
            outcomes += [
                (dataset_format, outcome) for outcome in run(Path(folder) / dataset_format, dataset_format, options)
            ]
    show(outcomes)
    say(f"\nSeed {options.seed}, {time.monotonic() - begin:.0f} s.")
    return 0 if outcomes and all(outcome.is_harmless for _, outcome in outcomes) else 1


def run(folder: Path, dataset_format: str, options: argparse.Namespace) -> list[Outcome]:
    """Run the matrix on a dataset of one format."""
    folder.mkdir()
    chance = random.Random(f"{options.seed} {dataset_format}")
    days = 1 + options.kills + len(FAULTS)
    api = SimulatedApi(
        folder=folder / "simulator",
        now=datetime.now(UTC).replace(minute=0, second=0, microsecond=0),
        owners=options.owners,
        tweets=options.tweets,
        requests_per_minute=100_000,
        latency=0.02,
    )
    programs = Programs(folder / "logs")
    (folder / "logs").mkdir()
    try:
        programs.start("simulator", api.program(os.environ))
        programs.wait_for("the simulator accepts requests", api.is_ready, seconds=60, interval=0.1)
        machine = Machine(api=api, folder=folder / "dataset", dataset_format=dataset_format, days=days)
        undisturbed = run_all(machine.pulls(0))
        if problems := [ended.problem for ended in undisturbed if not ended.succeeded]:
            raise SystemExit(f"An undisturbed pull failed:\n{problems[0]}")
        steps = min(len(ended.steps) for ended in undisturbed)
        outcomes = []
        with Reader(machine) as reader:
            for number, where in enumerate(islice(moments(dataset_format), options.kills)):
                outcomes.append(kill(machine, reader, 1 + number, where, steps, chance))
                tell(dataset_format, outcomes[-1])
            for number, name in enumerate(FAULTS):
                seconds = options.seconds_closed if name == CLOSED else options.seconds
                outcomes.append(disturb(machine, reader, 1 + options.kills + number, name, seconds))
                tell(dataset_format, outcomes[-1])
        wrong, duplicates = machine.wrong_cells(range(days))
        say(f"{dataset_format}: {machine.cells:,} cells compared at the end, {wrong} wrong, {duplicates} keys twice.")
        if wrong or duplicates:
            raise SystemExit("A later fault has damaged the counts of an earlier day.")
        return outcomes
    finally:
        # Pulls that still run would write into the folder while it is deleted.
        for child in active_children():
            child.kill()
            child.join()
        programs.kill_all()


def moments(dataset_format: str) -> Iterator[str]:
    """Yield the moments of kills without end. In a Delta table, every second one is at a commit."""
    if dataset_format != "delta":
        return repeat(ANYWHERE)
    return cycle([moment for name in COMMIT_MOMENTS for moment in (name, ANYWHERE)])


def tell(dataset_format: str, outcome: Outcome) -> None:
    """Print an outcome: in one line, or all of it if it did harm."""
    if outcome.is_harmless:
        say(f"{dataset_format}: {outcome.fault} {outcome.phase}, {outcome.attempts} attempts: harmless")
    else:
        say(f"HARM ({dataset_format}): {outcome}")


def show(outcomes: Sequence[tuple[str, Outcome]]) -> None:
    """Print a table with one line for each format, fault and phase."""
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for dataset_format, outcome in outcomes:
        groups[dataset_format, outcome.fault, outcome.phase].append(outcome)
    header = (
        "format",
        "fault",
        "while",
        "times",
        "attempts",
        "repeated",
        "wrong",
        "twice",
        "vanished",
        "left",
        "reads",
    )
    lines = [header]
    for (dataset_format, fault, phase), group in sorted(groups.items()):
        lines.append(
            (
                dataset_format,
                fault,
                phase,
                str(len(group)),
                str(max(outcome.attempts for outcome in group)),
                str(max(outcome.repeated for outcome in group)),
                str(sum(outcome.wrong_cells for outcome in group)),
                str(sum(outcome.duplicates for outcome in group)),
                str(sum(outcome.vanished for outcome in group)),
                str(sum(outcome.leftovers for outcome in group)),
                str(sum(outcome.polls for outcome in group)),
            )
        )
    show_table(lines)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="scripts/chaos",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    result.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS, help="formats of the dataset")
    result.add_argument("--kills", type=int, default=50, help="how often a pull is killed, for each format")
    result.add_argument("--seconds", type=float, default=60, help="how long other faults last")
    result.add_argument("--seconds-closed", type=float, default=600, help="how long the API is closed")
    result.add_argument("--owners", type=int, default=8, help="number of users, whose pulls run at the same time")
    result.add_argument("--tweets", type=int, default=160, help="number of Tweets, of all users together")
    result.add_argument("--seed", type=int, default=1, help="chooses which pull is killed, and when")
    return result


if __name__ == "__main__":
    sys.exit(main())
