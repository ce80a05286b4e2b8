"""What goes wrong where the service crosses to something outside it, drawn from a seed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import TypeVar

Answer = TypeVar("Answer")


class Died(BaseException):
    """The process ends here. From then on nothing that it does takes effect."""


class Blow(StrEnum):
    """The call fails or the process dies, before or after the act."""

    FAILS_BEFORE = "fails before"
    FAILS_AFTER = "fails after"
    DIES_BEFORE = "dies before"
    DIES_AFTER = "dies after"


@dataclass
class Fate:
    """Decides at each crossing; `rate` is the share of crossings at which something goes wrong.

    `hits` counts the places where it did, by name and blow; `crossed` all that there are.
    """

    draw: Random
    rate: float = 0.0
    hits: Counter[str] = field(default_factory=Counter)
    crossed: set[str] = field(default_factory=set)
    is_dead: bool = False

    async def cross(
        self,
        place: str,
        act: Callable[[], Awaitable[Answer]],
        faults: Callable[[Random, bool], Exception],
    ) -> Answer:
        """What the act gives, unless fate has it otherwise.

        `faults` makes an error; it is told whether the act was done, which not every one allows.
        """
        for _ in range(self.draw.randrange(3)):
            await asyncio.sleep(0)
        if self.is_dead:
            raise Died
        self.crossed.update(f"{place}: {each}" for each in Blow)
        if self.draw.random() >= self.rate:
            return await act()
        blow = self.draw.choice(list(Blow))
        self.hits[f"{place}: {blow}"] += 1
        is_done = blow in (Blow.FAILS_AFTER, Blow.DIES_AFTER)
        if is_done:
            await act()
        if blow in (Blow.FAILS_BEFORE, Blow.FAILS_AFTER):
            raise faults(self.draw, is_done)
        self.is_dead = True
        raise Died
