"""The flow that tries each permission a scan needs, and says what to do about a refused one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import uuid4

from pat_core.digest import compose
from pat_core.errors import (
    AddressRefused,
    AzureDevOpsError,
    ChannelError,
    ChannelMisconfigured,
    NotPermitted,
    NotSignedIn,
    OrganizationNotFound,
)
from pat_core.model import Organization, Owner, Token, TokenReading, UserPage
from pat_core.ports import AzureDevOps, Channel
from pat_core.records import as_notice
from pat_core.routes import ROUTED


class Verdict(StrEnum):
    """What a trial showed."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Trial:
    """One permission that was tried in an organization, or a channel that was.

    A scan needs those that are `needed`.
    """

    organization: str
    permission: str
    verdict: Verdict
    detail: str = ""
    needed: bool = True
    error: AzureDevOpsError | ChannelError | None = None


class Patient(AzureDevOps, Protocol):
    """What the doctor asks of Azure DevOps."""

    def user_pages(self, organization: Organization) -> AsyncIterator[UserPage]:
        """Every user, a page at a time. Raises AzureDevOpsError."""
        ...

    async def my_tokens(self, organization: Organization) -> TokenReading:
        """Every PAT of the caller. Raises AzureDevOpsError."""
        ...


async def examine(patient: Patient, organization: Organization) -> list[Trial]:
    """A trial for each permission, in the order in which a scan needs them."""
    users, owner = await _list_users(patient, organization)
    trials = [users]
    if owner is not None:
        trials += [
            await _try(
                organization,
                "read another user's tokens",
                patient.tokens(organization, owner.subject_descriptor),
            ),
            await _try(
                organization,
                "read membership states",
                patient.is_active(organization, owner.subject_descriptor),
            ),
        ]
    mine = _try(organization, "read my own tokens", patient.my_tokens(organization), needed=False)
    return [*trials, await mine]


async def send_test(
    channels: Mapping[str, Channel], address: str, now: datetime, webhooks: Sequence[str] = ()
) -> list[Trial]:
    """A trial for each channel: a digest of one invented token is handed over to an address.

    `webhooks` are the recipients that stand for the webhooks of routes: each gets one too.
    """
    token = Token(str(uuid4()), "A test of PAT Warden", "vso.code", now, now + timedelta(days=7))
    owner = Owner("test", "test", "", address)
    trials = []
    for name, channel in channels.items():
        for recipient in webhooks if name == ROUTED else [address]:
            digest = compose([as_notice(owner, token, 7)], recipient)
            sending = channel.send(digest, operation_id=str(uuid4()), claimed_at=now)
            trials.append(await _try(Organization(name), f"send to {recipient}", sending))
    return trials


async def _list_users(patient: Patient, organization: Organization) -> tuple[Trial, Owner | None]:
    permission = "list users"
    try:
        async for page in patient.user_pages(organization):
            if page.owners:
                return Trial(organization.name, permission, Verdict.OK), page.owners[-1]
    except AzureDevOpsError as error:
        return _refused(organization, permission, error, needed=True), None
    detail = "The organization has no users, so nothing else could be tried."
    return Trial(organization.name, permission, Verdict.UNKNOWN, detail), None


async def _try(
    organization: Organization, permission: str, call: Awaitable[object], *, needed: bool = True
) -> Trial:
    try:
        await call
    except (AzureDevOpsError, ChannelError) as error:
        return _refused(organization, permission, error, needed=needed)
    return Trial(organization.name, permission, Verdict.OK, needed=needed)


def _refused(
    organization: Organization,
    permission: str,
    error: AzureDevOpsError | ChannelError,
    *,
    needed: bool,
) -> Trial:
    final = isinstance(
        error,
        NotSignedIn | NotPermitted | OrganizationNotFound | ChannelMisconfigured | AddressRefused,
    )
    verdict = Verdict.REFUSED if final else Verdict.UNKNOWN
    return Trial(organization.name, permission, verdict, str(error), needed, error)
