"""Instances that share one identity, calling a metered Azure DevOps as fast as they are let."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import httpx
from pydantic import SecretStr

from function_app import app
from pat_core.azure_devops import wire
from pat_core.azure_devops.credential import PatCredential
from pat_core.azure_devops.pace import Pace
from pat_core.azure_devops.sending import FOR_A_SCAN, Sender
from pat_core.bootstrap import Services, sharing
from pat_core.errors import AzureDevOpsError, Throttled
from pat_core.local.host import Host
from pat_core.local.memory_queues import MemoryQueues
from pat_core.local.metering import LIMIT, WINDOW, Metering
from pat_core.local.simulator import Simulator, create_app
from pat_core.local.world import World
from pat_core.model import Organization
from pat_core.run_log import RunLog
from pat_core.settings import Settings
from tests.fakes import NOW
from tests.simulation.storage import MemoryStore
from tests.simulation.virtual import clock

CONCURRENCY = 16
LATENCY = 0.1
PLACE = Organization("contoso")


@dataclass
class Metered(httpx.AsyncBaseTransport):
    """Answers each call after a while, or later, or not at all, as its budget has it."""

    metering: Metering
    draw: Random

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """An empty list of tokens."""
        charge = self.metering.charge()
        await asyncio.sleep(LATENCY * (0.5 + self.draw.random()) + charge.delay)
        if charge.is_refused:
            return httpx.Response(429, headers=dict(charge.headers), json={})
        return httpx.Response(200, headers=dict(charge.headers), json={"value": []})


@dataclass(frozen=True)
class Hour:
    """What two instances made of some time: calls, and shares of one."""

    calls: int
    refused: int
    delayed: int
    used: float


async def instance(transport: Metered, until: float) -> None:
    """A process that calls until the time is over."""
    loop = asyncio.get_running_loop()
    sender = Sender(
        transport,
        PatCredential(SecretStr("x")),
        Pace(clock=clock, sleep=asyncio.sleep, most=CONCURRENCY),
        clock=clock,
        sleep=asyncio.sleep,
        jitter=transport.draw.random,
        patience=FOR_A_SCAN,
    )

    async def work() -> None:
        while loop.time() < until:
            try:
                await sender.reply(wire.list_tokens(PLACE, "aad.x"))
            except Throttled as throttled:
                await asyncio.sleep(throttled.seconds)
            except AzureDevOpsError as fault:
                raise AssertionError from fault

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


async def spend(cost: float, span: timedelta, instances: int = 2) -> Hour:
    """What instances make of the budget in a time; `cost` is TSTU for each call.

    At first a whole window's budget is there, so what is used is compared with the windows that
    fit into the time.
    """
    metering = Metering(clock, cost)
    transport = Metered(metering, Random(0))  # noqa: S311 - a simulation
    seconds = span.total_seconds()
    async with asyncio.TaskGroup() as group:
        for _ in range(instances):
            group.create_task(instance(transport, seconds))
    there = LIMIT * span / WINDOW
    return Hour(metering.calls, metering.refused, metering.delayed, metering.spent / there)


@dataclass(frozen=True)
class LongScan:
    """A scan under metering: what it called, and what the same calls without metering."""

    calls: int
    needed: int
    refused: int
    took: timedelta
    complete: bool


async def long_scan(cost: float, users: int) -> LongScan:
    """Scan an organization through the functions with a budget, and once more without."""
    metered = Simulator(World(NOW, users=users), secret="x", metering=Metering(clock, cost))
    free = Simulator(World(NOW, users=users), secret="x")
    began = clock()
    complete = await _scanned(metered)
    took = clock() - began
    await _scanned(free)
    refused = metered.metering.refused if metered.metering else 0
    return LongScan(metered.calls, free.calls, refused, took, complete)


async def _scanned(simulator: Simulator) -> bool:
    name = simulator.world.organization
    place = Organization(name, f"http://simulated/{name}")
    shared = Services(Settings(organizations=(place,), admin_token=SecretStr("x")), clock)
    shared._transport = httpx.ASGITransport(create_app(simulator))
    shared.store, shared.queues = MemoryStore(), MemoryQueues()
    async with sharing(shared):
        host = Host(app, shared.queues, clock)
        await host.fire("plan_scan")
        await host.drain()
        newest, *_ = await RunLog(shared.store, clock).recent(name)
    return newest.complete
