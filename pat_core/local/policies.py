"""What an organization forbids its people to do with their tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pat_core.scopes import FULL_ACCESS

LONGEST: Final = timedelta(days=365)


class Refused(Exception):
    """A `patTokenError`, with the sentence that goes with it."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of one organization.

    A token lives `max_days` at most (0: a year); what asks for more is refused, or shortened
    without a word where `shortens`. A revocation by the service acts after `revocation_delay`.

    Service identities in `strangers`, by object id, are of another tenant. A new one is found
    `entra_delay` after it was first asked for, and is listed `graph_delay` after it was added.
    """

    max_days: int = 0
    shortens: bool = False
    blocks_full_scope: bool = False
    blocks_creation: bool = False
    service_may_revoke: bool = True
    may_invite: bool = True
    may_add_members: bool = True
    strangers: frozenset[str] = frozenset()
    entra_delay: timedelta = timedelta()
    graph_delay: timedelta = timedelta()
    revocation_delay: timedelta = timedelta()

    def check_creation(self) -> None:
        """Raise Refused where nobody may create tokens."""
        if self.blocks_creation:
            raise Refused("disablePatCreationPolicyViolation", "Creating tokens is disabled.")

    def check_scope(self, scope: str) -> None:
        """Raise Refused for no scope, one that cannot be, or one that is blocked."""
        names = scope.split()
        if not names or not all(name == FULL_ACCESS or name.startswith("vso.") for name in names):
            raise Refused("invalidScope", "The scope is not valid.")
        if self.blocks_full_scope and FULL_ACCESS in names:
            raise Refused("fullScopePatPolicyViolation", "Full-scoped tokens are blocked.")

    def end(self, asked: datetime, begun: datetime, now: datetime) -> datetime:
        """When a token that was `begun` then may end, if it is `asked` to end then.

        Raises Refused.
        """
        if not now < asked <= now + LONGEST:
            raise Refused("invalidValidTo", "The end must lie within a year from now.")
        latest = begun + timedelta(days=self.max_days)
        if not self.max_days or asked <= latest:
            return asked
        if self.shortens and latest > now:
            return latest
        raise Refused(
            "patLifespanPolicyViolation", f"Tokens live {self.max_days} days at most here."
        )
