"""Puts service identities into organizations, as an administrator of them."""

from __future__ import annotations

from collections.abc import Callable

from pat_core.azure_devops import members, replies, wire
from pat_core.azure_devops.paging import pages
from pat_core.azure_devops.sending import Sender
from pat_core.errors import IdentityNotFound, OwnerGone
from pat_core.model import Organization


class Enrolment:
    """Implements the port Enrolment of `joining`."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def find_group(self, organization: Organization, name: str) -> str:
        """The descriptor of a group of the whole organization, or "". Raises AzureDevOpsError."""
        principal_name = f"[{organization.name}]\\{name}"
        return await self._first(
            lambda after: members.list_groups(organization, after),
            lambda reply: members.read_group(reply, principal_name),
        )

    async def find_identity(self, organization: Organization, object_id: str) -> str:
        """The descriptor of an identity that is an active user, or "". Raises AzureDevOpsError."""
        found = await self._first(
            lambda after: members.list_identities(organization, after),
            lambda reply: members.read_identity(reply, object_id),
        )
        return found if found and await self._is_active(organization, found) else ""

    async def add_identity(self, organization: Organization, object_id: str) -> str:
        """Make an identity a user; gives its descriptor, "" where Azure DevOps does not tell it.

        Raises IdentityNotFound, or another AzureDevOpsError.
        """
        reply = await self._sender.reply(members.add_identity(organization, object_id))
        return members.read_added(organization, object_id, reply)

    async def is_member(self, organization: Organization, member: str, group: str) -> bool:
        """True for who is in a group. Raises AzureDevOpsError."""
        try:
            await self._sender.reply(members.look_up_member(organization, member, group))
        except IdentityNotFound:
            return False
        return True

    async def add_member(self, organization: Organization, member: str, group: str) -> None:
        """Put one into a group; one who is in it stays so.

        Raises IdentityNotFound, or another AzureDevOpsError.
        """
        await self._sender.reply(members.add_member(organization, member, group))

    async def _is_active(self, organization: Organization, descriptor: str) -> bool:
        request = wire.membership_state(organization, descriptor)
        try:
            return replies.read_membership(await self._sender.reply(request))
        except OwnerGone:
            return False

    async def _first(
        self,
        ask: Callable[[str], wire.Request],
        read: Callable[[wire.Reply], tuple[str, str]],
    ) -> str:
        async for found in pages(self._sender, ask, read):
            if found:
                return found
        return ""
