"""Queues in memory that behave as those of Azure Storage: delays, dequeue counts, poison."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Final

from pat_core.messages import POISON
from pat_core.ports import Waiting

MOST_DEQUEUED: Final = 5
"""How often a message is tried before it goes to poison, as in Azure."""


@dataclass(slots=True)
class Taken:
    """A message that somebody works on, and how often it was taken."""

    queue: str
    body: str
    dequeued: int = 1


class MemoryQueues:
    """Implements the port Queues, and gives out messages to the local host.

    A message that failed is taken again after `retry_after` seconds, `tries` times at most. It
    begins so far on that the last try is the last one in Azure, by its number too.
    """

    def __init__(self, *, tries: int = MOST_DEQUEUED, retry_after: float = 1.0) -> None:
        self._ready: dict[str, deque[Taken]] = {}
        self._hidden: list[tuple[float, int, Taken]] = []
        self._number = count()
        self._spent = MOST_DEQUEUED - tries
        self._retry_after = retry_after

    async def send(self, queue: str, message: str, *, delay: float = 0) -> None:
        """Put a message on a queue; nobody sees it for `delay` seconds."""
        self._put(Taken(queue, message, self._spent), delay)

    async def waiting(self, queue: str) -> Waiting:
        """How many messages stand in a queue, and the first few."""
        found = self._ready.get(queue, ())
        return Waiting(len(found), tuple(taken.body for taken in found)[:32])

    async def take(self, queue: str) -> Taken | None:
        """The next message that can be seen, or None."""
        now = _now()
        while self._hidden and self._hidden[0][0] <= now:
            _, _, shown = heappop(self._hidden)
            self._ready.setdefault(shown.queue, deque()).append(shown)
        if not self._ready.get(queue):
            return None
        taken = self._ready[queue].popleft()
        taken.dequeued += 1
        return taken

    async def done(self, taken: Taken) -> None:
        """Forget a message that was worked on; nothing is to be done in memory."""

    async def failed(self, taken: Taken) -> bool:
        """Put a message back that could not be worked on; True when it went to poison."""
        if taken.dequeued < MOST_DEQUEUED:
            self._put(taken, self._retry_after)
            return False
        self._put(Taken(taken.queue + POISON, taken.body, 0), 0)
        return True

    def next_in(self) -> float | None:
        """Seconds until a hidden message can be seen, or None where there is none."""
        return max(self._hidden[0][0] - _now(), 0) if self._hidden else None

    def _put(self, taken: Taken, delay: float) -> None:
        if delay > 0:
            heappush(self._hidden, (_now() + delay, next(self._number), taken))
        else:
            self._ready.setdefault(taken.queue, deque()).append(taken)


def _now() -> float:
    return asyncio.get_running_loop().time()
