"""Ways to read every user's tokens: what others do, what we do, and what the transport allows.

Each takes the address of the server and how many calls may be under way, and gives how many users
were read.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp
import httpx
import requests
from pydantic import SecretStr

from function_app import app
from pat_core.bootstrap import Services, sharing
from pat_core.local.host import Host
from pat_core.local.memory_queues import MemoryQueues
from pat_core.model import Organization
from pat_core.ports import Store
from pat_core.rows import Change
from pat_core.run_log import RunLog
from pat_core.settings import Settings
from tests.bench.server import ORGANIZATION

AUTHORIZATION = {"Authorization": "Basic Ong=", "Accept": "application/json"}
USERS = "_apis/graph/users?subjectTypes=aad,msa&api-version=7.1-preview.1"
TOKENS = "_apis/tokenadmin/personalaccesstokens/{}?isPublic=false&api-version=7.1-preview.1"


ROWS: Counter[str] = Counter()
"""How many rows of each table the last whole scan wrote, and how many tokens it saw."""


class Counted:
    """A store that counts the rows that are written."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.rows, self.row = inner.rows, inner.row

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        ROWS[table] += len(changes)
        return await self._inner.write(table, changes)


def one_at_a_time(address: str, _: int) -> int:
    """`requests`, one call after the other, as the community's scripts do."""
    base = f"{address}/{ORGANIZATION}"
    with requests.Session() as session:
        session.headers.update(AUTHORIZATION)
        descriptors: list[str] = []
        after: str | None = ""
        while after is not None:
            page = session.get(
                f"{base}/{USERS}", params={"continuationToken": after} if after else {}
            )
            descriptors += [user["descriptor"] for user in page.json()["value"]]
            after = page.headers.get("X-MS-ContinuationToken")
        for descriptor in descriptors:
            session.get(f"{base}/{TOKENS.format(descriptor)}").json()["value"]
    return len(descriptors)


def azure_devops_sdk(address: str, _: int) -> int:
    """Microsoft's `azure-devops` package: one call after the other too."""
    os.environ.setdefault("AZURE_DEVOPS_CACHE_DIR", tempfile.mkdtemp())
    # Imported here, since where it keeps its cache is read at import.
    from azure.devops.v7_1.token_admin.token_admin_client import TokenAdminClient
    from msrest.authentication import BasicAuthentication

    client = TokenAdminClient(address, BasicAuthentication("", "x"))
    with httpx.Client(base_url=f"{address}/{ORGANIZATION}/", headers=AUTHORIZATION) as http:
        descriptors: list[str] = []
        after: str | None = ""
        while after is not None:
            page = http.get(USERS + (f"&continuationToken={after}" if after else ""))
            descriptors += [user["descriptor"] for user in page.json()["value"]]
            after = page.headers.get("X-MS-ContinuationToken")
    for descriptor in descriptors:
        client.list_personal_access_tokens(descriptor, is_public=False)
    return len(descriptors)


async def _all(
    descriptors: list[str], concurrency: int, read: Callable[[str], Awaitable[object]]
) -> None:
    room = asyncio.Semaphore(concurrency)

    async def one(descriptor: str) -> None:
        async with room:
            await read(descriptor)

    await asyncio.gather(*(one(descriptor) for descriptor in descriptors))


def bare_aiohttp(address: str, concurrency: int) -> int:
    """aiohttp alone: what the transport costs and nothing else."""

    async def run() -> int:
        base = f"{address}/{ORGANIZATION}"
        connector = aiohttp.TCPConnector(limit=concurrency)
        async with aiohttp.ClientSession(connector=connector, headers=AUTHORIZATION) as http:

            async def read(descriptor: str) -> None:
                async with http.get(f"{base}/{TOKENS.format(descriptor)}") as reply:
                    json.loads(await reply.read())["value"]

            descriptors: list[str] = []
            after: str | None = ""
            while after is not None:
                more = f"&continuationToken={after}" if after else ""
                async with http.get(f"{base}/{USERS}{more}") as reply:
                    page = json.loads(await reply.read())
                    after = reply.headers.get("X-MS-ContinuationToken")
                descriptors += [user["descriptor"] for user in page["value"]]
            await _all(descriptors, concurrency, read)
            return len(descriptors)

    return asyncio.run(run())


def stock_httpx(address: str, concurrency: int) -> int:
    """Our own client over httpx' own transport."""
    return _ours(address, concurrency, stock=True)


def ours(address: str, concurrency: int) -> int:
    """Our client: signed, paced, parsed and checked; no ledger."""
    return _ours(address, concurrency)


def _ours(address: str, concurrency: int, *, stock: bool = False) -> int:
    async def run() -> int:
        there = Organization(ORGANIZATION, f"{address}/{ORGANIZATION}")
        async with Services(_settings(concurrency)) as services:
            client = services.azure_devops
            if stock:
                limits = httpx.Limits(max_connections=concurrency)
                client._transport = httpx.AsyncHTTPTransport(limits=limits)
            descriptors = [
                owner.subject_descriptor
                async for page in client.user_pages(there)
                for owner in page.owners
            ]
            await _all(descriptors, 4 * concurrency, lambda each: client.tokens(there, each))
            if stock:
                await client._transport.aclose()
            return len(descriptors)

    return asyncio.run(run())


def whole_scan(address: str, concurrency: int) -> int:
    """All of `scan` through the functions: queues, rules, every change written to SQLite."""

    with tempfile.TemporaryDirectory() as folder:
        return scan_into(Path(folder), address, concurrency)


def scan_into(folder: Path, address: str, concurrency: int) -> int:
    """The same, with a ledger that is left in a folder."""

    async def run() -> int:
        there = Organization(ORGANIZATION, f"{address}/{ORGANIZATION}")
        given = {"organizations": (there,), "local_dir": folder}
        settings = _settings(concurrency).model_copy(update=given)
        queues = MemoryQueues()
        shared = Services(settings)
        shared.queues = queues
        shared.store = Counted(shared.store)
        async with sharing(shared):
            host = Host(app, queues, shared.clock)
            await host.fire("plan_scan")
            await host.drain()
            (report,) = await RunLog(shared.store, shared.clock).recent(ORGANIZATION)
        assert report.complete, report
        ROWS["tokens"] = report.coverage.tokens
        return report.coverage.users

    return asyncio.run(run())


def _settings(concurrency: int) -> Settings:
    return Settings(admin_token=SecretStr("x"), max_concurrency=concurrency)
