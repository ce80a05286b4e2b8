"""What the ledger need not remember any longer of an owner. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from pat_core.model import Token
from pat_core.records import Account, notice_row, token_row
from pat_core.rotations import Rotation, RotationState, rotation_row
from pat_core.rows import Change, Row, Verb

RETENTION_DAYS: Final = 90
"""How long what is gone stays in the ledger, where nobody says otherwise."""
_OVER: Final = (RotationState.DONE, RotationState.GIVEN_UP)


def too_old(
    account: Account, partition: str, seen: Iterable[Token], now: datetime, keep: timedelta
) -> list[Row]:
    """The rows of an owner's tokens that are gone for longer than that, with all about them.

    One that is seen again is kept, and so is one whose rotation is not over.
    """
    back = {token.authorization_id for token in seen}
    gone = {
        key: record
        for key, record in account.tokens.items()
        if key not in back
        and record.gone_at is not None
        and record.gone_at < now - keep
        and _is_over(account.rotations.get(key))
    }
    rows = [token_row(partition, record) for record in gone.values()]
    rows += [
        notice_row(partition, notice)
        for notice in account.notices.values()
        if notice.authorization_id in gone
    ]
    rows += [
        rotation_row(partition, rotation)
        for key, rotation in account.rotations.items()
        if key in gone
    ]
    return rows


def deletions(rows: list[Row]) -> Iterator[tuple[Change, ...]]:
    """The changes that delete rows as they were read."""
    for row in rows:
        yield (Change(Verb.DELETE, row),)


def _is_over(rotation: Rotation | None) -> bool:
    return rotation is None or (rotation.state in _OVER and rotation.ended_at is not None)
