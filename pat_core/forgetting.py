"""The flow that deletes what the ledger holds of one owner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass

from pat_core.errors import Conflict
from pat_core.inventory import Inventory, seen_partition
from pat_core.model import Owner
from pat_core.outbox import BY_URGENCY, OWNER, UNSENT, by_recipient, trace
from pat_core.ports import Store
from pat_core.records import Account, read_account
from pat_core.rotations import rotating_hint
from pat_core.rows import INVENTORY, OUTBOX, OWNERS, Change, Row, Verb, short_hash


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Deletes hints first and the truth last, so that what was interrupted can be done again."""

    inventory: Inventory

    async def forget(self, owner: Owner) -> int:
        """How many rows were deleted. The audit trail stays. Raises LedgerUnavailable.

        Whoever Azure DevOps still lists is known again after the next scan.
        """
        rows = [row async for row in self._store.rows(OWNERS, owner.partition)]
        account = read_account(rows)
        hints = [row async for row in self._hints(owner, account)]
        count = await self._remove(OUTBOX, hints)
        await self.inventory.unlist(owner)
        count += await self._remove(OWNERS, rows)
        seen = Row(seen_partition(owner.organization), owner.subject_descriptor)
        return count + await self._remove(INVENTORY, [seen])

    async def find(self, organization: str, wanted: str) -> list[Owner]:
        """The owners with that address, name or descriptor. Raises LedgerUnavailable."""
        found = []
        async for row in self._store.rows(INVENTORY, seen_partition(organization)):
            name, address = (str(row.values.get(each, "")) for each in ("display_name", "address"))
            if wanted.casefold() in (each.casefold() for each in (row.key, name, address)):
                found.append(Owner(organization, row.key, name, address))
        return found

    async def _hints(self, owner: Owner, account: Account) -> AsyncIterator[Row]:
        mine = short_hash(owner.partition)
        recipients = {owner.address} | {each.recipient for each in account.notices.values()}
        for recipient in recipients - {""}:
            yield Row(by_recipient(recipient), f"{OWNER}{mine}")
        yield Row(UNSENT, mine)
        for rotation in account.rotations.values():
            yield rotating_hint(owner, rotation.authorization_id)
        operations = {each.operation_id for each in account.notices.values()}
        for operation in operations - {""}:
            async for row in self._store.rows(OUTBOX, trace(operation)):
                yield row
        async for row in self._store.rows(OUTBOX, BY_URGENCY):
            if mine in row.key.split("|"):
                yield row

    async def _remove(self, table: str, rows: Iterable[Row]) -> int:
        count = 0
        for row in rows:
            # What is not there need not be deleted.
            with suppress(Conflict):
                await self._store.write(table, [Change(Verb.REMOVE, row)])
                count += 1
        return count

    @property
    def _store(self) -> Store:
        return self.inventory.store
