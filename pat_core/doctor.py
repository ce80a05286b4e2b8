"""The flow that tries what the service needs, and says what to do about a refusal."""

from __future__ import annotations

import asyncio
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
    LedgerError,
    LedgerRefused,
    LedgerTooNew,
    LedgerUnavailable,
    NotPermitted,
    NotSignedIn,
    OrganizationNotFound,
    OtherCapitals,
    PatWardenError,
    QueueRefused,
    QueueUnavailable,
    VaultError,
    VaultRefused,
)
from pat_core.messages import ORGANIZATIONS, USERS
from pat_core.model import Organization, Owner, Token, TokenReading, UserPage
from pat_core.ports import AzureDevOps, Channel, Queues, Store, Vault
from pat_core.records import as_notice
from pat_core.routes import ROUTED
from pat_core.rows import OWNERS

_TRIED_NAME: Final = "pat-warden-doctor"
_WAIT: Final = 20.0
_FIND_STORAGE: Final = (
    "Check the name of the storage account, and whether its network lets you in from here."
)
_QUEUES: Final = (ORGANIZATIONS, USERS)
_SEND_ONE: Final = "python -m pat_core doctor --send-test ADDRESS"


class Verdict(StrEnum):
    """What a trial showed."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Trial:
    """One permission that was tried in an organization, or in a service beside it.

    What is not `needed` to scan and to tell owners serves something else, named by `serves`.
    """

    organization: str
    permission: str
    verdict: Verdict
    detail: str = ""
    needed: bool = True
    error: PatWardenError | None = None
    serves: str = "rotate"


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


class Reachable(Protocol):
    """A channel that can perhaps be asked something without having it send."""

    async def reach(self) -> bool:
        """True where its provider lets us in, false where only sending can tell.

        Raises ChannelError.
        """
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


async def examine_storage(store: Store, queues: Queues) -> list[Trial]:
    """A trial for the ledger and one for each queue; nothing is written."""
    place = Organization("Storage")
    asked: dict[str, Awaitable[object]] = {
        "read the ledger": store.row(OWNERS, _TRIED_NAME, _TRIED_NAME)
    }
    asked |= {f"see the queue {each}": queues.waiting(each) for each in _QUEUES}
    trials = (_try(place, what, _in_time(call)) for what, call in asked.items())
    return list(await asyncio.gather(*trials))


async def examine_channels(channels: Mapping[str, Reachable]) -> list[Trial]:
    """A trial for each channel that is set up; nothing is sent."""
    return [await _reach(name, channel) for name, channel in channels.items()]


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


async def _in_time(call: Awaitable[object]) -> None:
    """What storage answers. Raises LedgerUnavailable where it takes longer than one waits.

    Its SDK tries for minutes, which is right for a scan and not for who sits and looks.
    """
    try:
        await asyncio.wait_for(call, _WAIT)
    except TimeoutError:
        cause = f"Storage gave no answer within {_WAIT:.0f} seconds."
        raise LedgerUnavailable(cause, remedy=_FIND_STORAGE) from None


async def _reach(name: str, channel: Reachable) -> Trial:
    what = "reach the channel"
    try:
        reached = await channel.reach()
    except ChannelError as error:
        return _refused(Organization(name), what, error, needed=True)
    if reached:
        detail = f"Whether it also sends shows only a test: {_SEND_ONE}"
        return Trial(name, what, Verdict.OK, detail)
    detail = f"It is set up, but only a test shows whether it sends: {_SEND_ONE}"
    return Trial(name, what, Verdict.UNKNOWN, detail, needed=False, serves="tell owners")


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
    except (
        AzureDevOpsError,
        ChannelError,
        LedgerError,
        QueueUnavailable,
        VaultError,
    ) as error:
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
        | VaultRefused
        | LedgerRefused
        | LedgerTooNew
        | OtherCapitals
        | QueueRefused,
    )
    verdict = Verdict.REFUSED if final else Verdict.UNKNOWN
    return Trial(organization.name, permission, verdict, str(error), needed, error)
