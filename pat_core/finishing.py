"""The flow that brings rotations to their end, and cleans up after those that were interrupted."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol, Unpack

from pat_core.audit import SERVICE, Result
from pat_core.book import Book, Follows, rotation_entry
from pat_core.errors import AzureDevOpsError, Conflict, PatWardenError, VaultError
from pat_core.model import Deed, Organization, Owner, Token
from pat_core.ports import SILENT, Meter, TokenAdmin, TokenReader, Vault
from pat_core.records import Account
from pat_core.rotation import rotated_words
from pat_core.rotations import (
    ROTATING,
    Rotation,
    RotationState,
    Step,
    ended,
    given_up,
    handed_over,
    is_the_one,
    next_step,
    read_rotating_hint,
    superseded,
)
from pat_core.rows import OUTBOX, Change, Row, Verb
from pat_core.signals import ROTATION_COUNT, Event
from pat_core.trail import Trail

_LOG: Final = logging.getLogger("pat_warden")
_NEVER_IN_HAND: Final = (
    "The rotation was interrupted before the new token reached anybody. It is revoked and the old "
    "one stays: rotate again."
)
_NOT_FOUND: Final = (
    "The rotation was interrupted. The old token stays: rotate again. If your list shows a second "
    "token of the same name that you did not make, revoke it."
)
_NEW_IS_GONE: Final = "The new token is gone, so the old one is kept."


class Admin(TokenReader, TokenAdmin, Protocol):
    """What the service itself may see and do."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How many rotations were brought on, wait for their time, and stand in trouble."""

    moved: int = 0
    waiting: int = 0
    troubled: int = 0


@dataclass(frozen=True, slots=True)
class Finisher:
    """Works by the service's own identity, which can revoke tokens and make none.

    With `only` it minds the rotations of one owner.
    """

    book: Book
    admin: Admin
    organizations: dict[str, Organization]
    vault: Vault | None = None
    only: Owner | None = None
    meter: Meter = SILENT
    trail: Trail | None = None

    async def finish(self) -> Finished:
        """What became of all rotations that are not over. One that fails never stops the rest.

        Raises LedgerError.
        """
        moved = waiting = troubled = 0
        async for hint in self.book.store.rows(OUTBOX, ROTATING):
            try:
                done = await self._visit(hint)
            except (AzureDevOpsError, VaultError, Conflict) as fault:
                _LOG.warning(Event.ROTATION_STUCK, extra={"kind": type(fault).__name__})
                troubled += 1
                self.meter.record(ROTATION_COUNT, 1, action="finish", outcome="failed")
            else:
                moved, waiting = moved + done, waiting + (not done)
                if done:
                    self.meter.record(ROTATION_COUNT, 1, action="finish", outcome="done")
        return Finished(moved, waiting, troubled)

    async def _visit(self, hint: Row) -> bool:
        owner, authorization_id = read_rotating_hint(hint)
        if self.only and owner.partition != self.only.partition:
            return False
        organization = self.organizations.get(owner.organization.lower())
        account = await self.book.account(owner)
        rotation = account.rotations.get(authorization_id)
        known = account.tokens.get(authorization_id)
        if organization is None:
            # It may be back in the settings tomorrow, and its rotations with it.
            return False
        if rotation is None:
            return await self._forget(hint)
        old = known.token if known and known.gone_at is None else None
        step = next_step(rotation, old, self.book.clock())
        if step is Step.FORGET:
            return await self._forget(hint)
        if step is Step.WAIT:
            return False
        visit = _Visit(self, organization, owner, rotation, account)
        try:
            await visit.take(step)
        except PatWardenError as fault:
            await visit.note(fault)
            raise
        return True

    async def _forget(self, hint: Row) -> bool:
        await self.book.store.write(OUTBOX, [Change(Verb.DELETE, hint)])
        return True


