"""How a way of reading an organization is measured: time, CPU, calls."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

Contender = Callable[[str, int], int]


@dataclass(frozen=True)
class Sample:
    seconds: float
    cpu: float
    users: int
    calls: int


@contextmanager
def organization(users: int, latency: float = 0.0, each: int = -1, every: int = 1) -> Iterator[str]:
    """The address of an organization that is served by a process of its own.

    `each` is how many tokens everyone has; -1 as in the embedded world, 1.4 on average. Only
    `every` so manieth user has any.
    """
    command = [sys.executable, "-m", "tests.bench.server"]
    options = ["--users", str(users), "--latency", str(latency), "--each", str(each)]
    options += ["--every", str(every)]
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


def peak() -> float:
    """MiB of this process; getrusage would count what the process that started it held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def calls(address: str) -> int:
    """How many calls the server has answered so far."""
    return int(requests.get(f"{address}/calls", timeout=60).text)
