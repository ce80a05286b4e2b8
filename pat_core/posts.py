"""What owners post: read into what a flow takes, and what came of it as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pat_core.acts import Acts
from pat_core.bodies import (
    SNOOZES_DAYS,
    Asked,
    Done,
    ExtensionAsked,
    Nothing,
    RotationAnswer,
    RotationAsked,
    SnoozeAsked,
    VaultPlace,
)
from pat_core.errors import TokenNotFound
from pat_core.model import Organization
from pat_core.rotation import Hands, Rotated, Rotator, Wish
from pat_core.rotations import OVERLAP, Rotation, RotationState
from pat_core.web.http import WebRequest

ACTIONS: Final[Mapping[str, type[Asked]]] = {
    "rotate": RotationAsked,
    "extend": ExtensionAsked,
    "snooze": SnoozeAsked,
    "revoke": Nothing,
    "let-expire": Nothing,
    "remind": Nothing,
    "stored": Nothing,
    "restart": Nothing,
    "keep": Nothing,
}
"""What an owner may do to a token, and what is to be said with it."""
ROTATING: Final = frozenset({"rotate", "stored", "restart", "keep"})
"""What is answered by how far the rotation is."""
AUTHORIZATION_ID: Final = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


@dataclass(frozen=True, slots=True)
class Post:
    """One POST: the form or the JSON, turned into what a flow takes.

    `lifetimes` are those that may be chosen, in days.
    """

    rotator: Rotator
    acts: Acts
    lifetimes: Sequence[int]
    hands: Hands
    place: Organization
    authorization_id: str
    request: WebRequest

    async def do(self, action: str) -> object:  # noqa: PLR0911 - one line for each action
        """What came of it.

        Raises ValueError for a field that is missing or wrong, TokenNotFound for an action that
        there is not, and what the flows raise.
        """
        acts, rotator = self.acts, self.rotator
        where = (self.hands, self.place, self.authorization_id)
        match read_asked(self.request, action):
            case RotationAsked() as asked:
                return await rotator.rotate(*where, self._wish(asked))
            case ExtensionAsked() as asked:
                return await acts.extend(*where, self._lifetime(asked.lifetime_days))
            case SnoozeAsked() as asked:
                return await acts.snooze(*where, _among(asked.days, SNOOZES_DAYS))
        match action:
            case "revoke":
                return await acts.revoke(*where)
            case "let-expire":
                return await acts.let_expire(*where)
            case "remind":
                return await acts.remind(*where)
            case "stored":
                return Rotated(await rotator.confirm(*where))
            case "restart":
                return Rotated(await rotator.withdraw(*where))
            case "keep":
                return Rotated(await rotator.keep_longer(*where))
            case _:
                raise TokenNotFound("There is no such action.")

    def _wish(self, asked: RotationAsked) -> Wish:
        hours = asked.overlap_hours
        overlap = OVERLAP if hours is None else timedelta(hours=hours)
        to_vault = asked.to == "vault" if asked.to else self.rotator.vault is not None
        key = self.request.headers.get("idempotency-key", "")[:200]
        return Wish(self._lifetime(asked.lifetime_days), overlap, to_vault, key)

    def _lifetime(self, days: int | None) -> timedelta:
        return timedelta(days=max(self.lifetimes) if days is None else _among(days, self.lifetimes))


def read_asked(request: WebRequest, action: str) -> Asked:
    """What a browser's form says, whatever else is in it, or what JSON says exactly.

    Raises ValueError.
    """
    kind = ACTIONS.get(action, Nothing)
    if request.bearer is None:
        return kind.model_validate_strings(request.fields, strict=False, extra="ignore")
    return kind.model_validate_json(request.content.strip() or b"{}")


def _among(number: int, allowed: Sequence[int]) -> int:
    if number not in allowed:
        raise ValueError(str(number))
    return number


def as_answer(done: object) -> RotationAnswer | Done:
    """What came of it as JSON, the new token's secret in it where it is to be shown."""
    if not isinstance(done, Rotated):
        return Done(done=True)
    rotation, secret = done.rotation, done.secret
    place = VaultPlace(name=rotation.vault_name, version=rotation.vault_version)
    return RotationAnswer(
        state=rotation.state,
        authorization_id=rotation.new_id or None,
        valid_to=rotation.new_valid_to,
        old_revoked_at=_revoked_at(rotation),
        secret=secret.get_secret_value() if secret else None,
        vault_secret=place if rotation.vault_version and not secret else None,
    )


def _revoked_at(rotation: Rotation) -> datetime | None:
    """None until the new token is surely handed over: POST .../stored says so."""
    over = rotation.state in (RotationState.SUPERSEDED, RotationState.DONE)
    return (rotation.revoke_at or rotation.ended_at) if over else None
