"""The flow that keeps the inventory: what administrators see is a copy of what owners' rows say.

The copy is written after the truth, and marked in the truth as written: what a crash left behind
is found by the next scan. All rows of one token change in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pat_core.errors import Conflict, LedgerError
from pat_core.listing import (
    POSITIONS,
    RECOMMENDED_DAYS,
    Listing,
    listing_values,
    listings,
    owner_id,
    views,
)
from pat_core.model import Owner
from pat_core.owner_records import OwnerRecord, owner_row
from pat_core.ports import Clock, Store
from pat_core.records import Account, read_account
from pat_core.rows import (
    INVENTORY,
    MOST_CHANGES,
    OWNERS,
    Change,
    Row,
    Value,
    Verb,
    short_hash,
    transactions,
    write,
)

_TRIES: Final = 3
_AFTER_ALL: Final = "~"


@dataclass(frozen=True, slots=True)
class Inventory:
    """Keeps the listings of owners up to date."""

    store: Store
    clock: Clock
    recommended_days: int = RECOMMENDED_DAYS

    async def relist(self, owner: Owner, account: Account | None = None) -> None:
        """List an owner who was just seen as the ledger has them; `account` spares reading it.

        Raises Conflict, LedgerUnavailable.
        """
        await self._relist(owner, account, gone=False)

    async def refresh(self, partition: str) -> None:
        """List again an owner whom a scan has seen before; what fails is left to the next scan."""
        with suppress(LedgerError):
            account = await self.account(partition)
            if known := account.owner:
                await self._relist(known.owner, account, gone=known.gone_at is not None)

    async def mark_gone(self, owner: Owner, account: Account) -> datetime | None:
        """Since when Azure DevOps no longer lists an owner; None where nothing is known of them.

        Raises Conflict, LedgerUnavailable.
        """
        known = account.owner
        if known and known.gone_at:
            return known.gone_at
        await self._relist(known.owner if known else owner, account, gone=True)
        return self.clock() if account.tokens else None

    async def account(self, partition: str) -> Account:
        """All that is known of an owner. Raises LedgerUnavailable."""
        return read_account([row async for row in self.store.rows(OWNERS, partition)])

    async def seen(self, owners: Iterable[Owner]) -> None:
        """Write down that Azure DevOps lists these now. Raises LedgerUnavailable."""
        now = self.clock()
        changes = [Change(Verb.PUT, _seen_row(owner, now)) for owner in owners]
        for start in range(0, len(changes), MOST_CHANGES):
            await self.store.write(INVENTORY, changes[start : start + MOST_CHANGES])

    async def unlist(self, owner: Owner) -> None:
        """Take all tokens of an owner out of the inventory. Raises LedgerUnavailable."""
        await self._write(owner, [])

    async def _relist(self, owner: Owner, account: Account | None, *, gone: bool) -> None:
        for last in (False,) * (_TRIES - 1) + (True,):
            account = account or await self.account(owner.partition)
            try:
                await self._list(owner, account, gone=gone)
            except Conflict:
                if last:
                    raise
                account = None
            else:
                break

    async def _list(self, owner: Owner, account: Account, *, gone: bool) -> None:
        known = account.owner
        if known is None and not account.tokens:
            return
        gone_at = ((known.gone_at if known else None) or self.clock()) if gone else None
        record = OwnerRecord(owner, gone_at, version=known.version if known else "")
        found = listings(replace(account, owner=record), self.recommended_days)
        record = replace(record, listed=short_hash("".join(_mark(each) for each in found)))
        if record != known:
            await self._write(owner, found)
            await self.store.write(OWNERS, [write(owner_row(record))])

    async def _write(self, owner: Owner, found: Iterable[Listing]) -> None:
        mine = f"{POSITIONS}|{owner_id(owner)}."
        rows = self.store.rows(
            INVENTORY, owner.organization, after=mine, before=f"{mine}{_AFTER_ALL}"
        )
        known = {row.key: row async for row in rows}
        wanted = {f"{POSITIONS}|{each.id}": each for each in found}
        groups = [list(_changes(key, each, known.get(key))) for key, each in wanted.items()]
        groups += [list(_removal(row)) for key, row in known.items() if key not in wanted]
        for pack in transactions([group for group in groups if group]):
            await self.store.write(INVENTORY, pack)


def seen_partition(organization: str) -> str:
    """The partition of the owners of an organization, and when each was last listed."""
    return f"{organization}|seen"


def _changes(key: str, listing: Listing, known: Row | None) -> Iterator[Change]:
    """What lists one token anew, if anything: first the row that says where it stands."""
    mark, keys = _mark(listing), list(views(listing))
    if known and known.values["mark"] == mark:
        return
    partition, values = listing.owner.organization, listing_values(listing)
    version = known.version if known else ""
    yield write(Row(partition, key, {"keys": json.dumps(keys), "mark": mark}, version))
    for each in keys:
        yield Change(Verb.PUT, Row(partition, each, values))
    for each in _stands_at(known):
        if each not in keys:
            yield Change(Verb.REMOVE, Row(partition, each))


def _removal(known: Row) -> Iterator[Change]:
    yield Change(Verb.DELETE, known)
    for each in _stands_at(known):
        yield Change(Verb.REMOVE, Row(known.partition, each))


def _stands_at(known: Row | None) -> list[str]:
    found: list[str] = json.loads(str(known.values["keys"])) if known else []
    return found


def _mark(listing: Listing) -> str:
    return short_hash(repr(sorted(listing_values(listing).items())))


def _seen_row(owner: Owner, now: datetime) -> Row:
    values: dict[str, Value] = {
        "display_name": owner.display_name,
        "address": owner.address,
        "seen_at": now,
    }
    given = {name: value for name, value in values.items() if value}
    return Row(seen_partition(owner.organization), owner.subject_descriptor, given)
