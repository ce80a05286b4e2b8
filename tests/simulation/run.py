"""Runs the real functions through a history, in processes that die and services that fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID

from function_app import app
from pat_core.acts import Acts
from pat_core.book import Book
from pat_core.bootstrap import Services
from pat_core.delivery import Outlet
from pat_core.errors import PatWardenError
from pat_core.expiry import DEFAULT_WINDOWS_DAYS
from pat_core.local.host import Host
from pat_core.model import Organization, Owner, Token
from pat_core.rotation import Rotator, Wish
from pat_core.rows import RUNS
from pat_core.run_log import RunLog
from pat_core.settings import Settings
from pat_core.summarize import Watch
from tests.fakes import NOW, FakeMeter
from tests.simulation.fate import Died, Fate
from tests.simulation.history import Kind, Step
from tests.simulation.outside import AzureDevOps, Hands, Mail, Queues, Storage, Vault, World
from tests.simulation.storage import VISIBLE_AGAIN, MemoryStore, SimulatedQueues

PLACE = Organization("contoso")
SETTINGS = Settings(organizations=(PLACE,))
RATES = (0.0, 0.0, 0.01, 0.05, 0.2)
"""How often something goes wrong in a step: in two of five, never."""
SCOPES = ("vso.code", "vso.code_write", "vso.packaging", "app_token")
_SHARED: ContextVar[Services] = ContextVar("what the functions of one process share")


class _Processes:
    """Where a process keeps what its functions share, for several in one event loop."""

    def __getitem__(self, _: int) -> Services:
        return _SHARED.get()


@dataclass
class Simulation:
    """One organization and one service; `wrong` collects what should never have been seen."""

    now: datetime = NOW
    store: MemoryStore = field(default_factory=MemoryStore)
    queues: SimulatedQueues = field(init=False)
    world: World = field(init=False)
    hits: Counter[str] = field(default_factory=Counter)
    crossed: set[str] = field(default_factory=set)
    excused: set[tuple[str, datetime]] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)
    crashes: list[str] = field(default_factory=list)
    unsent: set[str] = field(default_factory=set)
    overstated: list[str] = field(default_factory=list)
    _runs: dict[str, tuple[int, set[str]]] = field(default_factory=dict)
    _known_complete: set[str] = field(default_factory=set)
    _number: int = 0

    def __post_init__(self) -> None:
        calm = Fate(Random(0))  # noqa: S311 - a simulation
        self.world = World(self.clock, calm)
        self.queues = SimulatedQueues(self.clock, Random(0))  # noqa: S311 - a simulation

    def clock(self) -> datetime:
        """The simulated time."""
        return self.now

    async def play(self, steps: Sequence[Step]) -> None:
        """Let a history happen."""
        for step in steps:
            draw = step.draw
            rate = draw.choice(RATES)
            with self._named(draw):
                await self._step(step.kind, draw, rate)

    async def calm_down(self) -> datetime:
        """Let three days pass without a fault; gives the time of the last scan.

        `unsent` then holds whom nobody could tell, as ops were told on one of these days.
        """
        draw = Random(1)  # noqa: S311 - a simulation
        last = self.now
        with self._named(draw):
            for _ in range(3):
                self.now += VISIBLE_AGAIN
                await self._step(Kind.DRAIN, draw, 0)
                last = self.now
                await self._step(Kind.SCAN, draw, 0)
                await self._step(Kind.DRAIN, draw, 0)
                for _ in range(4):
                    await self._step(Kind.SEND, draw, 0)
                    told = await self._watch.summarize(self.queues)
                    self.unsent.update((*told.unsent, *told.stuck))
                    await self._step(Kind.FINISH, draw, 0)
                    self.now += timedelta(hours=5, minutes=45)
        return last

    async def _step(self, kind: Kind, draw: Random, rate: float) -> None:
        if kind in _IN_THE_WORLD:
            _IN_THE_WORLD[kind](self, draw)
            return
        before = len(self.world.reads), set(self.world.people)
        fate = Fate(draw, rate, self.hits, self.crossed)
        self.world.fate, self.queues.draw = fate, draw
        self.queues.twice = rate
        kinds = [kind]
        if rate and draw.random() < 0.2:
            kinds.append(kind)
        if rate and draw.random() < 0.2:
            kinds.append(draw.choice((*_BY_TIMERS, *_BY_OWNERS)))
        await self._at_once([self._work(each, fate, draw) for each in kinds])
        await self._look_at_runs(before)

    def _work(self, kind: Kind, fate: Fate, draw: Random) -> Coroutine[Any, Any, None]:
        if kind in _BY_OWNERS:
            return _BY_OWNERS[kind](self, draw)
        return self._by_timer(kind, fate)

    async def _look_at_runs(self, before: tuple[int, set[str]]) -> None:
        """6: a run that says that it is complete has read everybody who was there all along."""
        log = RunLog(self.store, self.clock)
        for run_id in list(self.store.tables.get((RUNS, PLACE.name), {})):
            run = await log.report(PLACE.name, run_id)
            if run is None or run_id in self._known_complete:
                continue
            start, people = self._runs.setdefault(run.run_id, before)
            read = {who for who, _ in self.world.reads[start:]}
            if not run.complete:
                continue
            self._known_complete.add(run.run_id)
            missed, counted = sorted(people - read), run.coverage.users - run.coverage.gone
            if missed:
                self.overstated.append(f"6: run {run_id} did not read {missed}")
            if counted > len(read):
                self.overstated.append(f"6: run {run_id} counts {counted} users of {len(read)}")

    async def _at_once(self, works: Sequence[Coroutine[Any, Any, None]]) -> None:
        """All at the same time; what a process that died leaves behind is stopped."""
        before = asyncio.all_tasks()
        for ended in await asyncio.gather(*works, return_exceptions=True):
            if not isinstance(ended, PatWardenError | Died | None):
                self.crashes.append(f"{type(ended).__name__}: {ended}")
        left = asyncio.all_tasks() - before
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _by_timer(self, kind: Kind, fate: Fate) -> None:
        """In a process of its own, so that two at once are two instances."""
        async with self._process(fate) as host:
            await _BY_TIMERS[kind](host)

    @asynccontextmanager
    async def _process(self, fate: Fate) -> AsyncIterator[Host]:
        """A new process of the function app."""
        shared = Services(SETTINGS, self.clock, {"email": Outlet(Mail(self.world))})
        shared.store = Storage(self.store, fate)
        shared.queues = queues = Queues(self.queues, fate)
        shared.meter = FakeMeter()
        shared.azure_devops = AzureDevOps(self.world)  # type: ignore[assignment] # simulated
        shared.vault = Vault(self.world)
        host = Host(app, queues, self.clock)
        _SHARED.set(shared)
        try:
            async with shared:
                yield host
        finally:
            self.crashes += [
                f"{type(each).__name__}: {each}"
                for each in host.failures
                if not isinstance(each, PatWardenError)
            ]

    @contextmanager
    def _named(self, draw: Random) -> Iterator[None]:
        """Names that would be random are drawn as well."""

        def name() -> UUID:
            return UUID(int=draw.getrandbits(128), version=4)

        with (
            patch("pat_core.runs.uuid4", name),
            patch("pat_core.trail.uuid4", name),
            patch("pat_core.bootstrap._made", _Processes()),
        ):
            yield

    def is_excused(self, authorization_id: str) -> bool:
        """True where nobody need be told: its owner decided so, or has another that lives."""
        children = (new for new, old in self.world.parents.items() if old == authorization_id)
        _, token = self.world.find(authorization_id)
        decided = (authorization_id, token.valid_to) in self.excused
        return decided or any(map(self._is_used, children))

    def _is_used(self, new: str) -> bool:
        """True for a new token that its owner has, or has replaced in turn."""
        _, token = self.world.find(new)
        _, old = self.world.find(self.world.parents[new])
        # Once the old one has ended by itself, what becomes of the new one is another matter.
        lives = (token.is_valid and token.valid_to > self.now) or old.valid_to <= self.now
        kept = {each.authorization_id for each in chain(*self.world.vault.values())}
        is_in_hand = self.world.parents[new] in self.confirmed or new in kept
        was_rotated = new in self.world.parents.values()
        return (is_in_hand or was_rotated) and (lives or self.is_excused(new))

    # What happens in the organization.

    def wait(self, draw: Random) -> None:
        """Time passes; once in a while the clock is put back."""
        spans = (
            timedelta(minutes=draw.randrange(1, 30)),
            timedelta(hours=draw.randrange(1, 24)),
            timedelta(days=draw.randrange(1, 9)),
            timedelta(minutes=-draw.randrange(1, 5)),
        )
        self.now += draw.choices(spans, (5, 4, 3, 1))[0]

    def join(self, draw: Random) -> None:
        """Somebody new, or who left before."""
        gone = sorted(set(self.world.tokens) - set(self.world.people))
        name = draw.choice(gone) if gone and draw.random() < 0.3 else f"aad.{self._next():03d}"
        address = "" if draw.random() < 0.1 else f"{name}@contoso.example"
        self.world.people[name] = Owner("contoso", name, f"User {name}", address)
        self.world.tokens.setdefault(name, {})

    def leave(self, draw: Random) -> None:
        """Somebody leaves, and with them all that they have."""
        if len(self.world.people) > 1:
            name = draw.choice(sorted(self.world.people))
            del self.world.people[name]
            for _, there in self._runs.values():
                there.discard(name)

    def create(self, draw: Random) -> None:
        """A token that dies soon or late."""
        if not self.world.people:
            return
        name = f"token-{self._next()}"
        age = timedelta(days=draw.randrange(90))
        left = timedelta(hours=draw.choice((12, 40, 100, 300, 600, 1000)) + draw.randrange(24))
        token = Token(name, name, draw.choice(SCOPES), self.now - age, self.now + left)
        self.world.put(draw.choice(sorted(self.world.people)), token)

    def lengthen(self, draw: Random) -> None:
        """A token lives longer."""
        if found := self._any(draw):
            owner, token = found
            later = token.valid_to + timedelta(days=draw.randrange(1, 60))
            changed = Token(
                token.authorization_id, token.display_name, token.scope, token.valid_from, later
            )
            self.world.put(owner.subject_descriptor, changed)

    def end(self, draw: Random) -> None:
        """A token is revoked behind the service's back."""
        if found := self._any(draw):
            self.world.end(found[1].authorization_id)

    # What owners do by the service.

    async def rotate(self, draw: Random) -> None:
        """A new token for an old one; its owner has the new one once it was shown."""
        if not (found := self._any(draw)):
            return
        owner, old = found
        hours = draw.choice((0, 1, 24, 40))  # over before the calm days are
        # No two ask for the same second, as no two people do.
        lifetime = timedelta(days=90, minutes=self._next())
        wish = Wish(lifetime, timedelta(hours=hours), to_vault=draw.random() < 0.5)
        hands = Hands(self.world, owner, replaces=old.authorization_id)
        done = await self._rotator.rotate(hands, PLACE, old.authorization_id, wish)
        if done.secret:
            self.world.handed.add(done.rotation.new_id)

    async def confirm(self, draw: Random) -> None:
        """An owner who was shown a new token has stored it."""
        shown = sorted({self.world.parents[new] for new in self.world.handed})
        if found := self._one_of(shown, draw):
            owner, old = found
            self.confirmed.add(old.authorization_id)
            await self._rotator.confirm(Hands(self.world, owner), PLACE, old.authorization_id)

    async def withdraw(self, draw: Random) -> None:
        """An owner does not have the new token."""
        old = sorted(set(self.world.parents.values()))
        if found := self._one_of(old, draw):
            owner, token = found
            await self._rotator.withdraw(Hands(self.world, owner), PLACE, token.authorization_id)
            self.world.handed -= {
                new
                for new, parent in self.world.parents.items()
                if parent == token.authorization_id
            }

    async def extend(self, draw: Random) -> None:
        """A token lives longer."""
        if found := self._any(draw):
            owner, token = found
            hands = Hands(self.world, owner)
            await self._acts.extend(hands, PLACE, token.authorization_id, timedelta(days=90))

    async def revoke(self, draw: Random) -> None:
        """A token is over."""
        if found := self._any(draw):
            owner, token = found
            await self._acts.revoke(Hands(self.world, owner), PLACE, token.authorization_id)

    async def snooze(self, draw: Random) -> None:
        """A reminder later."""
        if found := self._any(draw):
            owner, token = found
            self.excused.add((token.authorization_id, token.valid_to))
            hands = Hands(self.world, owner)
            await self._acts.snooze(hands, PLACE, token.authorization_id, draw.randrange(1, 20))

    async def let_expire(self, draw: Random) -> None:
        """No reminder any more."""
        if found := self._any(draw):
            owner, token = found
            self.excused.add((token.authorization_id, token.valid_to))
            await self._acts.let_expire(Hands(self.world, owner), PLACE, token.authorization_id)

    @property
    def _book(self) -> Book:
        return Book(Storage(self.store, self.world.fate), self.clock)

    @property
    def _watch(self) -> Watch:
        return Watch(self.store, self.clock, (PLACE,), DEFAULT_WINDOWS_DAYS)

    @property
    def _rotator(self) -> Rotator:
        return Rotator(self._book, Vault(self.world))

    @property
    def _acts(self) -> Acts:
        return Acts(self._book, DEFAULT_WINDOWS_DAYS)

    def _any(self, draw: Random) -> tuple[Owner, Token] | None:
        alive = [
            (self.world.people[descriptor], token)
            for descriptor in sorted(self.world.people)
            for token in self.world.listed(descriptor)
            if token.is_valid and token.valid_to > self.now
        ]
        return draw.choice(alive) if alive else None

    def _one_of(self, ids: Sequence[str], draw: Random) -> tuple[Owner, Token] | None:
        found = [(*self.world.find(each),) for each in ids]
        present = [
            (self.world.people[descriptor], token)
            for descriptor, token in found
            if descriptor in self.world.people
        ]
        return draw.choice(present) if present else None

    def _next(self) -> int:
        self._number += 1
        return self._number


