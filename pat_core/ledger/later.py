"""A store that is made when it is first asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from pat_core.ports import Store
from pat_core.rows import Change, Row


class LaterStore:
    """Implements the port Store. Whoever is not signed in yet is led there without a ledger.

    `make` is called once.
    """

    def __init__(self, make: Callable[[], Store]) -> None:
        self._make = make
        self._made: Store | None = None

    def rows(
        self, table: str, partition: str, *, after: str = "", before: str = ""
    ) -> AsyncIterator[Row]:
        """As the store that was made."""
        return self._store.rows(table, partition, after=after, before=before)

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        """As the store that was made."""
        return await self._store.row(table, partition, key)

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        """As the store that was made."""
        return await self._store.write(table, changes)

    @property
    def _store(self) -> Store:
        if self._made is None:
            self._made = self._make()
        return self._made
