"""The flow that empties the outbox, most urgent first: claim, send, settle.

After a crash between send and settle, the provider is asked what became of the claimed digest; if
it does not know, the same digest goes again under the same operation id, which it recognizes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from typing import Final

from pat_core.allowance import Allowance
from pat_core.delivered import Delivered, delivered_row
from pat_core.desk import Desk, Item, Parcel
from pat_core.digest import compose, operation_id
from pat_core.errors import (
    AddressRefused,
    ChannelBusy,
    ChannelError,
    ChannelMisconfigured,
    Conflict,
)
from pat_core.outbox import (
    BY_URGENCY,
    LEASE,
    Hint,
    by_recipient,
    by_time,
    read_hint,
    trace_rows,
)
from pat_core.ports import SILENT, Channel, Clock, Meter, Outcome, Store
from pat_core.records import (
    MOST_ATTEMPTS,
    NoticeState,
    claimed,
    released,
    resting,
)
from pat_core.routes import ROUTED
from pat_core.rows import OUTBOX, RUNS, Change, Row, Verb, short_hash, transactions, write
from pat_core.signals import DIGEST_DELAY, DIGEST_SENT, OUTBOX_AT_CAPACITY, Event
from pat_core.taps import Taps

_LOG: Final = logging.getLogger("pat_warden")
LEASE_FOR: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(minutes=4)
"""What is not sent by then waits for the next time, which comes soon."""
MOST_MAILS_A_DAY: Final = 3
_NO_WEBHOOK: Final = "No route names this webhook any more."


@dataclass(frozen=True, slots=True)
class Outlet:
    """A channel and how much may leave through it."""

    channel: Channel
    allowance: Allowance = field(default_factory=Allowance)


@dataclass(slots=True)
class Shut:
    """Through which gates nothing more leaves this time, and which `recipients` have to wait.

    `full` are the channels whose allowance is used up.
    """

    gates: set[str] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    recipients: set[str] = field(default_factory=set)


def gate(channel: str, recipient: str) -> str:
    """What opens and shuts by itself: a channel, or one team's webhook."""
    return f"{channel}|{short_hash(recipient)}" if channel == ROUTED else channel


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends what is due; `outlets` are the channels by name, the first to be tried first."""

    store: Store
    outlets: Mapping[str, Outlet]
    clock: Clock
    most_a_day: int = MOST_MAILS_A_DAY
    meter: Meter = SILENT

    async def send_due(self) -> Delivered:
        """What became of all that stood in the outbox; the ledger remembers it too.

        Raises LedgerError.
        """
        total, shut, ends = Delivered(), Shut(), self.clock() + LONGEST
        async for row in self.store.rows(OUTBOX, BY_URGENCY):
            if set(self.outlets) <= shut.gates or self.clock() > ends:
                break
            hint = read_hint(row)
            is_shut = gate(self.desk.channel(hint.channel), hint.recipient) in shut.gates
            if not is_shut and hint.recipient not in shut.recipients:
                total += await self._visit(hint, shut)
        if total != Delivered():
            await self.store.write(RUNS, [Change(Verb.PUT, delivered_row(total, self.clock()))])
        for channel in self.outlets:
            self.meter.record(OUTBOX_AT_CAPACITY, float(channel in shut.full), channel=channel)
        return total

    async def _visit(self, hint: Hint, shut: Shut) -> Delivered:
        try:
            outcome = await _Visit(self, hint, shut).deliver()
        except Conflict:
            # Somebody else works on the same notices: they will be looked at again.
            outcome = Delivered(held=1)
        if outcome.waiting or outcome.failed or outcome.held:
            # One visit reads all their owners: there may be hundreds of hints to the same address.
            shut.recipients.add(hint.recipient)
        return outcome

    @property
    def desk(self) -> Desk:
        """What reads and writes the notices."""
        return Desk(self.store, self.clock, tuple(self.outlets))


@dataclass(frozen=True, slots=True)
class _Visit:
    """One recipient's turn."""

    sender: Sender
    hint: Hint
    shut: Shut

    @property
    def recipient(self) -> str:
        return self.hint.recipient

    @property
    def store(self) -> Store:
        return self.sender.store

    @property
    def desk(self) -> Desk:
        return self.sender.desk

    @property
    def taps(self) -> Taps:
        return Taps(self.store, self.sender.clock, self.sender.most_a_day)

    async def deliver(self) -> Delivered:
        lease = await self._take_lease()
        if lease is None:
            return Delivered(held=1)
        hints = await self.desk.hints_to(self.recipient)
        items = [item for hint in hints for item in await self.desk.waiting(hint.owner)]
        await self.desk.settle(
            [item for item in items if item.notice is None], NoticeState.NOT_NEEDED
        )
        outcome = Delivered()
        for channel, operation, parcel in self._parcels(items):
            outcome += await self._send(channel, operation, parcel)
        if not outcome.failed and not outcome.waiting:
            await self._delete(hint.row for hint in [self.hint, *hints])
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

    def _parcels(self, items: Iterable[Item]) -> list[tuple[str, str, list[Item]]]:
        """What belongs into one digest each: what was claimed together before, then the rest.

        What was done and what expires are told apart.
        """

        def belongs(item: Item) -> tuple[str, str, bool]:
            record = item.record
            return self.desk.channel(record.channel), record.operation_id, bool(record.deed)

        due = sorted((item for item in items if item.notice), key=belongs, reverse=True)
        return [(*key[:2], list(group)) for key, group in groupby(due, belongs)]

    async def _send(self, channel: str, operation: str, parcel: Parcel) -> Delivered:
        now = self.sender.clock()
        rests = any(item.record.retry_at and item.record.retry_at > now for item in parcel)
        if gate(channel, self.recipient) in self.shut.gates or rests:
            return Delivered(waiting=1)
        if channel not in self.sender.outlets:
            return await self._failed(channel, AddressRefused(_NO_WEBHOOK), parcel, unsent=True)
        if operation and (known := await self._earlier_try(channel, operation, parcel)):
            return known
        # Another try is no other mail, so that the cap for each address holds only the first. What
        # was done in somebody's name is never held back by it, and holds back nothing else.
        uncapped = operation or parcel[0].record.deed
        has_room = uncapped or await self.taps.has_room(self.recipient)
        if not has_room or not await self._may_leave(channel):
            return Delivered(waiting=1)
        return await self._hand_over(channel, operation, parcel)

    async def _earlier_try(self, channel: str, operation: str, parcel: Parcel) -> Delivered | None:
        """What became of a digest that may have been taken already; None where nobody knows."""
        try:
            known = await self.sender.outlets[channel].channel.outcome(operation)
        except ChannelError as fault:
            return await self._failed(channel, fault, parcel, unsent=False)
        if known is Outcome.ACCEPTED:
            return await self._accepted(channel, parcel)
        if known is Outcome.REFUSED:
            dropped = AddressRefused("The provider dropped the message.")
            return await self._failed(channel, dropped, parcel, unsent=True)
        return None

    async def _may_leave(self, channel: str) -> bool:
        through = gate(channel, self.recipient)
        wait = await self.taps.take(through, self.sender.outlets[channel].allowance)
        if wait > 0:
            self.shut.gates.add(through)
            self.shut.full.add(channel)
        return wait == 0

    async def _hand_over(self, channel: str, operation: str, parcel: Parcel) -> Delivered:
        digest = compose((item.notice for item in parcel if item.notice), self.recipient)
        first_try = not operation
        operation = operation or operation_id(digest, parcel[0].record.channel)
        claimed_at = parcel[0].record.claimed_at or self.sender.clock()
        owners = [item.owner for item in parcel]
        await self.store.write(OUTBOX, [Change(Verb.PUT, by_time(operation, claimed_at))])
        rows = trace_rows(operation, self.recipient, channel, owners)
        for pack in transactions([Change(Verb.PUT, row)] for row in rows):
            await self.store.write(OUTBOX, pack)
        mine = await self.desk.write(parcel, lambda record: claimed(record, operation, claimed_at))
        try:
            await self.sender.outlets[channel].channel.send(
                digest, operation_id=operation, claimed_at=claimed_at
            )
        except ChannelError as fault:
            return await self._failed(channel, fault, mine, unsent=first_try)
        except Exception as bug:  # noqa: BLE001 - one that breaks must not hold up all after it
            _LOG.exception(Event.DIGEST_BROKEN)
            broken = ChannelError(f"The digest cannot be made ({type(bug).__name__}).")
            return await self._failed(channel, broken, mine, unsent=False)
        return await self._accepted(channel, mine)

    async def _accepted(self, channel: str, parcel: Parcel) -> Delivered:
        if not parcel[0].record.deed:
            await self.taps.count(self.recipient)
        await self.desk.settle(parcel, NoticeState.ACCEPTED)
        meter, now = self.sender.meter, self.sender.clock()
        meter.record(DIGEST_SENT, 1, channel=channel, outcome="sent")
        waited = now - min(item.record.noted_at for item in parcel)
        meter.record(DIGEST_DELAY, waited.total_seconds(), channel=channel)
        return Delivered(sent=1, notices=len(parcel))

    async def _failed(
        self, channel: str, fault: ChannelError, parcel: Parcel, *, unsent: bool
    ) -> Delivered:
        """What is done about a digest that was not handed over, or may not have been.

        Unless it is surely `unsent`, it keeps its claim: an earlier try may have been taken.
        """
        why, now = str(fault), self.sender.clock()
        if isinstance(fault, ChannelBusy | ChannelMisconfigured):
            self.shut.gates.add(gate(channel, self.recipient))
            if unsent:
                await self.desk.write(parcel, lambda record: released(record, why))
            if isinstance(fault, ChannelBusy):
                await self.taps.close(gate(channel, self.recipient), fault.seconds)
                return Delivered(waiting=1)
        elif fault.permanent or parcel[0].record.attempts + 1 >= MOST_ATTEMPTS:
            await self.desk.move_on(channel, why, parcel)
        else:
            await self.desk.write(parcel, lambda record: resting(record, why, now))
        self.sender.meter.record(DIGEST_SENT, 1, channel=channel, outcome="failed")
        return Delivered(failed=1, failures=(f"{self.recipient}: {why}",))

    async def _delete(self, rows: Iterable[Row]) -> None:
        for row in rows:
            try:
                await self.store.write(OUTBOX, [Change(Verb.DELETE, row)])
            except Conflict:
                # Written anew meanwhile: there is something due again, or it is gone already.
                continue
