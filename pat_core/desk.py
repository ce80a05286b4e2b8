"""Notices on their way out: read from the ledger, and written back as they get on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pat_core.model import Notice, Owner
from pat_core.outbox import OWNER, Hint, by_recipient, hints, read_hint, unsent_row
from pat_core.pointing import pointing
from pat_core.ports import Clock, Store
from pat_core.records import (
    Account,
    NoticeRecord,
    NoticeState,
    is_still_due,
    moved_on,
    notice_of,
    notice_row,
    read_account,
    settled,
)
from pat_core.routes import ROUTED
from pat_core.rows import OUTBOX, OWNERS, Change, Verb, transactions, write


@dataclass(frozen=True, slots=True)
class Item:
    """One notice: whose it is, what the ledger says of it, and what it would tell now."""

    owner: Owner
    record: NoticeRecord
    notice: Notice | None

    @property
    def partition(self) -> str:
        """The partition of its owner."""
        return self.owner.partition


Parcel = Sequence[Item]
"""What goes in one digest."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Reads and writes notices; `channels` are named in the order in which they are tried."""

    store: Store
    clock: Clock
    channels: Sequence[str]

    def channel(self, name: str) -> str:
        """The channel of that name, or the first where there is none such."""
        return name if name in (*self.channels, ROUTED) else self.channels[0]

    def next_channel(self, name: str) -> str | None:
        """The channel to try after that one, or None. A route's webhook stands in for no other."""
        fallbacks = [each for each in self.channels if each != ROUTED]
        if (channel := self.channel(name)) not in fallbacks:
            return None
        return next(iter(fallbacks[fallbacks.index(channel) + 1 :]), None)

    async def hints_to(self, recipient: str) -> list[Hint]:
        """The hints to the owners whose notices go to a recipient."""
        rows = self.store.rows(OUTBOX, by_recipient(recipient), after=OWNER)
        return [read_hint(row) async for row in rows if row.key.startswith(OWNER)]

    async def waiting(self, owner: Owner) -> list[Item]:
        """An owner's notices to this address that are still to be sent, or to be settled."""
        states = (NoticeState.PENDING, NoticeState.CLAIMED)
        return await self.items(owner, lambda record: record.state in states)

    async def items(self, owner: Owner, wanted: Callable[[NoticeRecord], bool]) -> list[Item]:
        """An owner's notices that are wanted and go to this address."""
        rows = [row async for row in self.store.rows(OWNERS, owner.partition)]
        account = read_account(rows)
        return [
            Item(
                owner,
                record,
                _notice(owner, record, account) if is_still_due(record, account) else None,
            )
            for record in account.notices.values()
            if record.recipient == owner.address and wanted(record)
        ]

    async def settle(self, items: Parcel, state: NoticeState, why: str = "") -> None:
        """Write that nothing more is to be done about these. Raises LedgerError."""
        now = self.clock()
        await self.write(items, lambda record: settled(record, state, now, why))

    async def write(
        self, items: Parcel, change: Callable[[NoticeRecord], NoticeRecord]
    ) -> list[Item]:
        """The items as changed, in the ledger too; each owner's in transactions of their own."""
        changed = [replace(item, record=change(item.record)) for item in items]
        written: list[Item] = []
        for partition, group in groupby(changed, lambda item: item.partition):
            mine = list(group)
            rows = ((write(notice_row(partition, item.record)),) for item in mine)
            versions = [
                version
                for pack in transactions(rows)
                for version in await self.store.write(OWNERS, pack)
            ]
            written.extend(
                replace(item, record=replace(item.record, version=version))
                for item, version in zip(mine, versions, strict=True)
            )
        return written

    async def move_on(self, channel: str, why: str, parcel: Parcel) -> None:
        """Let the next channel try, or tell ops where there is none."""
        following = self.next_channel(channel)
        if following is None:
            owners = dict.fromkeys(item.owner for item in parcel)
            rows = [Change(Verb.PUT, unsent_row(owner, why, self.clock())) for owner in owners]
            async with pointing(self.store, rows):
                await self.settle(parcel, NoticeState.UNSENT, why)
            return
        leading: list[Change] = []
        for owner, group in groupby(parcel, lambda item: item.owner):
            leading += hints(owner, [item.notice for item in group if item.notice], following)
        async with pointing(self.store, leading):
            await self.write(parcel, lambda record: moved_on(record, following, why))


def _notice(owner: Owner, record: NoticeRecord, account: Account) -> Notice:
    token = account.tokens[record.authorization_id].token
    return notice_of(owner, record, token)
