"""What the flows need from the outside, as Protocols of one to three methods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol

from pat_core.model import Digest, Organization, Owner, Token

Clock = Callable[[], datetime]
"""Answers with the time now, aware UTC. Only `bootstrap` makes one."""

Sleep = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""

Value = str | int | float | bool | datetime
"""What a column of a row may hold; a column without a value is left out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the ledger. `version` is "" until the store has given it one."""

    partition: str
    key: str
    values: Mapping[str, Value] = field(default_factory=dict)
    version: str = ""


class Verb(Enum):
    """How a row is written: `PUT` writes over whatever is there, the others insist."""

    INSERT = "insert"
    REPLACE = "replace"
    PUT = "put"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One row and how it is to be written."""

    verb: Verb
    row: Row


class Store(Protocol):
    """Rows by table, partition and key, ordered by key within a partition."""

    def rows(self, table: str, partition: str, *, after: str = "") -> AsyncIterator[Row]:
        """Every row of a partition whose key comes after `after`, in order of keys.

        Raises LedgerUnavailable (trying again helps).
        """
        ...

    async def write(self, table: str, changes: Sequence[Change]) -> None:
        """Make up to 100 changes to one partition, all of them or none.

        Raises Conflict where an inserted row exists, or a replaced or deleted one is gone or has
        another version; LedgerUnavailable (trying again helps).
        """
        ...


@dataclass(frozen=True, slots=True)
class UserPage:
    """One page of an organization's users; `faults` holds a sentence for each unreadable one."""

    owners: tuple[Owner, ...]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenReading:
    """All tokens of one owner; `faults` holds a sentence for each unreadable one."""

    tokens: tuple[Token, ...]
    faults: tuple[str, ...] = ()


class Directory(Protocol):
    """Who may own tokens in an organization."""

    def user_pages(self, organization: Organization) -> AsyncIterator[UserPage]:
        """Every user, a page at a time. Raises AzureDevOpsError."""
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


class Channel(Protocol):
    """One way to reach an owner."""

    async def send(self, digest: Digest, *, operation_id: str, claimed_at: datetime) -> None:
        """Hand one digest over; the same `operation_id` and `claimed_at` again does no harm.

        Raises ChannelError; its `permanent` says whether trying again helps.
        """
        ...
