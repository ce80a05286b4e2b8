"""The flow that deletes what the ledger holds of runs and sendings that are long over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from pat_core.delivered import DELIVERIES
from pat_core.errors import Conflict
from pat_core.outbox import BY_TIME, traced
from pat_core.ports import Clock, Store
from pat_core.rows import OUTBOX, RUNS, Change, Row, Verb, key_time
from pat_core.run_log import LOOK_BACK
from pat_core.run_records import run_partition


@dataclass(frozen=True, slots=True)
class Purging:
    """Deletes what leads to a row after the row, so that what was interrupted can be done again."""

    store: Store
    clock: Clock

    async def purge(self, organization: str) -> None:
        """The organization's old runs are gone, and all old sendings. Raises LedgerUnavailable."""
        async for row in self._old(RUNS, organization):
            async for step in self.store.rows(RUNS, run_partition(organization, row.key)):
                await self._remove(RUNS, step)
            await self._remove(RUNS, row)
        async for row in self._old(RUNS, DELIVERIES):
            await self._remove(RUNS, row)
        async for row in self._old(OUTBOX, BY_TIME):
            async for trace in self.store.rows(OUTBOX, traced(row)):
                await self._remove(OUTBOX, trace)
            await self._remove(OUTBOX, row)

    def _old(self, table: str, partition: str) -> AsyncIterator[Row]:
        return self.store.rows(table, partition, before=key_time(self.clock() - LOOK_BACK))

    async def _remove(self, table: str, row: Row) -> None:
        # Whoever else purges just now may have been faster.
        with suppress(Conflict):
            await self.store.write(table, [Change(Verb.REMOVE, row)])
