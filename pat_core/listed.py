"""A ledger that lists an owner's tokens anew whenever the owner's rows change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from pat_core.inventory import Inventory
from pat_core.ports import Store
from pat_core.rows import OWNERS, Change, Row


@dataclass(frozen=True, slots=True)
class ListedStore:
    """Implements the port Store, for whoever settles notices or writes what owners decide."""

    inner: Store
    inventory: Inventory

    def rows(
        self, table: str, partition: str, *, after: str = "", before: str = ""
    ) -> AsyncIterator[Row]:
        """As the ledger behind it."""
        return self.inner.rows(table, partition, after=after, before=before)

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        """As the ledger behind it."""
        return await self.inner.row(table, partition, key)

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        """As the ledger behind it; then the inventory follows, or is left to the next scan."""
        versions = await self.inner.write(table, changes)
        if table == OWNERS:
            await self.inventory.refresh(changes[0].row.partition)
        return versions
