"""Who is told beside the owner: routes by owner and token, and from when on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from pydantic import SecretStr

from pat_core.model import Notice
from pat_core.rows import short_hash

ESCALATE_DAYS: Final = 3
ROUTED: Final = "routed"
"""The channel of cards that a route sends to a webhook of its own."""
_WEBHOOK: Final = "webhook "


@dataclass(frozen=True, slots=True)
class Route:
    """Tokens by pattern (`*` and `?`, whatever the case) and who gets a copy.

    `owner` is held against the owner's address, name and descriptor, `token` against the token's
    name. The addresses in `to` get a mail, `teams` is a webhook that gets a card, and `escalate_to`
    gets a mail too, from `Routes.escalate_days` on.
    """

    owner: str = "*"
    token: str = "*"  # noqa: S105 - a pattern of names
    to: tuple[str, ...] = ()
    escalate_to: tuple[str, ...] = ()
    teams: SecretStr | None = None

    def is_for(self, notice: Notice) -> bool:
        """True where both patterns match."""
        owner = notice.owner
        known = (owner.address, owner.display_name, owner.subject_descriptor)
        named = notice.token.display_name
        return _matches(self.token, named) and any(_matches(self.owner, each) for each in known)


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes; a notice may take several."""

    routes: Sequence[Route] = ()
    escalate_days: int = ESCALATE_DAYS

    def copies(self, notice: Notice) -> tuple[str, ...]:
        """The recipients of copies of a notice, each once and never the owner's own address."""
        found: list[str] = []
        for route in self.routes:
            if route.is_for(notice):
                late = notice.window <= self.escalate_days
                found += (*route.to, *(route.escalate_to if late else ()))
                found += (webhook_recipient(route.teams),) if route.teams else ()
        own = notice.owner.address
        return tuple(dict.fromkeys(each for each in found if each != own))


def webhook_recipient(webhook: SecretStr) -> str:
    """The recipient that stands for a webhook: its address is a secret, so only a hash of it."""
    return f"{_WEBHOOK}{short_hash(webhook.get_secret_value())}"


def is_webhook(recipient: str) -> bool:
    """True for a recipient that stands for a webhook."""
    return recipient.startswith(_WEBHOOK)


def _matches(pattern: str, text: str) -> bool:
    return fnmatchcase(text.casefold(), pattern.casefold())
