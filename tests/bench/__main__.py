"""Takes every figure and writes RESULTS.md. `--quick` takes a minute and writes nothing."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench.fleet import fleet, one_way
from tests.bench.lasting import a_day, draining
from tests.bench.pages import pages
from tests.bench.reading import LATENCY, reading
from tests.bench.rotating import rotating
from tests.bench.scanning import Fleet, memory, one_scan, writes
from tests.bench.starting import starting
from tests.bench.storing import table_ledger
from tests.bench.throttling import throttling

FLEETS = (10_000, 100_000, 1_000_000)
RESULTS = Path(__file__).parent / "RESULTS.md"
READING = f"""\
{LATENCY * 1000:.0f} ms a call, medians of interleaved rounds. The ideal is N·L/C: N calls of L
seconds, C of them under way; it leaves nothing for work. Ours begins with C=8 and grows. A whole
scan goes through the functions and their queues, and also asks whether each owner who is due is
still a member: those are its additional calls.
"""
MEMORY = """\
A whole scan through the functions on the local host, with the SQLite ledger, no latency, C=16: it
lists, scans, and writes owners, outbox and inventory. Every tenth user has three tokens. The first
scan writes all of it, the next finds it as it was.
"""
WRITES = """\
Rows that such scans write to each table. A user without tokens costs none.
"""
STORING = """\
Azurite, one connection, medians. The CPU is the client's.
"""
STARTING = """\
CPU of a new process until what a function needs is made, medians. Azure bills it at each start.
"""
PAGES = """\
A signed-in owner's page of one token: two calls to the simulator and one to Azurite, each in a
process of its own. Everything is what is deployed and each SDK that it may need.
"""
ROTATING = """\
50 owners click at once, each of them twice, for a new token on a page; one process for the service,
one for Azure DevOps, no latency, SQLite. The second click must make no second token.
"""
FLEET = """\
What administrators ask of a SQLite ledger that whole scans filled, each in a process of its own. A
page begins at the function, with reading its session, and ends with the HTML; signing in, Entra's
signature and the host are left out. A search looks at 15,000 tokens at most, then offers to go on.
"""
THROTTLING = """\
An hour of simulated time. Azure DevOps meters as `pat_core/local/metering.py` has it: 200 TSTU in a
sliding 5 minutes, then delays of up to 30 s, then 429. The calls go through our own sender, 16 at
once in each instance, 100 ms each. The budget of the hour is 12 windows.
"""
DRAINING = """\
Digests that became due at once, the least urgent first by name, to a mail provider that knows an
operation again; SQLite, simulated time, sending every five minutes. The ideal is the allowance.
"""
DAY = """\
One process of the local host, SQLite, 1,000 users with a token each, all timers on simulated time.
"""
Part = tuple[str, str, Callable[[], Iterator[str]]]


def parts(*, quick: bool) -> dict[str, Part]:
    rounds, few, many = (1, 40, 800) if quick else (3, 200, 4000)
    sizes = [Fleet(users, 10, 3) for users in ([1000, 10_000] if quick else FLEETS)]
    return {
        "reading": (
            "Reading every user's tokens",
            READING,
            lambda: reading(rounds, few, many),
        ),
        "memory": ("Scanning", MEMORY, lambda: memory(sizes)),
        "writes": ("Writing", WRITES, lambda: writes(1000 if quick else 10_000)),
        "storing": ("Table Storage", STORING, lambda: table_ledger(1 if quick else 5)),
        "starting": ("Starting", STARTING, lambda: starting(1 if quick else 7)),
        "throttling": (
            "Throttling",
            THROTTLING,
            lambda: throttling(
                [0.2] if quick else [0.01, 0.05, 0.2], timedelta(minutes=10 if quick else 60)
            ),
        ),
        "draining": (
            "Draining",
            DRAINING,
            lambda: draining(300 if quick else 10_000, 30, 100),
        ),
        "day": ("Days", DAY, lambda: a_day((1, 2) if quick else (1, 24, 48, 72), 1000)),
        "fleet": ("The fleet", FLEET, lambda: fleet(sizes[1:])),
        "rotating": ("Rotating", ROTATING, lambda: rotating(50, 1 if quick else 20)),
        "pages": ("Pages", PAGES, lambda: pages(1 if quick else 7)),
    }


def report(*, quick: bool, only: str) -> str:
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        "# Results",
        "",
        f"Taken by `make bench` on {datetime.now(UTC):%Y-%m-%d}, {machine}. The organization is",
        "served by another process on the same machine. Compare ratios, since machines are noisy.",
    ]
    for name, (title, text, taken) in parts(quick=quick).items():
        if only in ("", name):
            part = ["", f"## {title}", "", text, *taken()]
            # A run takes an hour, and a part that fails must not take the others with it.
            print("\n".join(part), flush=True)
            lines += part
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", choices=sorted(parts(quick=True)))
    parser.add_argument("--one-scan", nargs=2, metavar=("ADDRESS", "FOLDER"))
    parser.add_argument("--one-fleet", nargs=2, metavar=("FOLDER", "WAY"))
    asked = parser.parse_args()
    if asked.one_scan:
        one_scan(*asked.one_scan)
        return
    if asked.one_fleet:
        one_way(*asked.one_fleet)
        return
    text = report(quick=asked.quick, only=asked.only)
    if not asked.quick and not asked.only:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
