"""The flow that empties the outbox, most urgent first: claim, send, settle.

After a crash between send and settle, the provider is asked what became of the claimed digest; if
it does not know, the same digest goes again under the same operation id, which it recognizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from typing import Final

from pat_core.allowance import Allowance
from pat_core.delivered import Delivered, delivered_row
from pat_core.digest import compose, operation_id
from pat_core.errors import (
    AddressRefused,
    ChannelBusy,
    ChannelError,
    ChannelMisconfigured,
    Conflict,
)
from pat_core.model import Notice, Owner
from pat_core.outbox import (
    BY_URGENCY,
    LEASE,
    OWNER,
    Hint,
    by_recipient,
    hints,
    read_hint,
    sent_row,
    unsent_row,
)
from pat_core.ports import Channel, Clock, Outcome, Store
from pat_core.records import (
    MOST_ATTEMPTS,
    NoticeRecord,
    NoticeState,
    as_notice,
    claimed,
    is_still_due,
    moved_on,
    notice_row,
    read_account,
    released,
    resting,
    settled,
)
from pat_core.rows import OUTBOX, OWNERS, RUNS, Change, Row, Verb, transactions, write
from pat_core.taps import Taps

LEASE_FOR: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(minutes=4)
"""What is not sent by then waits for the next time, which comes soon."""
MOST_MAILS_A_DAY: Final = 3


@dataclass(frozen=True, slots=True)
class Outlet:
    """A channel and how much may leave through it."""

    channel: Channel
    allowance: Allowance = field(default_factory=Allowance)


@dataclass(frozen=True, slots=True)
class _Item:
    """One open notice: whose it is, what the ledger says of it, and what it would tell now."""

    owner: Owner
    record: NoticeRecord
    notice: Notice | None

    @property
    def partition(self) -> str:
        return self.owner.partition


Parcel = Sequence[_Item]


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends what is due; `outlets` are the channels by name, the first to be tried first."""

    store: Store
    outlets: Mapping[str, Outlet]
    clock: Clock
    most_a_day: int = MOST_MAILS_A_DAY

    async def send_due(self) -> Delivered:
        """What became of all that stood in the outbox; the ledger remembers it too.

        Raises LedgerError.
        """
        total, shut, ends = Delivered(), set[str](), self.clock() + LONGEST
        async for row in self.store.rows(OUTBOX, BY_URGENCY):
            if len(shut) == len(self.outlets) or self.clock() > ends:
                break
            hint = read_hint(row)
            if self.channel(hint.channel) not in shut:
                total += await _Visit(self, hint, shut).deliver()
        if total != Delivered():
            await self.store.write(RUNS, [Change(Verb.PUT, delivered_row(total, self.clock()))])
        return total

    def channel(self, name: str) -> str:
        """The channel of that name, or the first where there is none such."""
        return name if name in self.outlets else next(iter(self.outlets))

    def next_channel(self, name: str) -> str | None:
        """The channel to try after that one, or None."""
        names = list(self.outlets)
        after = names.index(name) + 1
        return names[after] if after < len(names) else None


