"""What an owner's pages are made from: tokens as they stand, choices, problems. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from pat_core.bodies import SNOOZES_DAYS
from pat_core.digest import shown_name
from pat_core.model import Standing, Token
from pat_core.rotations import BOTH_LIVE, LONGEST_OVERLAP, Rotation, RotationState

_SOON: Final = timedelta(days=3)
_NOW: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class TokenView:
    """One token of the signed-in owner; `expires_at` is effective expiry, aware UTC.

    `rotation` is the one that replaces this token, `origin` the one that made it.
    """

    organization: str
    token: Token
    expires_at: datetime
    standing: Standing
    rotation: Rotation | None = None
    origin: Rotation | None = None

    @property
    def name(self) -> str:
        """The token's name as it can be shown on one line."""
        return shown_name(self.token.display_name)

    @property
    def path(self) -> str:
        """The path of the token's own page."""
        return self._path(self.token.authorization_id)

    @property
    def new_path(self) -> str:
        """The path of the page of the token that replaces this one; "" where there is none."""
        made = self.rotation.new_id if self.rotation else ""
        return self._path(made) if made else ""

    @property
    def old_path(self) -> str:
        """The path of the page of the token that this one replaces; "" where there is none."""
        return self._path(self.origin.authorization_id) if self.origin else ""

    @property
    def is_replaced(self) -> bool:
        """True from the moment a rotation begins, unless it is given up."""
        return self.rotation is not None and self.rotation.blocks_new_rotation

    @property
    def asks_if_stored(self) -> bool:
        """True where the new token was shown and nobody has said that it was stored."""
        rotation = self.rotation
        return (
            rotation is not None
            and rotation.state is RotationState.HANDED_OVER
            and not rotation.vault_version
        )

    @property
    def is_in_use_anew(self) -> bool:
        """True once its owner has the token that replaces it."""
        in_use = (RotationState.SUPERSEDED, RotationState.DONE)
        return self.rotation is not None and self.rotation.state in in_use

    @property
    def keeps_old(self) -> bool:
        """True where revoking it keeps the token that it replaces."""
        has_next = self.rotation is not None and self.rotation.is_in_hand
        if self.origin is None or self.origin.is_ending or has_next:
            return False
        return self.origin.state in BOTH_LIVE

    @property
    def lets_expire(self) -> bool:
        """True where the owner decided so, not where a rotation did."""
        return self.standing.lets_expire and not self.is_replaced

    def is_living(self, now: datetime) -> bool:
        """True while the token works."""
        return self.token.is_valid and self.expires_at > now

    def keeps_until(self, now: datetime) -> datetime | None:
        """Until when its owner may keep the old token; None where that is no hour more."""
        rotation = self.rotation
        if rotation is None or rotation.state is not RotationState.SUPERSEDED or rotation.is_ending:
            return None
        until = min(now + LONGEST_OVERLAP, self.expires_at)
        due = rotation.revoke_at or self.expires_at
        return until if until - due >= _HOUR else None

    def is_snoozed(self, now: datetime) -> bool:
        """True while the owner wants not to be told, and nothing else was decided."""
        until = self.standing.snoozed_until
        return until is not None and until > now and not self.lets_expire and not self.is_replaced

    def life_left(self, now: datetime) -> int | None:
        """The share of its life that is left, 0 to 100; None where its length is not known."""
        life = self.expires_at - self.token.valid_from
        if life <= timedelta(0):
            return None
        if not self.token.is_valid:
            return 0
        return max(0, min(100, round((self.expires_at - now) / life * 100)))

    def urgency(self, now: datetime) -> str:
        """How loudly its expiry is to be shown: `now`, `soon`, `later`, or `over`."""
        if not self.is_living(now):
            return "over"
        left = self.expires_at - now
        if self.lets_expire or self.is_in_use_anew or left > _SOON:
            return "later"
        return "now" if left <= _NOW else "soon"

    def _path(self, authorization_id: str) -> str:
        return f"/tokens/{quote(self.organization, safe='')}/{quote(authorization_id, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What an owner may choose for one token; `vault_url` is the vault's address, "" without."""

    lifetimes_days: Sequence[int]
    default_lifetime_days: int
    can_snooze: bool
    has_vault: bool
    overlaps_hours: Sequence[int] = (0, 1, 24, 168)
    snoozes_days: Sequence[int] = SNOOZES_DAYS
    vault_url: str = ""

    def longer_days(self, view: TokenView, now: datetime) -> list[int]:
        """The lifetimes, in days, that would move the token's end to a later time."""
        return [
            days for days in self.lifetimes_days if now + timedelta(days=days) > view.token.valid_to
        ]


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, as a page says it; `remedy` is what a person can do, "" for nothing."""

    status: int
    title: str
    detail: str
    remedy: str = ""
