"""The whole service under test: the real functions and ledger, with a fake Azure DevOps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from starlette.applications import Starlette

from function_app import app
from pat_core.bootstrap import Services, sharing
from pat_core.delivered import Delivered
from pat_core.delivery import Outlet, Sender
from pat_core.expiry import DEFAULT_WINDOWS_DAYS
from pat_core.local.host import Host
from pat_core.local.memory_queues import MemoryQueues
from pat_core.local.serving import serving
from pat_core.model import Organization, Owner, Token
from pat_core.ports import Queues, Store
from pat_core.routes import Route
from pat_core.rows import RUNS
from pat_core.run_log import RunLog
from pat_core.run_records import RunReport
from pat_core.settings import Settings
from pat_core.summarize import Watch
from pat_core.summary import Summary
from tests.fakes import FakeAzureDevOps, FakeChannel, FakeMeter, FakeTime

CONTOSO = Organization("contoso")


@dataclass
class Service:
    """An organization, a ledger and a channel, with a clock that can be moved."""

    store: Store
    time: FakeTime
    azure_devops: FakeAzureDevOps = field(default_factory=FakeAzureDevOps)
    organizations: Sequence[Organization] = (CONTOSO,)
    routes: Sequence[Route] = ()
    dry_run: bool = False
    memory: MemoryQueues = field(default_factory=lambda: MemoryQueues(retry_after=0))
    meter: FakeMeter = field(default_factory=FakeMeter)
    channel: FakeChannel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = FakeChannel(self.time.clock)

    @property
    def outlets(self) -> dict[str, Outlet]:
        return {"outbox": Outlet(self.channel)}

    def owns(self, owner: Owner, *tokens: Token) -> None:
        if owner not in self.azure_devops.users:
            self.azure_devops.users.append(owner)
        self.azure_devops.owned[owner.subject_descriptor] = list(tokens)

    @asynccontextmanager
    async def host(
        self, store: Store | None = None, queues: Queues | None = None
    ) -> AsyncIterator[Host]:
        """The functions, over this ledger and these queues or over what stands in front of them."""
        settings = Settings(
            organizations=tuple(self.organizations),
            routes=tuple(self.routes),
            dry_run=self.dry_run,
        )
        shared = Services(settings, self.time.clock, self.outlets)
        shared.store = store or self.store
        shared.queues = queues or self.memory
        shared.meter = self.meter
        shared.azure_devops = self.azure_devops  # type: ignore[assignment] # a stand-in
        async with sharing(shared):
            yield Host(app, self.memory, self.time.clock)

    async def scan(
        self, store: Store | None = None, organization: Organization = CONTOSO
    ) -> RunReport:
        """What a run of one organization came to."""
        self.organizations = (organization,)
        before = set(await self.keys(RUNS, organization.name))
        async with self.host(store) as host:
            await host.fire("plan_scan")
            await host.drain()
        (run_id,) = set(await self.keys(RUNS, organization.name)) - before
        report = await RunLog(self.store, self.time.clock).report(organization.name, run_id)
        assert report
        return report

    async def newest(self, organization: Organization = CONTOSO) -> RunReport:
        """The newest run of an organization, as the ledger shows it."""
        return (await RunLog(self.store, self.time.clock).recent(organization.name))[0]

    async def summary(self) -> Summary:
        """What ops would be told now."""
        watch = Watch(self.store, self.time.clock, self.organizations, DEFAULT_WINDOWS_DAYS)
        return await watch.summarize(self.memory)

    async def send(self, store: Store | None = None) -> Delivered:
        return await Sender(store or self.store, self.outlets, self.time.clock, 100).send_due()

    async def run(self) -> list[tuple[str, str, int]]:
        """Scan and send; gives what was told that had not been told before."""
        before = len(self.channel.told())
        await self.scan()
        await self.send()
        return self.channel.told()[before:]

    async def keys(self, table: str, partition: str) -> list[str]:
        return [row.key async for row in self.store.rows(table, partition)]


@asynccontextmanager
async def reached(host: Host) -> AsyncIterator[httpx.AsyncClient]:
    """A client that calls the HTTP functions of a host over loopback."""
    async with serving(Starlette(routes=host.routes())) as address:
        async with httpx.AsyncClient(base_url=address) as http:
            yield http
