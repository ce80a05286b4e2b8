"""The flow by which an owner rotates where no service looks after the old token later.

The owner's own hands do what the service does elsewhere by its own identity: they clean up what was
interrupted, and give the old token the end of its overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pat_core.book import Entry
from pat_core.errors import ActionRefused
from pat_core.expiry import effective_expiry
from pat_core.finishing import Finisher
from pat_core.model import Organization, TokenReading
from pat_core.rotation import Hands, Rotator
from pat_core.rotations import Rotation, RotationState


@dataclass(frozen=True, slots=True)
class Settled:
    """A rotation that is over for its owner; the old token lives until `old_ends_at`."""

    rotation: Rotation
    old_ends_at: datetime


@dataclass(frozen=True, slots=True)
class Renewal:
    """An owner's rotations in one organization, from beginning to end."""

    rotator: Rotator
    hands: Hands
    organization: Organization

    async def tidy(self) -> None:
        """Bring the owner's rotations on that were interrupted before.

        Raises AzureDevOpsError, LedgerError.
        """
        owner = await self.hands.caller(self.organization)
        places = {self.organization.name.lower(): self.organization}
        admin = _OwnAdmin(self.hands)
        finisher = Finisher(self.rotator.book, admin, places, self.rotator.vault, only=owner)
        await finisher.finish()

    async def settle(self, authorization_id: str) -> Settled:
        """The rotation once its new token is in its owner's hands: the old one ends by itself.

        A global one keeps its own end until `tidy` comes by after the overlap.

        Raises as `Rotator.rotate` does; TokenRefused where the old one keeps its own end.
        """
        where = (self.hands, self.organization, authorization_id)
        rotation = await self.rotator.confirm(*where)
        if rotation.state not in (RotationState.SUPERSEDED, RotationState.DONE):
            raise ActionRefused(f"The rotation is {rotation.state}, so the old token stays.")
        ends_at = rotation.revoke_at or rotation.ended_at or self.rotator.book.clock()
        if rotation.state is RotationState.DONE:
            return Settled(rotation, ends_at)
        old = await self.hands.my_token(self.organization, authorization_id)
        # To give a global one another end is to narrow it: `tidy` revokes it after the overlap.
        if old.valid_to > ends_at and not old.is_global:
            old = await self.hands.extend(self.organization, old, ends_at)
            owner = await self.hands.caller(self.organization)
            await self.rotator.book.write(owner, Entry(old))
        return Settled(rotation, effective_expiry(old))


@dataclass(frozen=True, slots=True)
class _OwnAdmin:
    """An owner in the place of an administrator, for the owner's own tokens."""

    hands: Hands

    async def tokens(self, organization: Organization, _subject_descriptor: str) -> TokenReading:
        return await self.hands.my_tokens(organization)

    async def revoke_tokens(
        self, organization: Organization, authorization_ids: Sequence[str]
    ) -> None:
        for each in authorization_ids:
            await self.hands.revoke(organization, each)
