"""The flow that puts the service's identity into an organization and its administrators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from pat_core.errors import IdentityNotFound, RequestRefused
from pat_core.model import Organization
from pat_core.ports import Sleep

GROUP: Final = "Project Collection Administrators"
BETWEEN: Final = 5.0
"""Seconds between two tries."""
Told = Callable[[str], None]
Answer = TypeVar("Answer")


class Identities(Protocol):
    """Which service identities are users of an organization."""

    async def find_identity(self, organization: Organization, object_id: str) -> str:
        """The descriptor of an identity that is an active user, or "". Raises AzureDevOpsError."""
        ...

    async def add_identity(self, organization: Organization, object_id: str) -> str:
        """Make an identity a user; gives its descriptor, "" where Azure DevOps does not tell it.

        Raises IdentityNotFound, or another AzureDevOpsError.
        """
        ...


class Groups(Protocol):
    """Who is in the groups of an organization."""

    async def find_group(self, organization: Organization, name: str) -> str:
        """The descriptor of a group of the whole organization, or "". Raises AzureDevOpsError."""
        ...

    async def is_member(self, organization: Organization, member: str, group: str) -> bool:
        """True for who is in a group. Raises AzureDevOpsError."""
        ...

    async def add_member(self, organization: Organization, member: str, group: str) -> None:
        """Put one into a group. Raises IdentityNotFound, or another AzureDevOpsError."""
        ...


class Enrolment(Identities, Groups, Protocol):
    """What an administrator of an organization does for a newcomer."""


@dataclass(frozen=True, slots=True)
class Joining:
    """What joins one identity to one organization; `told` hears each step in a sentence.

    What was done stays done, so that after a failure the same again goes on from there.
    """

    enrolment: Enrolment
    organization: Organization
    object_id: str
    sleep: Sleep
    told: Told

    async def join(self, wait: float) -> bool:
        """True where something was changed, false where all was as it should be.

        An identity that Azure DevOps does not know yet is awaited for `wait` seconds. Raises
        IdentityNotFound where it stays so, or another AzureDevOpsError.
        """
        # First what is only read: where that is refused, nothing has been changed.
        group = await self._group()
        patience = _Patience(self.sleep, self.told, wait)
        there = await self.enrolment.find_identity(self.organization, self.object_id)
        if there:
            self._say(f"the identity {self.object_id} is a user already.")
        member = there or await self._add(patience)
        if await self.enrolment.is_member(self.organization, member, group):
            self._say(f"it is in {GROUP} already.")
            return not there
        await patience.have(
            lambda: self.enrolment.add_member(self.organization, member, group), "in its directory"
        )
        self._say(f"it is now in {GROUP}.")
        return True

    async def _group(self) -> str:
        if found := await self.enrolment.find_group(self.organization, GROUP):
            return found
        raise RequestRefused(
            f"{self.organization.name}: the group {GROUP} is not among those that you may see.",
            remedy="Sign in as one of its members.",
        )

    async def _add(self, patience: _Patience) -> str:
        enrolment, organization = self.enrolment, self.organization
        found = await patience.have(
            lambda: enrolment.add_identity(organization, self.object_id), "in the tenant"
        )
        self._say(f"the identity {self.object_id} is now a user, with the access level Basic.")
        return found or await patience.have(self._descriptor, "in its directory")

    async def _descriptor(self) -> str:
        if found := await self.enrolment.find_identity(self.organization, self.object_id):
            return found
        raise IdentityNotFound(
            f"{self.organization.name}: the identity was added, but it is not listed yet.",
            remedy="Run the same command again in a few minutes.",
        )

    def _say(self, what: str) -> None:
        self.told(f"{self.organization.name}: {what}")


@dataclass(slots=True)
class _Patience:
    """What is left of the seconds that one is willing to wait."""

    sleep: Sleep
    told: Told
    left: float

    async def have(self, call: Callable[[], Awaitable[Answer]], where: str) -> Answer:
        """What the call gives as soon as the identity is known. Raises AzureDevOpsError."""
        has_said = False
        while True:
            try:
                return await call()
            except IdentityNotFound:
                if self.left <= 0:
                    raise
            if not has_said:
                self.told(
                    f"Azure DevOps does not find the identity {where}. For one that is new this "
                    f"takes a minute or two; trying again for {self.left:.0f} seconds."
                )
                has_said = True
            pause = min(BETWEEN, self.left)
            self.left -= pause
            await self.sleep(pause)
