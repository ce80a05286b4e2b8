"""Whole days of timers on simulated time, and a great many digests at once."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

from function_app import app
from pat_core.allowance import Allowance
from pat_core.bootstrap import Services, sharing
from pat_core.delivery import Outlet
from pat_core.local.demo import schedules_of
from pat_core.local.host import Host
from pat_core.local.memory_queues import MemoryQueues
from pat_core.model import Organization, Owner, Token
from pat_core.settings import Settings
from tests.fakes import NOW
from tests.simulation.fate import Fate
from tests.simulation.outside import AzureDevOps, Mail, Vault, World
from tests.simulation.virtual import clock, run

PLACE = Organization("contoso")
HOUR = 3600.0


class Held(NamedTuple):
    """What a process holds: MiB, open files and sockets, tasks."""

    mib: float
    files: int
    tasks: int


def a_day(hours: tuple[int, ...], users: int) -> Iterator[str]:
    """What a process holds after so many hours of its timers."""
    yield "| simulated hours | scans and sendings | memory | open files | tasks |"
    yield "|--:|--:|--:|--:|--:|"
    with TemporaryDirectory() as folder:
        for hour, fired, held in run(_hours(Path(folder), hours, users)):
            yield f"| {hour} | {fired} | {held.mib:.1f} MiB | {held.files} | {held.tasks} |"


def draining(mails: int, a_minute: int, an_hour: int) -> Iterator[str]:
    """How mails leave that became due at once, within an allowance."""
    yield "| digests | allowance | simulated time | to the ideal | told twice | out of order |"
    yield "|--:|---|--:|--:|--:|--:|"
    with TemporaryDirectory() as folder:
        world, spent = run(_drained(Path(folder), mails, Allowance(a_minute, an_hour)))
    sent = [digest for _, digest in world.mails.values()]
    # The first hour's allowance may leave at once.
    ideal = timedelta(hours=mails / an_hour - 1)
    urgencies = [min(notice.window for notice in digest.notices) for digest in sent]
    disorder = sum(one > two for one, two in pairwise(urgencies))
    twice = len(sent) - len({digest.recipient for digest in sent})
    yield (
        f"| {len(sent):,} | {a_minute} a minute, {an_hour} an hour | {spent} "
        f"| {spent / ideal:.3f} | {twice} | {disorder} |"
    )


def _world(users: int) -> World:
    """Everybody owns one token; the more urgent ones come last in the order of names."""
    world = World(clock, Fate(Random(0)))  # noqa: S311 - a simulation
    for number in range(users):
        name = f"aad.{number:06d}"
        left = timedelta(days=(25, 10, 5, 2, 0.5)[number * 5 // users])
        world.people[name] = Owner("contoso", name, name, f"{name}@contoso.example")
        token = Token(name, name, "vso.code", NOW - timedelta(days=90), NOW + left)
        world.put(name, token)
    return world


def _services(folder: Path, world: World, allowance: Allowance) -> Services:
    settings = Settings(organizations=(PLACE,), local_dir=folder)
    shared = Services(settings, clock, {"email": Outlet(Mail(world), allowance)})
    shared.queues = MemoryQueues()
    shared.azure_devops = AzureDevOps(world)  # type: ignore[assignment] # simulated
    shared.vault = Vault(world)
    return shared


async def _hours(folder: Path, hours: tuple[int, ...], users: int) -> list[tuple[int, int, Held]]:
    world, found = _world(users), list[tuple[int, int, Held]]()
    shared = _services(folder, world, Allowance())
    async with sharing(shared):
        host = Counting(app, shared.queues, clock, schedules_of(shared.settings))  # type: ignore[arg-type] # in memory
        ticking = asyncio.create_task(host.tick())
        for hour in hours:
            await asyncio.sleep(hour * HOUR - asyncio.get_running_loop().time())
            world.reads.clear()
            found.append((hour, host.fired, _held()))
        ticking.cancel()
    return found


async def _drained(folder: Path, mails: int, allowance: Allowance) -> tuple[World, timedelta]:
    world = _world(mails)
    shared = _services(folder, world, allowance)
    async with sharing(shared):
        host = Host(app, shared.queues, clock)  # type: ignore[arg-type] # in memory
        await host.fire("plan_scan")
        await host.drain()
        began = clock()
        while len(world.mails) < mails:
            await host.fire("send_digests")
            await asyncio.sleep(300)
    return world, clock() - began


class Counting(Host):
    """Counts how often a timer fired."""

    fired = 0

    async def fire(self, name: str, *, past_due: bool = False) -> None:
        """Run a timer function now."""
        self.fired += 1
        await super().fire(name, past_due=past_due)


def _held() -> Held:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    mib = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return Held(mib, len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks()))
