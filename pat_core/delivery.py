"""The flow that empties the outbox, most urgent first: claim, send, settle.

After a crash between send and settle, the claimed notices are sent again in the same digest under
the same operation id, which the channel recognizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import Final

from pat_core.delivered import Delivered, delivered_row
from pat_core.digest import compose, operation_id
from pat_core.errors import ChannelError, Conflict
from pat_core.model import Notice, Owner
from pat_core.outbox import BY_URGENCY, LEASE, OWNER, Hint, by_recipient, read_hint
from pat_core.ports import Channel, Clock, Store
from pat_core.records import (
    NoticeRecord,
    NoticeState,
    as_notice,
    is_still_due,
    notice_row,
    read_account,
    settled,
)
from pat_core.rows import OUTBOX, OWNERS, RUNS, Change, Row, Verb, transactions, write

LEASE_FOR: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Item:
    """One open notice: whose it is, what the ledger says of it, and what it would tell now."""

    owner: Owner
    record: NoticeRecord
    notice: Notice | None

    @property
    def partition(self) -> str:
        return self.owner.partition


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends what is due through one channel."""

    store: Store
    channel: Channel
    clock: Clock

    async def send_due(self) -> Delivered:
        """What became of all that stood in the outbox; the ledger remembers it too.

        Raises LedgerError.
        """
        total = Delivered()
        async for row in self.store.rows(OUTBOX, BY_URGENCY):
            total += await self._deliver(read_hint(row))
        if total != Delivered():
            await self.store.write(RUNS, [Change(Verb.PUT, delivered_row(total, self.clock()))])
        return total

    async def _deliver(self, hint: Hint) -> Delivered:
        lease = await self._take_lease(hint.recipient)
        if lease is None:
            return Delivered(held=1)
        pointers = await self._pointers(hint.recipient)
        items = [item for pointer in pointers for item in await self._open_items(pointer.owner)]
        await self._settle([item for item in items if item.notice is None], NoticeState.NOT_NEEDED)
        outcome = Delivered()
        for operation, parcel in _parcels(items):
            outcome += await self._send(hint.recipient, operation, parcel)
        if not outcome.failed:
            await self._clear([hint, *pointers])
        await self.store.write(OUTBOX, [Change(Verb.DELETE, lease)])
        return outcome

    async def _take_lease(self, recipient: str) -> Row | None:
        """The lease on a recipient, or None while another sender holds it."""
        now, partition = self.clock(), by_recipient(recipient)
        known = await self.store.row(OUTBOX, partition, LEASE)
        if known and str(known.values["until"]) > now.isoformat():
            return None
        until = {"until": (now + LEASE_FOR).isoformat()}
        lease = Row(partition, LEASE, until, known.version if known else "")
        try:
            (version,) = await self.store.write(OUTBOX, [write(lease)])
        except Conflict:
            return None
        return replace(lease, version=version)

    async def _pointers(self, recipient: str) -> list[Hint]:
        rows = self.store.rows(OUTBOX, by_recipient(recipient), after=OWNER)
        return [read_hint(row) async for row in rows if row.key.startswith(OWNER)]

    async def _open_items(self, owner: Owner) -> list[_Item]:
        rows = [row async for row in self.store.rows(OWNERS, owner.partition)]
        account = read_account(rows)
        return [
            _Item(
                owner,
                record,
                as_notice(owner, account.tokens[record.authorization_id].token, record.window)
                if is_still_due(record, account)
                else None,
            )
            for record in account.open_notices()
            if record.recipient == owner.address
        ]

    async def _send(self, recipient: str, operation: str, parcel: Sequence[_Item]) -> Delivered:
        digest = compose((item.notice for item in parcel if item.notice), recipient)
        operation = operation or operation_id(digest)
        now = self.clock()
        claimed_at = parcel[0].record.claimed_at or now
        claimed = await self._write(
            parcel,
            lambda record: replace(
                record,
                state=NoticeState.CLAIMED,
                operation_id=operation,
                claimed_at=claimed_at,
            ),
        )
        try:
            await self.channel.send(digest, operation_id=operation, claimed_at=claimed_at)
        except ChannelError as fault:
            return Delivered(failed=1, failures=(str(fault),))
        await self._settle(claimed, NoticeState.ACCEPTED)
        return Delivered(sent=1, notices=len(digest.notices))

    async def _settle(self, items: Sequence[_Item], state: NoticeState) -> None:
        now = self.clock()
        await self._write(items, lambda record: settled(record, state, now))

    async def _write(
        self, items: Sequence[_Item], change: Callable[[NoticeRecord], NoticeRecord]
    ) -> list[_Item]:
        """The items as changed, in the ledger too; each owner's in transactions of their own."""
        changed = [replace(item, record=change(item.record)) for item in items]
        written: list[_Item] = []
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

    async def _clear(self, hints: Iterable[Hint]) -> None:
        for hint in hints:
            try:
                await self.store.write(OUTBOX, [Change(Verb.DELETE, hint.row)])
            except Conflict:
                # Written anew meanwhile: there is something due again, or it is gone already.
                continue


def _parcels(items: Sequence[_Item]) -> list[tuple[str, list[_Item]]]:
    """What belongs into one digest each: what an earlier try claimed together, then the rest."""
    due = sorted(
        (item for item in items if item.notice),
        key=lambda item: item.record.operation_id,
        reverse=True,
    )
    return [
        (operation, list(group))
        for operation, group in groupby(due, lambda item: item.record.operation_id)
    ]