@dataclass(frozen=True, slots=True)
class _Visit:
    """One rotation and the step that is due."""

    finisher: Finisher
    organization: Organization
    owner: Owner
    rotation: Rotation
    account: Account

    @property
    def old(self) -> Token:
        return self.account.tokens[self.rotation.authorization_id].token

    async def take(self, step: Step) -> None:
        steps = {
            Step.LOOK_FOR_NEW: self._look_for_new,
            Step.LOOK_IN_VAULT: self._look_in_vault,
            Step.REVOKE_NEW: self._revoke_new,
            Step.SUPERSEDE: self._supersede,
            Step.REVOKE_OLD: self._revoke_old,
            Step.FINISH: self._finish,
        }
        await steps[step]()

    async def note(self, fault: PatWardenError) -> None:
        """Write what stands in the way, so that its owner and ops see it."""
        if isinstance(fault, Conflict) or self.rotation.state is not RotationState.SUPERSEDED:
            return
        account = await self.finisher.book.account(self.owner)
        known = account.rotations[self.rotation.authorization_id]
        # What was refused for good did not happen; of the rest nobody knows.
        is_ending = known.is_ending and not fault.permanent
        await self._write(replace(known, trouble=str(fault), is_ending=is_ending))

    async def _look_for_new(self) -> None:
        reading = await self.finisher.admin.tokens(self.organization, self.owner.subject_descriptor)
        recorded = {each.new_id for each in self.account.rotations.values()}
        made = [
            token
            for token in reading.tokens
            if token.is_valid
            and is_the_one(self.rotation, self.old, token)
            and token.authorization_id not in recorded
        ]
        if len(made) == 1:
            found = replace(self.rotation, new_id=made[0].authorization_id)
            await self._give_up(found, _NEVER_IN_HAND)
        else:
            await self._give_up(self.rotation, _NOT_FOUND)

    async def _look_in_vault(self) -> None:
        vault = self.finisher.vault
        kept = await vault.kept(self.rotation.vault_name) if vault else None
        if kept and kept.authorization_id == self.rotation.new_id:
            await self._write(handed_over(self.rotation, kept))
        else:
            await self._give_up(self.rotation, _NEVER_IN_HAND)

    async def _revoke_new(self) -> None:
        if self.rotation.state is RotationState.ISSUED:
            await self._give_up(self.rotation, _NEVER_IN_HAND)
        else:
            await self._clean_up(self.rotation)

    async def _supersede(self) -> None:
        rotation = superseded(self.rotation, self.old, self._now)
        await self._write(
            rotation, lets_expire=True, deed=Deed.ROTATED, detail=rotated_words(rotation)
        )

    async def _revoke_old(self) -> None:
        reading = await self.finisher.admin.tokens(self.organization, self.owner.subject_descriptor)
        alive = {
            token.authorization_id
            for token in reading.tokens
            if self.account.known(token).is_valid and token.valid_to > self._now
        }
        if alive.isdisjoint(self.account.in_hand(self.rotation.new_id)):
            if reading.faults:
                return
            kept = ended(given_up(self.rotation, _NEW_IS_GONE, self._now), self._now)
            await self._write(kept, lets_expire=False, deed=Deed.GIVEN_UP, detail=_NEW_IS_GONE)
            return
        # Whoever decided otherwise since this was read has changed the row: then this is refused.
        # Whoever reads it from now on knows that it is too late.
        ending = replace(self.rotation, is_ending=True)
        ending = replace(ending, version=await self._write(ending))
        await self._revoke(self.old.authorization_id)
        await self._write(ended(ending, self._now), is_valid=False)

    async def _finish(self) -> None:
        await self._write(ended(self.rotation, self._now))

    async def _give_up(self, rotation: Rotation, why: str) -> None:
        rotation = given_up(rotation, why, self._now)
        version = await self._write(rotation, deed=Deed.GIVEN_UP, detail=why)
        if rotation.new_id:
            await self._clean_up(replace(rotation, version=version))

    async def _clean_up(self, rotation: Rotation) -> None:
        """Revoke a new token that nobody has."""
        await self._revoke(rotation.new_id)
        await self._write(ended(rotation, self._now))

    async def _revoke(self, authorization_id: str) -> None:
        """End a token, and put it on record where a trail is kept."""
        trail = self.finisher.trail
        service = replace(self.owner, subject_descriptor=SERVICE, display_name="")
        asked = await trail.asked(service, "revoke", authorization_id) if trail else None
        result = Result.FAILED
        try:
            await self.finisher.admin.revoke_tokens(self.organization, [authorization_id])
            result = Result.DONE
        finally:
            if trail and asked:
                await trail.ended(asked, result)

    async def _write(self, rotation: Rotation, **follows: Unpack[Follows]) -> str:
        entry = rotation_entry(self.old, rotation, **follows)
        return await self.finisher.book.write(self.owner, entry)

    @property
    def _now(self) -> datetime:
        return self.finisher.book.clock()
