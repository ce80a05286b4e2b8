"""The flow that scans a batch of users: their tokens are read, and what is due is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final

from pat_core.coverage import GONE, Coverage, covered, failed, in_brief
from pat_core.decision import NO_ADDRESS, NOT_ACTIVE
from pat_core.errors import (
    AzureDevOpsError,
    NotPermitted,
    NotSignedIn,
    OwnerGone,
    Throttled,
)
from pat_core.inventory import Inventory
from pat_core.model import Organization, Owner
from pat_core.ports import AzureDevOps, Clock, Store
from pat_core.recording import Recorder

_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What was seen of a batch, who is left for later, and in how many seconds.

    `refusal` is what refused every user of the batch, if anything did.
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
    """Reads owners' tokens and has recorded what is due."""

    azure_devops: AzureDevOps
    recorder: Recorder

    @property
    def inventory(self) -> Inventory:
        """The copy of all tokens, with the ledger behind it."""
        return self.recorder.inventory

    @property
    def store(self) -> Store:
        """The ledger."""
        return self.inventory.store

    @property
    def clock(self) -> Clock:
        """What tells the time."""
        return self.inventory.clock

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
        await self.inventory.seen(_there(owners, outcomes))
        return _outcome(owners, outcomes)

    async def _scan_owner(self, organization: Organization, owner: Owner) -> _Seen:
        reading = await self.azure_devops.tokens(organization, owner.subject_descriptor)
        decision, account = await self.recorder.record(
            owner, reading, lambda: self._unreachable(organization, owner)
        )
        await self.inventory.relist(owner, None if decision.changes else account)
        seen = covered(owner, reading.tokens, decision)
        is_kept = bool(reading.tokens or account.owner)
        if not reading.faults:
            return _Seen(seen, is_kept)
        name = (owner.display_name or owner.subject_descriptor)[:_LONGEST_NAME]
        fault = f"{owner.organization}: {name}: {in_brief(reading.faults)}"
        return _Seen(seen + failed(fault, users=0), is_kept)

    async def _unreachable(self, organization: Organization, owner: Owner) -> str:
        if not owner.address:
            return NO_ADDRESS
        active = await self.azure_devops.is_active(organization, owner.subject_descriptor)
        return "" if active else NOT_ACTIVE


def _there(owners: Sequence[Owner], outcomes: Sequence[_Seen | BaseException]) -> Iterable[Owner]:
    """Those who are in the organization, as far as the ledger has to know of them."""
    for owner, outcome in zip(owners, outcomes, strict=True):
        if _is_kept(outcome) and not isinstance(outcome, OwnerGone | Throttled):
            yield owner


def _outcome(owners: Sequence[Owner], outcomes: Sequence[_Seen | BaseException]) -> BatchOutcome:
    throttled = {
        owner: fault
        for owner, fault in zip(owners, outcomes, strict=True)
        if isinstance(fault, Throttled)
    }
    seen = [each for each in outcomes if not isinstance(each, Throttled)]
    refusals = [each for each in seen if isinstance(each, NotSignedIn | NotPermitted)]
    refusal = refusals[0] if refusals and len(refusals) == len(owners) else None
    coverage = reduce(add, _coverages(seen), Coverage())
    if refusal and len(owners) > 1:
        # What stops a run is said once, and not of each user.
        coverage = Coverage(users=len(owners), failed=len(owners))
    wait = max((fault.seconds for fault in throttled.values()), default=0)
    return BatchOutcome(coverage, tuple(throttled), wait, refusal)


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
