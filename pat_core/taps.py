"""The flow that asks the ledger whether a digest may leave now, and counts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pat_core.allowance import (
    TAP,
    Allowance,
    Tap,
    closed,
    left_today,
    one_more,
    one_more_today,
    opens_in,
    read_tap,
    tap_partition,
    tap_row,
)
from pat_core.errors import Conflict
from pat_core.outbox import by_recipient
from pat_core.ports import Clock, Store
from pat_core.rows import OUTBOX, write

_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class Taps:
    """Counts for every instance at once: what is counted stands in the ledger."""

    store: Store
    clock: Clock
    most_a_day: int

    async def take(self, channel: str, allowance: Allowance) -> float:
        """0 where one digest may leave now, and is counted; else seconds until it may."""
        now = self.clock()
        if allowance == Allowance():
            row = await self.store.row(OUTBOX, tap_partition(channel), TAP)
            return opens_in(read_tap(row), allowance, now)

        def change(tap: Tap) -> Tap | None:
            return one_more(tap, now) if opens_in(tap, allowance, now) == 0 else None

        tap = await self._change(tap_partition(channel), change)
        return opens_in(tap, allowance, now) if tap else 0

    async def close(self, channel: str, seconds: float) -> None:
        """Let nothing leave through a channel for so many seconds, whoever asks."""
        now = self.clock()
        await self._change(tap_partition(channel), lambda tap: closed(tap, seconds, now))

    async def has_room(self, recipient: str) -> bool:
        """True while one more mail may go to an address today."""
        row = await self.store.row(OUTBOX, by_recipient(recipient), TAP)
        return left_today(read_tap(row), self.clock()) < self.most_a_day

    async def count(self, recipient: str) -> None:
        """Count a mail to an address."""
        now = self.clock()
        await self._change(by_recipient(recipient), lambda tap: one_more_today(tap, now))

    async def _change(self, partition: str, change: Callable[[Tap], Tap | None]) -> Tap | None:
        """None where a tap was changed, or the tap that allows no change. Raises Conflict."""
        for last in (False,) * (_TRIES - 1) + (True,):
            tap = read_tap(await self.store.row(OUTBOX, partition, TAP))
            changed = change(tap)
            if changed is None:
                return tap
            try:
                await self.store.write(OUTBOX, [write(tap_row(partition, changed))])
            except Conflict:
                # Another instance counted meanwhile.
                if last:
                    raise
            else:
                return None
        return None
