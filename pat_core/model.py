"""The records everything else speaks in: frozen, without I/O.

Names are Azure DevOps' own in snake case where the thing is theirs. Every time is aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import SecretStr

EXPIRED: Final = 0
"""The tightest window of all: the token has expired."""
MOST_LISTED: Final = 100
"""How many rows a digest has; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Organization:
    """One Azure DevOps organization, or one collection of an Azure DevOps Server."""

    name: str
    base_url: str = ""
    api_version: str = "7.1-preview.1"

    @property
    def is_hosted(self) -> bool:
        """True for an organization on dev.azure.com, false where it gives an address of its own."""
        return not self.base_url


@dataclass(frozen=True, slots=True)
class Owner:
    """A user of one organization who may own tokens; `address` is "" where none is usable."""

    organization: str
    subject_descriptor: str
    display_name: str = ""
    address: str = ""

    @property
    def partition(self) -> str:
        """The ledger partition that holds all that is known of this owner."""
        return f"{self.organization}|{self.subject_descriptor}"


@dataclass(frozen=True, slots=True)
class Token:
    """The metadata of one personal access token, never its secret."""

    authorization_id: str
    display_name: str
    scope: str
    valid_from: datetime
    valid_to: datetime
    is_valid: bool = True
    is_global: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What was already said about a token, and what its owner decided about it.

    `notified_window` counts only while the token still has the `valid_to` it was notified for.
    """

    notified_window: int | None = None
    notified_valid_to: datetime | None = None
    snoozed_until: datetime | None = None
    lets_expire: bool = False


class Deed(StrEnum):
    """What was done to a token, in its owner's name but for the last, so that the owner hears."""

    ROTATED = "rotated"
    EXTENDED = "extended"
    REVOKED = "revoked"
    GIVEN_UP = "not rotated"
    TAKEN = "revoked by an administrator"


@dataclass(frozen=True, slots=True)
class Notice:
    """One token in one window: what its owner is to be told. `expires_at` is effective expiry.

    A copy goes to somebody else than the owner. One with a `deed` says instead what was done to
    the token at that time, and `detail` what follows from it.
    """

    owner: Owner
    token: Token
    window: int
    expires_at: datetime
    is_copy: bool = False
    deed: Deed | None = None
    detail: str = ""

    @property
    def identity(self) -> str:
        """The name under which this notice may be sent once, stable across runs."""
        return "|".join(
            (
                self.owner.partition,
                self.token.authorization_id,
                (self.expires_at if self.deed else self.token.valid_to).isoformat(),
                self.deed or str(self.window),
            )
        )


@dataclass(frozen=True, slots=True)
class Digest:
    """All that one recipient is told in one mail, soonest expiry first."""

    recipient: str
    notices: tuple[Notice, ...]

    @property
    def is_of_deeds(self) -> bool:
        """True for one that says what was done, not what expires."""
        return any(notice.deed for notice in self.notices)

    @property
    def listed(self) -> tuple[Notice, ...]:
        """The notices that get a row of their own."""
        return self.notices[:MOST_LISTED]

    @property
    def more(self) -> int:
        """How many notices are only counted."""
        return len(self.notices) - len(self.listed)


@dataclass(frozen=True, slots=True)
class UserPage:
    """One page of an organization's users; `faults` holds a sentence for each unreadable one.

    `continuation_token` leads to the next page; "" after the last.
    """

    owners: tuple[Owner, ...]
    faults: tuple[str, ...] = ()
    continuation_token: str = ""


@dataclass(frozen=True, slots=True)
class TokenReading:
    """All tokens of one owner; `faults` holds a sentence for each unreadable one."""

    tokens: tuple[Token, ...]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token that is to be made shall be; it is for one organization, never global."""

    display_name: str
    scope: str
    valid_to: datetime


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that was just made, and its secret, which Azure DevOps shows this once."""

    token: Token
    secret: SecretStr


@dataclass(frozen=True, slots=True)
class VaultSecret:
    """Where a token's secret is kept: the name and version of a Key Vault secret.

    The rest is what its tags say, "" where it has none; `owner` is a subject descriptor.
    """

    name: str
    version: str
    owner: str = ""
    authorization_id: str = ""
    organization: str = ""

    def is_of(self, owner: Owner) -> bool:
        """True where it was put there for this owner."""
        return (self.organization, self.owner) == (owner.organization, owner.subject_descriptor)
