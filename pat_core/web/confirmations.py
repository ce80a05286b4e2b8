"""What a token's page says was just done, in words that are true of the token as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pat_core.digest import date_and_time
from pat_core.rotations import Rotation, RotationState
from pat_core.views import TokenView

_BY_ACTION: Final[Mapping[str, str]] = {
    "extend": "The token was extended.",
    "revoke": "The token was revoked.",
    "snooze": "You will be reminded later.",
    "let-expire": "You will not be reminded of this token again.",
    "remind": "You will be reminded again.",
}


def confirmation(action: str, view: TokenView, now: datetime) -> str:
    """One or two sentences; "" where there is no such action, or it is not so."""
    if action in _BY_ACTION:
        return _BY_ACTION[action] if _is_so(action, view, now) else ""
    return _of_rotation(action, view.rotation, view) if view.rotation else ""


def _of_rotation(action: str, rotation: Rotation, view: TokenView) -> str:
    match action, rotation.state:
        case "stored", RotationState.SUPERSEDED:
            return f"Good. {_lives(rotation, view)}"
        case "stored", RotationState.DONE:
            return "Good. The old token no longer works."
        case "keep", RotationState.SUPERSEDED:
            return _lives(rotation, view)
        case "restart", RotationState.GIVEN_UP:
            ends = "is being" if rotation.has_loose_end else "was"
            return f"The new token {ends} revoked. You can rotate again."
        case _:
            return ""


def _is_so(action: str, view: TokenView, now: datetime) -> bool:
    """Whether it may have been done: anybody can write it into an address."""
    match action:
        case "revoke":
            return not view.token.is_valid
        case "let-expire":
            return view.lets_expire
        case "snooze":
            return view.is_snoozed(now)
        case "remind":
            return not view.lets_expire and not view.is_snoozed(now)
        case _:
            return view.is_living(now)


def _lives(rotation: Rotation, view: TokenView) -> str:
    return f"The old token lives until {date_and_time(rotation.revoke_at or view.expires_at)}."
