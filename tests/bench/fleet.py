"""The administrators' pages and exports over a ledger that a scan of the whole fleet filled."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from pat_core.bootstrap import Services, system_clock
from pat_core.export import csv_lines, json_lines
from pat_core.fleet import Query
from pat_core.listing import Listing
from pat_core.local.memory_queues import MemoryQueues
from pat_core.model import Organization
from pat_core.settings import Settings
from pat_core.web.administrators import Administrators
from pat_core.web.http import WebRequest
from tests.bench.measure import peak
from tests.bench.scanning import Fleet, filled
from tests.bench.server import ORGANIZATION

COMMAND: Final = [sys.executable, "-m", "tests.bench", "--one-fleet"]
AGAIN: Final = 9
NAME: Final = ORGANIZATION


def fleet(sizes: Sequence[Fleet]) -> Iterator[str]:
    """Each way in a process of its own, over what whole scans of each size left."""
    yield "| tokens | what | seconds | tokens/s | peak memory | to the start |"
    yield "|--:|---|--:|--:|--:|--:|"
    for size in sizes:
        folder = filled(size).folder
        first, listed = 0.0, one("count", folder)["tokens"]
        for way, (words, _) in WAYS.items():
            found = one(way, folder)
            first = first or found["mib"]
            rate = f"{found['tokens'] / found['seconds']:,.0f}" if found["tokens"] else ""
            seconds = f"{found['seconds']:.3f}" if found["seconds"] else ""
            yield (
                f"| {listed:,} | {words} | {seconds} | {rate} "
                f"| {found['mib']:.1f} MiB | {found['mib'] - first:+.1f} MiB |"
            )
            print(f"fleet: {listed:,} tokens: {words}: {seconds} s", flush=True)


def one(way: str, folder: str) -> Any:  # noqa: ANN401 - as it was printed
    """What one way took."""
    done = subprocess.run([*COMMAND, folder, way], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def one_way(folder: str, way: str) -> None:
    """Go one way over a filled ledger and print what it took; for a process of its own."""
    seconds, tokens = asyncio.run(_one(Path(folder), way))
    print(json.dumps({"seconds": seconds, "tokens": tokens, "mib": peak()}))


async def _one(folder: Path, way: str) -> tuple[float, int]:
    settings = Settings(admin_token=SecretStr("x")).model_copy(
        update={
            "organizations": (Organization(NAME, f"http://127.0.0.1:9/{NAME}"),),
            "local_dir": folder,
            "public_url": "https://pats.example",
            "tenant_id": "8f7f4f4e-3a52-4c39-9d1b-6f6a2d0d1d11",
            "client_id": "1b8a4e56-5a0e-4a8b-8f7e-0f5a5f3f8a22",
        }
    )
    async with Services(settings) as shared:
        shared.queues = MemoryQueues()
        return await WAYS[way][1](Asked(shared))


class Signed(Administrators):
    """Takes any session for an administrator's: no Entra is here that would have signed it."""

    async def claims(self, id_token: str) -> dict[str, Any]:
        """Who it is."""
        return {"oid": id_token, "name": "Ana"}


class Asked:
    """Asks as the functions do, signed in by a session of the ledger."""

    def __init__(self, shared: Services) -> None:
        self.shared, self.headers = shared, dict[str, str]()

    async def sign_in(self) -> None:
        """From here on an administrator asks."""
        session = {"bearer": "", "id_token": "x", "id": "x", "name": "Ana"}
        self.shared.administrators = Signed(system_clock, tenant="", client_id="")
        cookie = await self.shared.sessions.open(session)
        self.headers = {"cookie": cookie.partition(";")[0]}

    async def start(self) -> Took:
        """Nothing but one row."""
        await self.shared.fleet.kept(NAME)
        return 0.0, 0

    async def first(self) -> Took:
        """What the first request of a process costs, with all that it loads."""
        await self.sign_in()
        return await _timed(lambda: self.page({})), 0

    async def page(self, query: dict[str, str]) -> None:
        """One page of the report."""
        request = WebRequest("GET", "/report", self.headers, query)
        answer = await self.shared.admin_front.report(request)
        if answer.status != 200 or "<table" not in str(answer.body):
            raise AssertionError(answer)

    async def median(self, query: dict[str, str]) -> Took:
        """The same in a process that has answered before."""
        await self.sign_in()
        await self.page(query)
        samples = [await _timed(lambda: self.page(query)) for _ in range(AGAIN)]
        return sorted(samples)[AGAIN // 2], 0

    async def counted(self) -> Took:
        """The counts are kept for the pages, and taken once more."""
        await self.shared.fleet_keeping.keep()
        began = time.perf_counter()
        tally = await self.shared.fleet.count(NAME)
        return time.perf_counter() - began, tally.tokens

    async def exported(self) -> Took:
        """The whole fleet as a browser gets it."""
        await self.sign_in()
        request, began = WebRequest("GET", "/report/export.csv", self.headers), time.perf_counter()
        answer = await self.shared.admin_front.part(request, "export.csv")
        seconds = time.perf_counter() - began
        if answer.status != 200 or not isinstance(answer.body, bytes):
            raise AssertionError(answer)
        return seconds, _lines(answer.body) - 1

    async def written(self, lines: Callable[[AsyncIterator[Listing]], AsyncIterator[str]]) -> Took:
        """The whole fleet as the command writes it."""
        count, began = 0, time.perf_counter()
        async for line in lines(self.shared.fleet.stream(Query())):
            count += line.encode().count(b"\n")
        return time.perf_counter() - began, count - (lines is csv_lines)


Took = tuple[float, int]
"""The seconds, and how many tokens went by where that is not one page."""
WAYS: Final[dict[str, tuple[str, Callable[[Asked], Awaitable[Took]]]]] = {
    "start": ("a process that only opened the ledger", Asked.start),
    "first": ("first page of `/report`, first request of a process", Asked.first),
    "again": ("first page of `/report`, median", lambda it: it.median({})),
    "filtered": (
        "`/report?risk=full-access&sort=owner`, median",
        lambda it: it.median({"risk": "full-access", "sort": "owner"}),
    ),
    "search": (
        "a search that finds nothing, median",
        lambda it: it.median({"search": "nobody is called so"}),
    ),
    "count": ("counting, as a timer does once an hour", Asked.counted),
    "csv": ("CSV, as `report --csv` writes it", lambda it: it.written(csv_lines)),
    "jsonl": ("JSON lines, as `report --json` writes it", lambda it: it.written(json_lines)),
    "web": ("CSV from `/report/export.csv`, packed", Asked.exported),
}


def _lines(packed: bytes) -> int:
    """How many there are, unpacked a piece at a time, so that the peak is not the bench's own."""
    with gzip.open(BytesIO(packed)) as lines:
        return sum(1 for _ in lines)


async def _timed(work: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began
