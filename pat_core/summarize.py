"""The flow that gathers what ops are told, and the little that health tells anybody."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from pat_core import __version__
from pat_core.bodies import Health
from pat_core.coverage import Coverage
from pat_core.delivered import DELIVERIES, Delivered, read_delivered
from pat_core.digest import visible
from pat_core.errors import ChannelError, Conflict, QueueUnavailable
from pat_core.messages import ORGANIZATIONS, POISON, USERS
from pat_core.model import EXPIRED, Organization
from pat_core.outbox import BY_URGENCY, UNSENT, read_unsent
from pat_core.ports import SILENT, Clock, Meter, OpsChannel, Queues, Store, Waiting
from pat_core.preview import preview
from pat_core.records import is_still_untold, read_account
from pat_core.rotations import (
    ROTATING,
    RotationState,
    read_rotating_hint,
    read_rotation,
    rotation_key,
)
from pat_core.rows import OUTBOX, OWNERS, RUNS, Change, Verb, key_time
from pat_core.run_log import RunLog
from pat_core.signals import INVENTORY_TOKENS, OUTBOX_DEPTH, SCAN_AGE
from pat_core.summary import OVERDUE, OrganizationSummary, Summary

POISON_QUEUES: Final = (ORGANIZATIONS + POISON, USERS + POISON)
MOST_COUNTED: Final = 10_000
_DAY: Final = timedelta(days=1)
_NEVER: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Watch:
    """Looks at the ledger and the queues."""

    store: Store
    clock: Clock
    organizations: Sequence[Organization]
    windows: Sequence[int]
    dry_run: bool = False
    meter: Meter = SILENT

    async def measure(self) -> None:
        """Record how old and how large everything is now. Raises LedgerError."""
        now = self.clock()
        for each in self.organizations:
            found = await self._organization(each)
            age = now - found.complete_at if found.complete_at else _NEVER
            self.meter.record(SCAN_AGE, age.total_seconds(), organization=each.name)
            if found.run and found.run.finished:
                self._count(each.name, found.run.coverage)
        self.meter.record(OUTBOX_DEPTH, await self.waiting())

    def _count(self, organization: str, seen: Coverage) -> None:
        windows = {str(days): seen.windows.get(days, 0) for days in (*self.windows, EXPIRED)}
        for window, tokens in (windows | {"all": seen.tokens}).items():
            self.meter.record(INVENTORY_TOKENS, tokens, organization=organization, window=window)

    async def summarize(self, queues: Queues) -> Summary:
        """The state of the service now, with who is to be looked after. Raises LedgerError.

        Whoever was told since is no longer kept among those whom nobody could tell.
        """
        return replace(
            await self.look(queues),
            unsent=tuple([untold async for untold in self._untold()]),
            stuck=tuple([stuck async for stuck in self._stuck()]),
            would_send=await preview(self.store, self.clock) if self.dry_run else (),
        )

    async def look(self, queues: Queues) -> Summary:
        """The state of the service now, as it is told in a few figures. Raises LedgerError."""
        poison, fault = dict[str, Waiting](), ""
        try:
            poison = {name: await queues.waiting(name) for name in POISON_QUEUES}
        except QueueUnavailable as error:
            # What the ledger says is worth telling all the same.
            fault = str(error)
        return Summary(
            self.clock(),
            self.windows,
            [await self._organization(each) for each in self.organizations],
            await self._delivered(),
            await self.waiting(),
            {name: [_subject(each) for each in found.first] for name, found in poison.items()},
            sum(found.count for found in poison.values()),
            fault,
            dry_run=self.dry_run,
        )

    async def health(self) -> Health:
        """Healthy where each organization has a complete scan of today or yesterday; the figures.

        No name and no secret is among them. Raises LedgerError.
        """
        now = self.clock()
        found = [await self._organization(each) for each in self.organizations]
        ages = [now - each.complete_at if each.complete_at else None for each in found]
        healthy = all(age is not None and age <= OVERDUE for age in ages)
        return Health(
            status="healthy" if healthy else "unhealthy",
            version=__version__,
            last_complete_scan_seconds=[
                None if age is None else round(age.total_seconds()) for age in ages
            ],
            outbox=await self.waiting(),
        )

    async def waiting(self) -> int:
        """How many owners are still to be told; from 10,000 on they are not counted further."""
        count = 0
        async for _ in self.store.rows(OUTBOX, BY_URGENCY):
            count += 1
            if count == MOST_COUNTED:
                break
        return count

    async def has_run(self) -> bool:
        """True where any organization was scanned of late. Raises LedgerError."""
        found = [await self._organization(each) for each in self.organizations]
        return any(each.run for each in found)

    async def troubles(self) -> list[str]:
        """Why an organization is not wholly known, a sentence each. Raises LedgerError."""
        now = self.clock()
        found = [await self._organization(each) for each in self.organizations]
        return [trouble for each in found if (trouble := each.trouble(now))]

    async def _organization(self, organization: Organization) -> OrganizationSummary:
        runs = await RunLog(self.store, self.clock, self.meter).recent(organization.name)
        complete = (run.ended_at for run in runs if run.complete)
        return OrganizationSummary(
            organization.name, runs[0] if runs else None, next(complete, None)
        )

    async def _untold(self) -> AsyncIterator[str]:
        """A sentence for each owner whom nobody could tell; whoever was told since is forgotten."""
        now = self.clock()
        async for row in self.store.rows(OUTBOX, UNSENT):
            owner, why = read_unsent(row)
            rows = [each async for each in self.store.rows(OWNERS, owner.partition)]
            account = read_account(rows)
            if any(is_still_untold(each, account, now) for each in account.notices.values()):
                name = owner.display_name or owner.subject_descriptor
                where = ", ".join(each for each in (owner.organization, owner.address) if each)
                yield f"{name} ({where}): {why}"
                continue
            with suppress(Conflict):
                await self.store.write(OUTBOX, [Change(Verb.DELETE, row)])

    async def _stuck(self) -> AsyncIterator[str]:
        """A sentence for each rotation that something stands in the way of."""
        async for hint in self.store.rows(OUTBOX, ROTATING):
            owner, authorization_id = read_rotating_hint(hint)
            row = await self.store.row(OWNERS, owner.partition, rotation_key(authorization_id))
            rotation = read_rotation(row) if row else None
            if rotation and rotation.state is RotationState.SUPERSEDED and rotation.trouble:
                name = owner.display_name or owner.subject_descriptor
                where = f"{owner.organization}, {authorization_id}"
                yield f"A token of {name} ({where}): {rotation.trouble}"

    async def _delivered(self) -> Delivered:
        since = key_time(self.clock() - _DAY)
        total = Delivered()
        async for row in self.store.rows(RUNS, DELIVERIES, after=since):
            total += read_delivered(row)
        return total


async def tell(ops: Sequence[OpsChannel], summary: Summary) -> None:
    """Hand a summary to every channel there is. Raises the last ChannelError, if any failed."""
    failure: ChannelError | None = None
    for channel in ops:
        try:
            await channel.report(summary)
        except ChannelError as fault:
            failure = fault
    if failure:
        raise failure


def _subject(message: str) -> str:
    """What a message that was given up is about: never its content, which may be anybody's."""
    try:
        order = json.loads(message)
        users = f", {len(order['users'])} users" if "users" in order else ""
        about = visible(str(order["organization"]), 50), visible(str(order["run_id"]), 30)
        return f"{about[0]}, run {about[1]}{users}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "a message that is none of ours"
