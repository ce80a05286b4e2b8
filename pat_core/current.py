"""A ledger whose version and spellings are looked at before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from pat_core.ledger_version import LEDGER_VERSION, UNDERSTOOD, VERSION_KEY, known_version
from pat_core.ports import Store
from pat_core.rows import LEDGER, Change, Row
from pat_core.spelling import spell, unspelled


@dataclass(slots=True)
class CurrentStore:
    """Implements the port Store. The first call reads a few rows more, the first write migrates.

    Whoever only reads leaves a ledger of the version before as it is. Each method raises
    LedgerTooNew with the remedy, and OtherCapitals.
    """

    inner: Store
    organizations: Sequence[str]
    remedy: str
    _version: int = 0
    _unspelled: list[str] = field(default_factory=list)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def rows(
        self, table: str, partition: str, *, after: str = "", before: str = ""
    ) -> AsyncIterator[Row]:
        """As the ledger behind it."""
        await self._be(UNDERSTOOD)
        async for row in self.inner.rows(table, partition, after=after, before=before):
            yield row

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        """As the ledger behind it."""
        await self._be(UNDERSTOOD)
        return await self.inner.row(table, partition, key)

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        """As the ledger behind it, once that is of the newest version."""
        await self._be(LEDGER_VERSION)
        return await self.inner.write(table, changes)

    async def _be(self, least: int) -> None:
        if self._version >= least and not (self._unspelled and least == LEDGER_VERSION):
            return
        async with self._turn:
            if self._version == 0:
                version = await self._look(UNDERSTOOD)
                self._unspelled = await unspelled(self.inner, self.organizations)
                self._version = version
            if least == LEDGER_VERSION:
                # Before anything is migrated: under other capitals nothing would be found.
                await spell(self.inner, self._unspelled)
                self._unspelled = []
            if self._version < least:
                self._version = await self._look(least)

    async def _look(self, least: int) -> int:
        row = await self.inner.row(LEDGER, LEDGER, VERSION_KEY)
        version = known_version(row, self.remedy)
        if version >= least:
            return version
        # Whoever waits for a page does not wait for this.
        from pat_core.migrations import migrated  # noqa: PLC0415 - said above

        return await migrated(self.inner, self.organizations, self.remedy)
