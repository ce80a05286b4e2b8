"""Table and queue storage in memory, on simulated time: the contracts, and nothing that waits."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from random import Random

from pat_core.errors import Conflict
from pat_core.local.memory_queues import MOST_DEQUEUED, Taken
from pat_core.messages import POISON
from pat_core.ports import Waiting
from pat_core.rows import Change, Row, Verb, check_transaction

VISIBLE_AGAIN = timedelta(minutes=10)
"""After this a message comes again whose reader died."""


@dataclass
class MemoryStore:
    """Implements the port Store."""

    tables: dict[tuple[str, str], dict[str, Row]] = field(default_factory=dict)
    _keys: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _version: count[int] = field(default_factory=lambda: count(1))

    async def rows(
        self, table: str, partition: str, *, after: str = "", before: str = ""
    ) -> AsyncIterator[Row]:
        """Every row between two keys, as they are now."""
        found = self.tables.get((table, partition), {})
        keys = self._keys.get((table, partition), [])
        end = bisect_left(keys, before) if before else len(keys)
        for key in keys[bisect_right(keys, after) : end]:
            if key in found:
                yield found[key]

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        """One row, or None."""
        return self.tables.get((table, partition), {}).get(key)

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        """All of the changes, or none."""
        check_transaction(changes)
        if not changes:
            return []
        name = (table, changes[0].row.partition)
        place, keys = self.tables.setdefault(name, {}), self._keys.setdefault(name, [])
        for change in changes:
            self._check(place.get(change.row.key), change)
        return [self._apply(place, keys, change) for change in changes]

    def _check(self, known: Row | None, change: Change) -> None:
        match change.verb:
            case Verb.INSERT if known:
                raise Conflict(f"{change.row.key} exists.")
            case Verb.REPLACE | Verb.DELETE if not known or known.version != change.row.version:
                raise Conflict(f"{change.row.key} was changed.")
            case _:
                pass

    def _apply(self, place: dict[str, Row], keys: list[str], change: Change) -> str:
        key = change.row.key
        if change.verb in (Verb.DELETE, Verb.REMOVE):
            if place.pop(key, None):
                keys.pop(bisect_left(keys, key))
            return ""
        if key not in place:
            insort(keys, key)
        version = str(next(self._version))
        place[key] = replace(change.row, version=version)
        return version


@dataclass
class SimulatedQueues:
    """Implements the host's Source: at least once, in any order, sometimes twice, sometimes late.

    A message stays until somebody says that it is done.
    """

    clock: Callable[[], datetime]
    draw: Random
    twice: float = 0.0
    standing: dict[int, tuple[datetime, Taken]] = field(default_factory=dict)
    _number: count[int] = field(default_factory=count)

    async def send(self, queue: str, message: str, *, delay: float = 0) -> None:
        """Put a message on a queue, perhaps twice."""
        for _ in range(2 if self.draw.random() < self.twice else 1):
            self._put(Taken(queue, message, 0), timedelta(seconds=delay))

    async def waiting(self, queue: str) -> Waiting:
        """All that stands there."""
        found = [taken.body for _, taken in self.standing.values() if taken.queue == queue]
        return Waiting(len(found), tuple(found)[:32])

    async def take(self, queue: str) -> Taken | None:
        """Any message that can be seen now."""
        now = self.clock()
        seen = [
            number
            for number, (at, taken) in self.standing.items()
            if taken.queue == queue and at <= now
        ]
        if not seen:
            return None
        number = self.draw.choice(seen)
        _, taken = self.standing[number]
        taken.dequeued += 1
        self.standing[number] = (now + VISIBLE_AGAIN, taken)
        return taken

    async def done(self, taken: Taken) -> None:
        """Forget it."""
        self.standing.pop(self._of(taken), None)

    async def failed(self, taken: Taken) -> bool:
        """Let it be seen again, or put it to poison."""
        number = self._of(taken)
        if taken.dequeued < MOST_DEQUEUED:
            self.standing[number] = (self.clock(), taken)
            return False
        self.standing.pop(number, None)
        self._put(Taken(taken.queue + POISON, taken.body, 0), timedelta())
        return True

    def next_in(self) -> float | None:
        """None: what is hidden is for a later step of the history."""
        return None

    def _put(self, taken: Taken, delay: timedelta) -> None:
        self.standing[next(self._number)] = (self.clock() + delay, taken)

    def _of(self, taken: Taken) -> int:
        return next((number for number, (_, it) in self.standing.items() if it is taken), -1)