@dataclass(frozen=True, slots=True)
class _Visit:
    """One recipient's turn. `shut` are the channels through which nothing more leaves this time."""

    sender: Sender
    hint: Hint
    shut: set[str]

    @property
    def recipient(self) -> str:
        return self.hint.recipient

    @property
    def store(self) -> Store:
        return self.sender.store

    @property
    def taps(self) -> Taps:
        return Taps(self.store, self.sender.clock, self.sender.most_a_day)

    async def deliver(self) -> Delivered:
        lease = await self._take_lease()
        if lease is None:
            return Delivered(held=1)
        pointers = await self._pointers()
        items = [item for pointer in pointers for item in await self._open_items(pointer.owner)]
        await self._settle([item for item in items if item.notice is None], NoticeState.NOT_NEEDED)
        outcome = Delivered()
        for channel, operation, parcel in self._parcels(items):
            outcome += await self._send(channel, operation, parcel)
        if not outcome.failed and not outcome.waiting:
            await self._delete(hint.row for hint in [self.hint, *pointers])
        await self._delete([lease])
        return outcome

    async def _take_lease(self) -> Row | None:
        """The lease on a recipient, or None while another sender holds it."""
        now, partition = self.sender.clock(), by_recipient(self.recipient)
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

    async def _pointers(self) -> list[Hint]:
        rows = self.store.rows(OUTBOX, by_recipient(self.recipient), after=OWNER)
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

    def _parcels(self, items: Iterable[_Item]) -> list[tuple[str, str, list[_Item]]]:
        """What belongs into one digest each: what was claimed together before, then the rest."""

        def belongs(item: _Item) -> tuple[str, str]:
            return self.sender.channel(item.record.channel), item.record.operation_id

        due = sorted((item for item in items if item.notice), key=belongs, reverse=True)
        return [(*key, list(group)) for key, group in groupby(due, belongs)]

    async def _send(self, channel: str, operation: str, parcel: Parcel) -> Delivered:
        now = self.sender.clock()
        rests = any(item.record.retry_at and item.record.retry_at > now for item in parcel)
        if channel in self.shut or rests:
            return Delivered(waiting=1)
        if operation:
            try:
                known = await self.sender.outlets[channel].channel.outcome(operation)
            except ChannelError as fault:
                return await self._failed(channel, fault, parcel, unsent=False)
            if known is Outcome.ACCEPTED:
                return await self._accepted(parcel)
            if known is Outcome.REFUSED:
                dropped = AddressRefused("The provider dropped the message.")
                return await self._failed(channel, dropped, parcel, unsent=True)
        # Another try is no other mail, so that the cap for each address holds only the first.
        has_room = operation or await self.taps.has_room(self.recipient)
        if not has_room or not await self._may_leave(channel):
            return Delivered(waiting=1)
        return await self._hand_over(channel, operation, parcel)

    async def _may_leave(self, channel: str) -> bool:
        wait = await self.taps.take(channel, self.sender.outlets[channel].allowance)
        if wait > 0:
            self.shut.add(channel)
        return wait == 0

    async def _hand_over(self, channel: str, operation: str, parcel: Parcel) -> Delivered:
        digest = compose((item.notice for item in parcel if item.notice), self.recipient)
        first_try, operation = not operation, operation or operation_id(digest)
        claimed_at = parcel[0].record.claimed_at or self.sender.clock()
        owners = [item.owner for item in parcel]
        trace = sent_row(operation, self.recipient, channel, owners)
        await self.store.write(OUTBOX, [Change(Verb.PUT, trace)])
        mine = await self._write(parcel, lambda record: claimed(record, operation, claimed_at))
        try:
            await self.sender.outlets[channel].channel.send(
                digest, operation_id=operation, claimed_at=claimed_at
            )
        except ChannelError as fault:
            return await self._failed(channel, fault, mine, unsent=first_try)
        return await self._accepted(mine)

    async def _accepted(self, parcel: Parcel) -> Delivered:
        await self.taps.count(self.recipient)
        await self._settle(parcel, NoticeState.ACCEPTED)
        return Delivered(sent=1, notices=len(parcel))

    async def _failed(
        self, channel: str, fault: ChannelError, parcel: Parcel, *, unsent: bool
    ) -> Delivered:
        """What is done about a digest that was not handed over, or may not have been.

        Unless it is surely `unsent`, it keeps its claim: an earlier try may have been taken.
        """
        why, now = str(fault), self.sender.clock()
        if isinstance(fault, ChannelBusy | ChannelMisconfigured):
            self.shut.add(channel)
            if unsent:
                await self._write(parcel, lambda record: released(record, why))
            if isinstance(fault, ChannelBusy):
                await self.taps.close(channel, fault.seconds)
                return Delivered(waiting=1)
        elif fault.permanent or parcel[0].record.attempts + 1 >= MOST_ATTEMPTS:
            await self._move_on(channel, why, parcel)
        else:
            await self._write(parcel, lambda record: resting(record, why, now))
        return Delivered(failed=1, failures=(f"{self.recipient}: {why}",))

    async def _move_on(self, channel: str, why: str, parcel: Parcel) -> None:
        """Let the next channel try, or tell ops where there is none."""
        following = self.sender.next_channel(channel)
        by_owner = groupby(parcel, lambda item: item.owner)
        for owner, group in by_owner:
            mine = list(group)
            if following is None:
                row = unsent_row(owner, why, self.sender.clock())
                await self.store.write(OUTBOX, [Change(Verb.PUT, row)])
                continue
            notices = [item.notice for item in mine if item.notice]
            for hint in hints(owner, notices, following):
                await self.store.write(OUTBOX, [hint])
        if following is None:
            await self._settle(parcel, NoticeState.UNSENT, why)
        else:
            await self._write(parcel, lambda record: moved_on(record, following, why))

    async def _settle(self, items: Parcel, state: NoticeState, why: str = "") -> None:
        now = self.sender.clock()
        await self._write(items, lambda record: settled(record, state, now, why))

    async def _write(
        self, items: Parcel, change: Callable[[NoticeRecord], NoticeRecord]
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

    async def _delete(self, rows: Iterable[Row]) -> None:
        for row in rows:
            try:
                await self.store.write(OUTBOX, [Change(Verb.DELETE, row)])
            except Conflict:
                # Written anew meanwhile: there is something due again, or it is gone already.
                continue
