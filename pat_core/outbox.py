"""Hints: which recipients may have something due, most urgent first. Pure.

A hint is written before the notices it points to and taken away after they are settled, so one
that points to nothing is possible and harmless; the owner's partition is the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pat_core.model import Notice, Owner
from pat_core.rows import Change, Row, Verb, key_time, short_hash

BY_URGENCY: Final = "due"
"""The partition of all hints, the soonest expiry first."""
OWNER: Final = "owner|"
"""How the keys of a recipient's owners begin."""
LEASE: Final = "lease"
"""The key of the row that one sender at a time holds for a recipient."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Someone who may have something due, and the row that says so."""

    recipient: str
    owner: Owner
    row: Row


def by_recipient(recipient: str) -> str:
    """The partition of one recipient: the owners whose notices go there, and the lease."""
    return f"to|{short_hash(recipient)}"


def hints(owner: Owner, notices: Sequence[Notice]) -> tuple[Change, ...]:
    """The rows that lead a sender to these notices, each in a partition of its own.

    The one by recipient comes first: a sender that follows the one by urgency needs it.
    """
    soonest = min(notice.expires_at for notice in notices)
    owner_hash = short_hash(owner.partition)
    values = {
        "recipient": owner.address,
        "organization": owner.organization,
        "subject_descriptor": owner.subject_descriptor,
        "display_name": owner.display_name,
    }
    urgency = "|".join((key_time(soonest), short_hash(owner.address), owner_hash))
    return (
        Change(Verb.PUT, Row(by_recipient(owner.address), f"{OWNER}{owner_hash}", values)),
        Change(Verb.PUT, Row(BY_URGENCY, urgency, values)),
    )


def read_hint(row: Row) -> Hint:
    """The hint that a row gives."""
    get = {name: str(value) for name, value in row.values.items()}
    owner = Owner(
        get["organization"],
        get["subject_descriptor"],
        get.get("display_name", ""),
        get["recipient"],
    )
    return Hint(get["recipient"], owner, row)
