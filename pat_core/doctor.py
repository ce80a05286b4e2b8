"""The flow that tries what a scan and a rotation need, and says what to do about a refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol
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
    PatWardenError,
    VaultError,
    VaultRefused,
)
from pat_core.model import Organization, Owner, Token, TokenReading, UserPage
from pat_core.ports import AzureDevOps, Channel, Vault
from pat_core.records import as_notice
from pat_core.routes import ROUTED

_TRIED_NAME: Final = "pat-warden-doctor"


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
    error: PatWardenError | None = None


class Patient(AzureDevOps, Protocol):
    """What the doctor asks of Azure DevOps."""

    def user_pages(self, organization: Organization) -> AsyncIterator[UserPage]:
        """Every user, a page at a time. Raises AzureDevOpsError."""
        ...

    async def my_tokens(self, organization: Organization) -> TokenReading:
        """Every PAT of the caller. Raises AzureDevOpsError."""
        ...

    async def revoke_tokens(
        self, organization: Organization, authorization_ids: Sequence[str]
    ) -> None:
        """Order the end of tokens. Raises AzureDevOpsError."""
        ...


class Provable(Protocol):
    """What signs owners in."""

    async def prove(self) -> None:
        """Prove this application to Entra. Raises AzureDevOpsError."""
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
    # Nobody has this token, so nothing ends.
    revoking = patient.revoke_tokens(organization, [str(uuid4())])
    mine = patient.my_tokens(organization)
    return [
        *trials,
        await _try(organization, "revoke old tokens", revoking, needed=False),
        await _try(organization, "read my own tokens", mine, needed=False),
    ]


async def examine_rotation(vault: Vault | None, sign_in: Provable | None) -> list[Trial]:
    """A trial for each service that owners rotate by, as far as it is set up.

    The vault is only read: a secret that was written for a trial would stay there.
    """
    trials = []
    if sign_in:
        place = Organization("Entra")
        trials.append(await _try(place, "sign owners in", sign_in.prove(), needed=False))
    if vault:
        place = Organization("Key Vault")
        trials.append(await _try(place, "read secrets", vault.kept(_TRIED_NAME), needed=False))
    return trials


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
    except (AzureDevOpsError, ChannelError, VaultError) as error:
        return _refused(organization, permission, error, needed=needed)
    return Trial(organization.name, permission, Verdict.OK, needed=needed)


def _refused(
    organization: Organization,
    permission: str,
    error: PatWardenError,
    *,
    needed: bool,
) -> Trial:
    final = isinstance(
        error,
        NotSignedIn
        | NotPermitted
        | OrganizationNotFound
        | ChannelMisconfigured
        | AddressRefused
        | VaultRefused,
    )
    verdict = Verdict.REFUSED if final else Verdict.UNKNOWN
    return Trial(organization.name, permission, verdict, str(error), needed, error)
