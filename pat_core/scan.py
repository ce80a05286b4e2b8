"""The flow that scans a batch of users: what is due is recorded and put into the outbox.

Gather, decide, apply: each owner's tokens and ledger rows are read, `decision` says what they
come to, and its changes are written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import reduce
from operator import add
from typing import Final

from pat_core.coverage import GONE, Coverage, covered, failed, in_brief
from pat_core.decision import NO_ADDRESS, NO_ROUTES, NOT_ACTIVE, Decision, decide, due_notices
from pat_core.errors import (
    AzureDevOpsError,
    Conflict,
    NotPermitted,
    NotSignedIn,
    OwnerGone,
    Throttled,
)
from pat_core.inventory import Inventory
from pat_core.model import Organization, Owner, TokenReading
from pat_core.outbox import hints, unsent_row
from pat_core.pointing import pointing
from pat_core.ports import AzureDevOps, Clock, Store
from pat_core.records import Account
from pat_core.retention import RETENTION_DAYS, deletions, too_old
from pat_core.routes import ROUTED, Routes, is_webhook
from pat_core.rows import OUTBOX, OWNERS, Change, Verb, transactions

_TRIES: Final = 3
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What was seen of a batch, who is left for later, and in how many seconds.

    `refusal` is what refused every user of a batch of several, if anything did.
    """

    coverage: Coverage
    left: tuple[Owner, ...] = ()
    seconds: float = 0
    refusal: AzureDevOpsError | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen of one owner, and whether the ledger holds anything of theirs."""

    coverage: Coverage
    is_kept: bool


MOST_AT_ONCE: Final = 8
"""Of a batch, so many owners are read at once: who was begun is soon done, and few twice."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """Reads owners' tokens and records what is due. `windows` are in days."""

    azure_devops: AzureDevOps
    store: Store
    clock: Clock
    windows: Sequence[int]
    inventory: Inventory
    routes: Routes = NO_ROUTES
    retention: timedelta = timedelta(days=RETENTION_DAYS)

    async def scan_batch(self, organization: Organization, owners: Sequence[Owner]) -> BatchOutcome:
        """What came of a batch of users; one that comes again changes nothing more.

        One user who fails never stops the rest, and those whose turn did not come while Azure
        DevOps asks for a long pause are left. Raises LedgerError where the ledger is away.
        """
        turns = asyncio.Semaphore(MOST_AT_ONCE)

        async def scan(owner: Owner) -> _Seen:
            async with turns:
                return await self._scan_owner(organization, owner)

        outcomes = await asyncio.gather(*map(scan, owners), return_exceptions=True)
        there = [
            owner
            for owner, outcome in zip(owners, outcomes, strict=True)
            if _is_kept(outcome) and not isinstance(outcome, OwnerGone | Throttled)
        ]
        await self.inventory.seen(there)
        throttled = [fault for fault in outcomes if isinstance(fault, Throttled)]
        seen = [each for each in outcomes if not isinstance(each, Throttled)]
        refusals = [each for each in outcomes if isinstance(each, NotSignedIn | NotPermitted)]
        # One alone may be refused for that user's own sake, which says nothing of the others.
        if len(refusals) == len(outcomes) > 1:
            return BatchOutcome(
                Coverage(users=len(owners), failed=len(owners)), refusal=refusals[0]
            )
        return BatchOutcome(
            reduce(add, _coverages(seen), Coverage()),
            tuple(
                owner
                for owner, outcome in zip(owners, outcomes, strict=True)
                if isinstance(outcome, Throttled)
            ),
            max((fault.seconds for fault in throttled), default=0),
        )

    async def _scan_owner(self, organization: Organization, owner: Owner) -> _Seen:
        reading = await self.azure_devops.tokens(organization, owner.subject_descriptor)
        decision, account = await self._record(organization, owner, reading)
        await self.inventory.relist(owner, None if decision.changes else account)
        seen = covered(owner, reading.tokens, decision)
        is_kept = bool(reading.tokens or account.owner)
        if not reading.faults:
            return _Seen(seen, is_kept)
        name = (owner.display_name or owner.subject_descriptor)[:_LONGEST_NAME]
        fault = f"{owner.organization}: {name}: {in_brief(reading.faults)}"
        return _Seen(seen + failed(fault, users=0), is_kept)

    async def _record(
        self, organization: Organization, owner: Owner, reading: TokenReading
    ) -> tuple[Decision, Account]:
        for last in (False,) * (_TRIES - 1) + (True,):
            account = await self.inventory.account(owner.partition)
            now = self.clock()
            tokens = tuple(account.shown(token, now) for token in reading.tokens)
            shown = replace(reading, tokens=tokens)
            decision = await self._decide(organization, owner, shown, account)
            try:
                await self._apply(owner, decision)
            except Conflict:
                if last:
                    raise
            else:
                break
        return decision, account

    async def _decide(
        self, organization: Organization, owner: Owner, reading: TokenReading, account: Account
    ) -> Decision:
        now = self.clock()
        due = due_notices(owner, reading.tokens, account, now, self.windows)
        old = too_old(account, owner.partition, reading.tokens, now, self.retention)
        decision = decide(
            owner,
            reading,
            account,
            due,
            unreachable=await self._unreachable(organization, owner) if due else "",
            now=now,
            windows=self.windows,
            routes=self.routes,
        )
        return replace(decision, changes=(*decision.changes, *deletions(old)))

    async def _unreachable(self, organization: Organization, owner: Owner) -> str:
        if not owner.address:
            return NO_ADDRESS
        active = await self.azure_devops.is_active(organization, owner.subject_descriptor)
        return "" if active else NOT_ACTIVE

    async def _apply(self, owner: Owner, decision: Decision) -> None:
        if decision.unreachable:
            why = decision.reason
            await self.store.write(OUTBOX, [Change(Verb.PUT, unsent_row(owner, why, self.clock()))])
        async with pointing(self.store, _hints(owner, decision)):
            for changes in transactions(decision.changes):
                await self.store.write(OWNERS, changes)


def _hints(owner: Owner, decision: Decision) -> Iterator[Change]:
    if decision.notices:
        yield from hints(owner, decision.notices)
    for address, notices in decision.copies.items():
        channel = ROUTED if is_webhook(address) else ""
        yield from hints(replace(owner, address=address), notices, channel)


def _is_kept(outcome: _Seen | BaseException) -> bool:
    """True for who has something in the ledger, or may have: who failed is not looked up."""
    return outcome.is_kept if isinstance(outcome, _Seen) else True


def _coverages(outcomes: Iterable[_Seen | BaseException]) -> Iterable[Coverage]:
    for outcome in outcomes:
        if isinstance(outcome, OwnerGone):
            yield GONE
        elif isinstance(outcome, NotSignedIn | NotPermitted):
            yield failed(f"{outcome}")
        elif isinstance(outcome, AzureDevOpsError):
            yield failed(outcome.cause)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            yield outcome.coverage