async def _scan(host: Host) -> None:
    await host.fire("plan_scan")
    await host.drain()


_IN_THE_WORLD: dict[Kind, Callable[[Simulation, Random], None]] = {
    Kind.WAIT: Simulation.wait,
    Kind.JOIN: Simulation.join,
    Kind.LEAVE: Simulation.leave,
    Kind.CREATE: Simulation.create,
    Kind.LENGTHEN: Simulation.lengthen,
    Kind.END: Simulation.end,
}
_BY_OWNERS: dict[Kind, Callable[[Simulation, Random], Coroutine[Any, Any, None]]] = {
    Kind.ROTATE: Simulation.rotate,
    Kind.CONFIRM: Simulation.confirm,
    Kind.WITHDRAW: Simulation.withdraw,
    Kind.EXTEND: Simulation.extend,
    Kind.REVOKE: Simulation.revoke,
    Kind.SNOOZE: Simulation.snooze,
    Kind.LET_EXPIRE: Simulation.let_expire,
}
_BY_TIMERS: dict[Kind, Callable[[Host], Coroutine[Any, Any, None]]] = {
    Kind.SCAN: _scan,
    Kind.DRAIN: Host.drain,
    Kind.SEND: lambda host: host.fire("send_digests"),
    Kind.FINISH: lambda host: host.fire("finish_rotations"),
    Kind.SUMMARIZE: lambda host: host.fire("summarize"),
}
