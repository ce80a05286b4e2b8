"""Whole scans through the functions on the local host: speed, memory, writes."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.bench import contenders
from tests.bench.measure import measure, organization, peak

MOST_TWICE = 100_000
"""Users; the next scan of more is left out, since it takes a quarter of an hour."""
COMMAND = [sys.executable, "-m", "tests.bench", "--one-scan"]


class Fleet(NamedTuple):
    """So many users, of whom every so manieth has `each` tokens."""

    users: int
    every: int
    each: int


class Filled(NamedTuple):
    """The folder of a ledger, and what each scan that filled it came to."""

    folder: str
    scans: dict[str, Any]


@cache
def filled(fleet: Fleet) -> Filled:
    """A ledger that whole scans filled, each in a process of its own; kept until the end."""
    kept = TemporaryDirectory()
    atexit.register(kept.cleanup)
    with organization(fleet.users, each=fleet.each, every=fleet.every) as address:
        scans = ("first", "next") if fleet.users <= MOST_TWICE else ("first",)
        found = Filled(kept.name, {each: one(address, kept.name) for each in scans})
    print(f"scanned {fleet.users:,} users: {found.scans}", flush=True)
    return found


def memory(sizes: Sequence[Fleet]) -> Iterator[str]:
    """Speed and peak memory of whole scans of each size."""
    yield "| users | tokens | scan | users/s | peak memory | to the smallest |"
    yield "|--:|--:|---|--:|--:|--:|"
    smallest = 0.0
    for size in sizes:
        found = filled(size)
        for words, sample in found.scans.items():
            smallest = smallest or sample["mib"]
            rate, more = sample["users"] / sample["seconds"], sample["mib"] - smallest
            yield (
                f"| {size.users:,} | {sample['tokens']:,} | {words} | {rate:,.0f} "
                f"| {sample['mib']:.1f} MiB | {more:+.1f} MiB |"
            )


def writes(users: int) -> Iterator[str]:
    """How many rows scans write, where nobody has a token and where everybody has one."""
    tables = {"owners": "owners", "outbox": "the outbox", "inventory": "the inventory"}
    yield f"| users | tokens | scan | {' | '.join(tables.values())} | the run |"
    yield "|--:|--:|---|--:|--:|--:|--:|"
    for each in (0, 1):
        found = filled(Fleet(users, 1, each))
        for words, sample in found.scans.items():
            rows = [f"{sample['rows'].get(name, 0):,}" for name in (*tables, "runs")]
            yield f"| {users:,} | {sample['tokens']:,} | {words} | {' | '.join(rows)} |"


def one(address: str, folder: str) -> Any:  # noqa: ANN401 - as it was printed
    """What one scan came to."""
    done = subprocess.run([*COMMAND, address, folder], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def one_scan(address: str, folder: str) -> None:
    """Scan once and print what it came to; for a process of its own."""
    contenders.ROWS.clear()
    sample = measure(
        lambda where, most: contenders.scan_into(Path(folder), where, most), address, 16
    )
    rows = dict(contenders.ROWS)
    tokens = rows.pop("tokens")
    print(
        json.dumps(
            {
                "users": sample.users,
                "tokens": tokens,
                "seconds": sample.seconds,
                "mib": peak(),
                "rows": rows,
            }
        )
    )
