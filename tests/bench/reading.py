"""Reading every user's tokens at 50 ms a call: ours, others', and the transport alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from tests.bench import contenders
from tests.bench.measure import Contender, Sample, measure, organization

LATENCY = 0.05


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
