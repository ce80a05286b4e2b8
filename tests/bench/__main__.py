"""Takes every figure and writes RESULTS.md. `--quick` takes a minute and writes nothing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests

from tests.bench import contenders

RESULTS = Path(__file__).parent / "RESULTS.md"
LATENCY = 0.05
Contender = Callable[[str, int], int]


@dataclass(frozen=True)
class Sample:
    seconds: float
    cpu: float
    users: int
    calls: int


@contextmanager
def organization(users: int, latency: float = 0.0) -> Iterator[str]:
    """The address of an organization that is served by a process of its own."""
    command = [sys.executable, "-m", "tests.bench.server"]
    options = ["--users", str(users), "--latency", str(latency)]
    child = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
    finally:
        child.terminate()
        child.communicate()


def measure(contender: Contender, address: str, concurrency: int) -> Sample:
    answered = calls(address)
    began, cpu = time.perf_counter(), time.process_time()
    users = contender(address, concurrency)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Sample(seconds, cpu, users, calls(address) - answered)


def calls(address: str) -> int:
    """How many calls the server has answered so far."""
    return int(requests.get(f"{address}/calls", timeout=60).text)


def interleaved(
    runs: Sequence[tuple[str, Contender, int, str]], rounds: int
) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {name: [] for name, *_ in runs}
    for number in range(rounds):
        for name, contender, concurrency, address in runs:
            samples[name].append(measure(contender, address, concurrency))
            print(f"round {number + 1}: {name}: {samples[name][-1].seconds:.2f} s", flush=True)
    return samples


def reading(rounds: int, few: int, many: int) -> Iterator[str]:
    """The table of reading every user's tokens at 50 ms a call."""
    with organization(few, LATENCY) as small, organization(many, LATENCY) as large:
        runs: list[tuple[str, Contender, int, str]] = [
            ("(a) requests, one at a time", contenders.one_at_a_time, 1, small),
            ("(b) azure-devops SDK", contenders.azure_devops_sdk, 1, small),
        ]
        for concurrency in (16, 32):
            at = f"C={concurrency}"
            runs += [
                (f"(c) ours, {at}", contenders.ours, concurrency, large),
                (
                    f"(c) ours, whole scan with ledger, {at}",
                    contenders.whole_scan,
                    concurrency,
                    large,
                ),
                (f"(d) bare aiohttp, {at}", contenders.bare_aiohttp, concurrency, large),
                (f"our client over stock httpx, {at}", contenders.stock_httpx, concurrency, large),
            ]
        samples = interleaved(runs, rounds)
    concurrencies = {name: concurrency for name, _, concurrency, _ in runs}
    base = median_cpu(samples[runs[0][0]])
    yield "| way | users | calls | users/s | of the ideal N·L/C | CPU a user | CPU to (a) |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for name, taken in samples.items():
        users = taken[0].users
        seconds = statistics.median(sample.seconds for sample in taken)
        ideal = taken[0].calls * LATENCY / concurrencies[name]
        cpu = median_cpu(taken)
        yield (
            f"| {name} | {users:,} | {taken[0].calls:,} | {users / seconds:,.0f} "
            f"| {ideal / seconds:.1%} | {cpu * 1e6:,.0f} µs | {cpu / base:.2f} |"
        )


def median_cpu(samples: Sequence[Sample]) -> float:
    return statistics.median(sample.cpu / sample.users for sample in samples)


def memory(sizes: Sequence[int]) -> Iterator[str]:
    """Peak memory of a whole scan, each size in a process of its own."""
    yield "| users | users/s | peak memory | to the smallest |"
    yield "|--:|--:|--:|--:|"
    first = 0.0
    for users in sizes:
        with organization(users) as address:
            command = [sys.executable, "-m", "tests.bench", "--one-scan", address]
            sample = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        first = first or sample["mib"]
        rate = sample["users"] / sample["seconds"]
        more = sample["mib"] - first
        yield f"| {users:,} | {rate:,.0f} | {sample['mib']:.1f} MiB | {more:+.1f} MiB |"
        print(f"memory: {users:,} users: {sample['mib']:.1f} MiB", flush=True)


def one_scan(address: str) -> None:
    sample = measure(contenders.whole_scan, address, 16)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"users": sample.users, "seconds": sample.seconds, "mib": peak}))


def report(*, quick: bool) -> str:
    rounds, few, many = (1, 40, 800) if quick else (5, 200, 4000)
    sizes = (1000, 10_000) if quick else (100_000, 1_000_000)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        "# Results",
        "",
        f"Taken by `make bench` on {datetime.now(UTC):%Y-%m-%d}, {machine}. The simulator's",
        "organization is served by another process on the same machine. Figures of one run;",
        "compare ratios, since machines are noisy.",
        "",
        "## Reading every user's tokens",
        "",
        f"{LATENCY * 1000:.0f} ms a call, medians of {rounds} interleaved rounds. The ideal is",
        "N·L/C: N calls of L seconds, C of them under way; it leaves nothing for work. Ours",
        "begins with C=8 and grows. A whole scan also asks whether each owner who is due is still",
        "a member: those are its additional calls.",
        "",
        *reading(rounds, few, many),
        "",
        "## Memory",
        "",
        "A whole scan with the SQLite ledger, no latency, C=16.",
        "",
        *memory(sizes),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--one-scan", metavar="ADDRESS")
    asked = parser.parse_args()
    if asked.one_scan:
        one_scan(asked.one_scan)
        return
    text = report(quick=asked.quick)
    print(text)
    if not asked.quick:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
