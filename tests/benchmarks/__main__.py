"""List the benchmarks, or run one: ``scripts/bench [NAME [--PARAMETER VALUE …]]``.

A benchmark is a module in this folder whose ``main`` prints figures. Its options are the parameters of ``main``, which
all have defaults.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from collections.abc import Sequence
from types import ModuleType

import figures

NAMES = (
    "totals",
    "parse",
    "import",
    "dags",
    "plan",
    "ids",
    "hourly",
    "memory",
    "backfill",
    "delta",
    "top",
    "load",
    "owners",
    "page",
    "runs",
    "contract",
    "slots",
    "contention",
    "comparison",
)


def load(name: str) -> ModuleType:
    """Return the module of a benchmark."""
    return importlib.import_module(name)


def summary(name: str) -> str:
    """Return the first line of a benchmark's description."""
    return inspect.getdoc(load(name)).splitlines()[0]  # type: ignore[union-attr]


def options(name: str) -> argparse.ArgumentParser:
    """Return a parser of a benchmark's options."""
    module = load(name)
    parser = argparse.ArgumentParser(
        prog=f"scripts/bench {name}",
        description=inspect.getdoc(module),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for parameter in inspect.signature(module.main).parameters.values():
        parser.add_argument(
            f"--{parameter.name.replace('_', '-')}",
            type=type(parameter.default),
            default=parameter.default,
            help="default: %(default)s",
        )
    return parser


def run(arguments: Sequence[str]) -> int:
    """List the benchmarks, or run one.

    :param arguments: none, or the name of a benchmark and its options.
    :return: the exit status.
    """
    if not arguments:
        for name in NAMES:
            print(f"{name:12}{summary(name)}")
        return 0
    name, *rest = arguments
    if name not in NAMES:
        print(f"There is no benchmark {name!r}. Choose one of {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    chosen = vars(options(name).parse_args(rest))
    figures.keep_standard_output()
    load(name).main(**chosen)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
