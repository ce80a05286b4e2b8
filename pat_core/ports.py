"""What the flows need from the outside, as Protocols of one to three methods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from pat_core.model import (
    Digest,
    IssuedToken,
    NewToken,
    Organization,
    Owner,
    Token,
    TokenReading,
    UserPage,
    VaultSecret,
)
from pat_core.rows import Change, Row
from pat_core.signals import Metric

if TYPE_CHECKING:  # not imported for every function: only one sums up
    from pat_core.summary import Summary

Clock = Callable[[], datetime]
"""Answers with the time now, aware UTC. Only `bootstrap` makes one."""

Sleep = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""


class Meter(Protocol):
    """Where figures about the service go."""

    def record(self, metric: Metric, value: float, **attributes: str) -> None:
        """Add to a counter, or set what was measured; never raises."""
        ...


class _Silent:
    def record(self, metric: Metric, value: float, **attributes: str) -> None:
        """Nothing."""


SILENT: Final[Meter] = _Silent()
"""For who measures nothing."""


class Store(Protocol):
    """Rows by table, partition and key, ordered by key within a partition."""

    def rows(
        self, table: str, partition: str, *, after: str = "", before: str = ""
    ) -> AsyncIterator[Row]:
        """Every row of a partition with a key after `after` and before `before`, in order of keys.

        Raises LedgerUnavailable (trying again helps).
        """
        ...

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        """One row, or None where there is none. Raises LedgerUnavailable (trying again helps)."""
        ...

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        """Make up to 100 changes to one partition, all of them or none; gives the new versions.

        Raises Conflict where an inserted row exists, or a replaced or deleted one is gone or has
        another version; LedgerUnavailable (trying again helps).
        """
        ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """What stands in a queue: about how many messages, and the first few of them."""

    count: int = 0
    first: tuple[str, ...] = ()


class Queues(Protocol):
    """Messages by the name of their queue; each is delivered at least once, in any order."""

    async def send(self, queue: str, message: str, *, delay: float = 0) -> None:
        """Put a message on a queue; nobody sees it for `delay` seconds.

        Raises QueueUnavailable (trying again helps).
        """
        ...

    async def waiting(self, queue: str) -> Waiting:
        """What stands in a queue; it stays there. Raises QueueUnavailable."""
        ...


class Directory(Protocol):
    """Who may own tokens in an organization."""

    async def user_page(self, organization: Organization, continuation_token: str = "") -> UserPage:
        """One page of users, the first without a token. Raises AzureDevOpsError."""
        ...

    async def is_active(self, organization: Organization, subject_descriptor: str) -> bool:
        """True while the user is an active member. Raises AzureDevOpsError."""
        ...


class TokenReader(Protocol):
    """Which tokens an owner has."""

    async def tokens(self, organization: Organization, subject_descriptor: str) -> TokenReading:
        """Every token of one user, metadata only. Raises AzureDevOpsError, OwnerGone among them."""
        ...


class AzureDevOps(Directory, TokenReader, Protocol):
    """What a scan reads."""


class Outcome(Enum):
    """What a provider knows of an operation id. Unknown does not mean that it was not sent."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Channel(Protocol):
    """One way to reach an owner."""

    async def send(self, digest: Digest, *, operation_id: str, claimed_at: datetime) -> None:
        """Hand one digest over; the same `operation_id` and `claimed_at` again does no harm.

        Raises AddressRefused, ChannelBusy or ChannelMisconfigured where it was surely not taken,
        another ChannelError where nobody knows.
        """
        ...

    async def outcome(self, operation_id: str) -> Outcome:
        """What became of what was handed over under that id. Raises ChannelError."""
        ...


class OpsChannel(Protocol):
    """One way to reach those who run the service."""

    async def report(self, summary: Summary) -> None:
        """Hand a summary over. Raises ChannelError."""
        ...


class OwnTokenReader(Protocol):
    """What an owner sees who is signed in with Entra."""

    async def caller(self, organization: Organization) -> Owner:
        """The user who makes the calls. Raises AzureDevOpsError, NotSignedIn among them."""
        ...

    async def my_tokens(self, organization: Organization) -> TokenReading:
        """Every PAT of the caller, revoked and expired ones too. Raises AzureDevOpsError."""
        ...

    async def my_token(self, organization: Organization, authorization_id: str) -> Token:
        """One PAT of the caller. Raises TokenNotFound, or another AzureDevOpsError."""
        ...


class OwnTokenWriter(Protocol):
    """What an owner may do who is signed in with Entra; nothing is tried twice."""

    async def create(self, organization: Organization, wanted: NewToken) -> IssuedToken:
        """A new PAT of the caller, as it came back.

        Raises TokenRefused where none was made for sure, Unavailable or BrokenReply where nobody
        knows, or another AzureDevOpsError (none was made).
        """
        ...

    async def extend(self, organization: Organization, token: Token, valid_to: datetime) -> Token:
        """The PAT with the end that came back. Raises TokenRefused, AzureDevOpsError."""
        ...

    async def revoke(self, organization: Organization, authorization_id: str) -> None:
        """End a PAT of the caller; one that is gone is no fault. Raises AzureDevOpsError."""
        ...


class OwnTokens(OwnTokenReader, OwnTokenWriter, Protocol):
    """An owner's PATs in the owner's own hands."""


class TokenAdmin(Protocol):
    """What the service itself may do to anybody's tokens."""

    async def revoke_tokens(
        self, organization: Organization, authorization_ids: Sequence[str]
    ) -> None:
        """Order the end of tokens; it may take an hour, and doing it twice does no harm.

        Raises AzureDevOpsError, NotPermitted among them.
        """
        ...


class TokenTrial(Protocol):
    """Whether a secret opens the door."""

    async def works(self, organization: Organization, issued: IssuedToken) -> bool | None:
        """True or false as Azure DevOps says; None where it cannot be tried or told."""
        ...


class Vault(Protocol):
    """Where the secrets of new tokens are kept."""

    async def kept(self, name: str) -> VaultSecret | None:
        """The newest version of a secret, or None. Raises VaultError."""
        ...

    async def keep(self, name: str, owner: Owner, issued: IssuedToken) -> VaultSecret:
        """Keep a token's secret under a name; what was there becomes an older version.

        Raises VaultRefused where the name holds somebody else's secret, VaultError.
        """
        ...
