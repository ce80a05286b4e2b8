"""Plays many histories over all cores: `make simulate SEEDS=10000`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from rich.console import Console
from rich.progress import track

from tests.simulation.history import Step, history
from tests.simulation.invariants import judged, shrunk

CONSOLE = Console()
CHUNK = 8


@dataclass(frozen=True)
class Failure:
    """A seed that broke something, and the shortest history found that breaks it too."""

    seed: int
    broken: Sequence[str]
    steps: Sequence[Step]


def main() -> int:
    """The exit status: 1 where an invariant was broken."""
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seeds", type=int, default=1000, help="how many histories")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    asked = parser.parse_args()
    seeds = range(asked.start, asked.start + asked.seeds)
    logging.disable(logging.CRITICAL)  # what fails on purpose is not to be read
    failures, hit, crossed = list[Failure](), set[str](), set[str]()
    with ProcessPoolExecutor(initializer=logging.disable, initargs=(logging.CRITICAL,)) as pool:
        played = zip(seeds, pool.map(judged, map(history, seeds), chunksize=CHUNK), strict=True)
        for seed, verdict in track(played, "Histories", len(seeds), console=CONSOLE):
            hit |= verdict.hit
            crossed |= verdict.crossed
            if verdict.broken:
                failures.append(Failure(seed, verdict.broken, shrunk(history(seed))))
                show(failures[-1])
    CONSOLE.print(
        f"{len(seeds):,} histories, {len(failures)} broke something. "
        f"{len(hit)} of {len(crossed)} crash points were hit.",
        highlight=False,
    )
    return 1 if failures else 0


def show(failure: Failure) -> None:
    """Print a failure so that it can be played again."""
    CONSOLE.print(f"Seed {failure.seed}:", *failure.broken, sep="\n  ", markup=False)
    CONSOLE.print("It takes:", *map(str, failure.steps), sep="\n  ", markup=False)


if __name__ == "__main__":
    sys.exit(main())
