"""What owners post: read into what a flow takes, and what came of it as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from pat_core.acts import Acts
from pat_core.errors import TokenNotFound
from pat_core.model import Organization
from pat_core.rotation import Hands, Rotated, Rotator, Wish
from pat_core.rotations import LONGEST_OVERLAP, OVERLAP, Rotation, RotationState
from pat_core.web.http import WebRequest, WebResponse, as_json


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
        fields = self.request.fields
        match action:
            case "rotate":
                return await rotator.rotate(*where, self._wish(fields))
            case "extend":
                return await acts.extend(*where, self._lifetime(fields))
            case "snooze":
                return await acts.snooze(*where, _among(fields.get("days", ""), (1, 3, 7)))
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

    def _wish(self, fields: Mapping[str, str]) -> Wish:
        hours = float(fields.get("overlap_hours", OVERLAP / timedelta(hours=1)))
        overlap = timedelta(hours=hours)
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise ValueError("overlap_hours")
        place = fields.get("to", "vault" if self.rotator.vault else "page")
        if place not in ("vault", "page"):
            raise ValueError("to")
        key = self.request.headers.get("idempotency-key", "")[:200]
        return Wish(self._lifetime(fields), overlap, place == "vault", key)

    def _lifetime(self, fields: Mapping[str, str]) -> timedelta:
        days = fields.get("lifetime_days", str(max(self.lifetimes)))
        return timedelta(days=_among(days, self.lifetimes))


def _among(text: str, allowed: Sequence[int]) -> int:
    number = int(text)
    if number not in allowed:
        raise ValueError(text)
    return number


def as_answer(done: object) -> WebResponse:
    """What came of it as JSON, the new token's secret in it where it is to be shown."""
    if not isinstance(done, Rotated):
        return as_json(HTTPStatus.OK, {"done": True})
    rotation, secret = done.rotation, done.secret
    body: dict[str, object] = {
        "state": rotation.state.value,
        "authorization_id": rotation.new_id or None,
        "valid_to": rotation.new_valid_to and rotation.new_valid_to.isoformat(),
        "old_revoked_at": _revoked_at(rotation),
    }
    if secret:
        body["secret"] = secret.get_secret_value()
    elif rotation.vault_version:
        body["vault_secret"] = {"name": rotation.vault_name, "version": rotation.vault_version}
    return as_json(HTTPStatus.OK, body)


def _revoked_at(rotation: Rotation) -> str | None:
    """Null until the new token is surely handed over: POST .../stored says so."""
    over = rotation.state in (RotationState.SUPERSEDED, RotationState.DONE)
    at = rotation.revoke_at or rotation.ended_at
    return at.isoformat() if over and at else None
