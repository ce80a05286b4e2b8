"""What the ledger remembers of a rotation, and what is to be done about one that stands. Pure.

requested → issued → handed over → superseded → done, each written before the next begins. From
requested and issued it may end as given up. What happens to the old token follows from the state
alone: it is revoked by nobody before the new one was surely handed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Any, Final

from pat_core.expiry import effective_expiry
from pat_core.model import IssuedToken, Owner, Token, VaultSecret
from pat_core.owner_records import owner_columns, owner_of
from pat_core.rows import Change, Row, Verb, short_hash

ROTATION_KEY: Final = "rotation|"
ROTATING: Final = "rotating"
"""The partition of hints to rotations that are not over, in the table of hints."""
OVERLAP: Final = timedelta(hours=24)
"""How long the old token lives on, where nobody says otherwise."""
LONGEST_OVERLAP: Final = timedelta(days=7)
GRACE: Final = timedelta(minutes=15)
"""No request takes longer: a rotation that stands still after that was interrupted."""


class RotationState(StrEnum):
    """How far a rotation is. Superseded: the new one is in use, the old one lives on a while."""

    REQUESTED = "requested"
    ISSUED = "issued"
    HANDED_OVER = "handed over"
    SUPERSEDED = "superseded"
    DONE = "done"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Rotation:
    """The replacement of one token by another of the same name and scope.

    `asked_valid_to` is to the microsecond what was asked for, by which a token that was made just
    before a crash is known again. `vault_name` is where the new secret is to go, "" for a page
    that shows it. The old token lives until `revoke_at`; once it `is_ending` it
    is too late to keep it. `trouble` says what stands in the way.
    """

    authorization_id: str
    state: RotationState
    requested_at: datetime
    asked_valid_to: datetime
    overlap: timedelta
    idempotency_key: str = ""
    vault_name: str = ""
    vault_version: str = ""
    new_id: str = ""
    new_valid_to: datetime | None = None
    revoke_at: datetime | None = None
    ended_at: datetime | None = None
    trouble: str = ""
    is_ending: bool = False
    version: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """The row key: one rotation for each old token."""
        return rotation_key(self.authorization_id)

    @property
    def is_in_hand(self) -> bool:
        """True once its owner surely has the new token."""
        is_past = self.state in (RotationState.SUPERSEDED, RotationState.DONE)
        return is_past and self.revoke_at is not None

    @property
    def has_loose_end(self) -> bool:
        """True where a new token that nobody has is still to be revoked."""
        is_made = self.state is RotationState.GIVEN_UP and bool(self.new_id)
        return is_made and self.ended_at is None

    @property
    def blocks_new_rotation(self) -> bool:
        """True while the token may not be rotated once more, and for ever once it was."""
        return self.state is not RotationState.GIVEN_UP


UNDER_WAY: Final = (RotationState.REQUESTED, RotationState.ISSUED)
"""Nobody has the new token yet."""
BOTH_LIVE: Final = (RotationState.HANDED_OVER, RotationState.SUPERSEDED)
"""The old and the new token are both there."""
UNFINISHED: Final = (*UNDER_WAY, *BOTH_LIVE)


class Step(Enum):
    """What is to be done about a rotation now."""

    WAIT = "wait"
    FORGET = "forget"
    LOOK_FOR_NEW = "look for a token that was made, but not recorded"
    LOOK_IN_VAULT = "look whether the new secret reached the vault"
    REVOKE_NEW = "revoke the new token, which nobody has"
    SUPERSEDE = "supersede"
    REVOKE_OLD = "revoke the old token"
    FINISH = "finish"


def next_step(  # noqa: PLR0911 - a table of states, one line each
    rotation: Rotation, old: Token | None, now: datetime
) -> Step:
    """What the service does about a rotation by itself; `old` is None where it is gone."""
    interrupted = now - rotation.requested_at > GRACE
    over = old is None or not old.is_valid or old.valid_to <= now
    match rotation.state:
        case RotationState.REQUESTED:
            return Step.LOOK_FOR_NEW if interrupted else Step.WAIT
        case RotationState.ISSUED if rotation.vault_name:
            return Step.LOOK_IN_VAULT if interrupted else Step.WAIT
        case RotationState.ISSUED:
            return Step.REVOKE_NEW if interrupted else Step.WAIT
        case RotationState.HANDED_OVER if rotation.vault_version:
            return Step.SUPERSEDE
        case RotationState.HANDED_OVER:
            # Shown, but nobody said that it was stored: the old one is left to its own end.
            return Step.FINISH if over else Step.WAIT
        case RotationState.SUPERSEDED if over:
            return Step.FINISH
        case RotationState.SUPERSEDED:
            due = rotation.revoke_at is not None and rotation.revoke_at <= now
            return Step.REVOKE_OLD if due else Step.WAIT
        case RotationState.GIVEN_UP if rotation.has_loose_end:
            return Step.REVOKE_NEW
        case _:
            return Step.FORGET


def issued(rotation: Rotation, token: IssuedToken) -> Rotation:
    """The rotation whose new token was made."""
    return replace(
        rotation,
        state=RotationState.ISSUED,
        new_id=token.token.authorization_id,
        new_valid_to=token.token.valid_to,
    )


def handed_over(rotation: Rotation, kept: VaultSecret | None = None) -> Rotation:
    """The rotation whose new token is in the vault, or goes out with this response."""
    version = kept.version if kept else ""
    return replace(rotation, state=RotationState.HANDED_OVER, vault_version=version, trouble="")


def superseded(rotation: Rotation, old: Token, now: datetime) -> Rotation:
    """The rotation whose old token lives on for the overlap, and no longer than it would anyway."""
    revoke_at = min(now + rotation.overlap, max(effective_expiry(old), now))
    return replace(rotation, state=RotationState.SUPERSEDED, revoke_at=revoke_at, trouble="")


def given_up(rotation: Rotation, why: str, now: datetime) -> Rotation:
    """The rotation that failed; where a new token was made it is still to be revoked."""
    ended_at = None if rotation.new_id else now
    return replace(rotation, state=RotationState.GIVEN_UP, trouble=why, ended_at=ended_at)


def ended(rotation: Rotation, now: datetime) -> Rotation:
    """The rotation that nothing is to be done about any more."""
    given = rotation.state is RotationState.GIVEN_UP
    state = RotationState.GIVEN_UP if given else RotationState.DONE
    trouble = rotation.trouble if given else ""
    return replace(rotation, state=state, ended_at=now, trouble=trouble, is_ending=False)


def is_the_one(rotation: Rotation, wanted: Token, seen: Token) -> bool:
    """True for a token that can only have been made by this rotation.

    Its end is the one that was asked for, to the second: nobody types such a time by hand. One
    that was shortened by a policy is not known again, and left alone.
    """
    same = (seen.display_name, seen.scope) == (wanted.display_name, wanted.scope)
    close = abs(seen.valid_to - rotation.asked_valid_to) < timedelta(seconds=1)
    return same and close and seen.authorization_id != rotation.authorization_id


def rotation_key(authorization_id: str) -> str:
    """The row key of the rotation of a token."""
    return f"{ROTATION_KEY}{authorization_id}"


def rotating_hint(owner: Owner, authorization_id: str) -> Row:
    """The row that leads to a rotation that is not over; written first, deleted last."""
    values = owner_columns(owner) | {"authorization_id": authorization_id}
    return Row(ROTATING, short_hash(f"{owner.partition}|{authorization_id}"), values)


def put_hint(owner: Owner, authorization_id: str) -> Change:
    """The change that writes the hint."""
    return Change(Verb.PUT, rotating_hint(owner, authorization_id))


def read_rotating_hint(row: Row) -> tuple[Owner, str]:
    """Whose rotation of which token a hint leads to."""
    return owner_of(row), str(row.values["authorization_id"])


def rotation_row(partition: str, rotation: Rotation) -> Row:
    """The row of a rotation. It holds no secret."""
    values = {
        "state": rotation.state.value,
        "requested_at": rotation.requested_at,
        "asked_valid_to": rotation.asked_valid_to,
        "overlap_seconds": int(rotation.overlap.total_seconds()),
        "idempotency_key": rotation.idempotency_key,
        "vault_name": rotation.vault_name,
        "vault_version": rotation.vault_version,
        "new_id": rotation.new_id,
        "new_valid_to": rotation.new_valid_to,
        "revoke_at": rotation.revoke_at,
        "ended_at": rotation.ended_at,
        "trouble": rotation.trouble,
        "is_ending": rotation.is_ending or None,
    }
    given = {name: value for name, value in values.items() if value not in (None, "")}
    return Row(partition, rotation.key, given, rotation.version)


def read_rotation(row: Row) -> Rotation:
    """The rotation that a row gives."""
    get: Mapping[str, Any] = row.values
    return Rotation(
        authorization_id=row.key.removeprefix(ROTATION_KEY),
        state=RotationState(get["state"]),
        requested_at=get["requested_at"],
        asked_valid_to=get["asked_valid_to"],
        overlap=timedelta(seconds=get["overlap_seconds"]),
        idempotency_key=get.get("idempotency_key", ""),
        vault_name=get.get("vault_name", ""),
        vault_version=get.get("vault_version", ""),
        new_id=get.get("new_id", ""),
        new_valid_to=get.get("new_valid_to"),
        revoke_at=get.get("revoke_at"),
        ended_at=get.get("ended_at"),
        trouble=get.get("trouble", ""),
        is_ending=get.get("is_ending", False),
        version=row.version,
    )
