"""Whole scans through the functions on the local host: speed, memory, writes."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tests.bench import contenders
from tests.bench.measure import measure, organization

COMMAND = [sys.executable, "-m", "tests.bench", "--one-scan"]


def memory(sizes: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Peak memory of a whole scan, each size (users, tokens for each) in a process of its own."""
    yield "| users | tokens | users/s | peak memory | to the smallest |"
    yield "|--:|--:|--:|--:|--:|"
    first = 0.0
    for users, each in sizes:
        sample = one(users, each)
        first = first or sample["mib"]
        rate, more = sample["users"] / sample["seconds"], sample["mib"] - first
        yield (
            f"| {users:,} | {sample['tokens']:,} | {rate:,.0f} "
            f"| {sample['mib']:.1f} MiB | {more:+.1f} MiB |"
        )
        print(f"memory: {users:,} users: {sample['mib']:.1f} MiB", flush=True)


def writes(users: int) -> Iterator[str]:
    """How many rows a scan writes, where nobody has a token and where everybody has one."""
    yield "| users | tokens | rows written for owners | for the outbox | for the run |"
    yield "|--:|--:|--:|--:|--:|"
    for each in (0, 1):
        sample = one(users, each)
        rows = sample["rows"]
        yield (
            f"| {users:,} | {sample['tokens']:,} | {rows.get('owners', 0):,} "
            f"| {rows.get('outbox', 0):,} | {rows.get('runs', 0):,} |"
        )


def one(users: int, each: int) -> Any:  # noqa: ANN401 - as it was printed
    """What one scan came to."""
    with organization(users, each=each) as address:
        done = subprocess.run([*COMMAND, address], check=True, capture_output=True)
    return json.loads(done.stdout)


def one_scan(address: str) -> None:
    """Scan once and print what it came to; for a process of its own."""
    contenders.ROWS.clear()
    sample = measure(contenders.whole_scan, address, 16)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = dict(contenders.ROWS)
    tokens = rows.pop("tokens")
    print(
        json.dumps(
            {
                "users": sample.users,
                "tokens": tokens,
                "seconds": sample.seconds,
                "mib": peak,
                "rows": rows,
            }
        )
    )
