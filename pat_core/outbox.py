"""Hints: which recipients may have something due, most urgent first. Pure.

A hint is written before the notices it points to and taken away after they are settled, so one
that points to nothing is possible and harmless; the owner's partition is the truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pat_core.model import Notice, Owner
from pat_core.owner_records import owner_columns, owner_of
from pat_core.rows import Change, Row, Verb, key_time, short_hash

BY_URGENCY: Final = "due"
"""The partition of all hints, the soonest expiry first."""
OWNER: Final = "owner|"
"""How the keys of a recipient's owners begin."""
SENT: Final = "sent|"
"""How the partitions of what was handed over begin: one for each operation id."""
BY_TIME: Final = "sent"
"""The partition that says when what was handed over, so that its traces can be found again."""
UNSENT: Final = "unsent"
"""The partition of owners whom nobody could tell, for ops."""
_MOST_OWNERS: Final = 40
"""In one row of a trace: with the longest names that is still less than a table's row may hold."""
LEASE: Final = "lease"
"""The key of the row that one sender at a time holds for a recipient."""
_TRACE: Final = "sent"


@dataclass(frozen=True, slots=True)
class Hint:
    """Someone who may have something due, the channel it waits for, and the row that says so."""

    recipient: str
    owner: Owner
    row: Row
    channel: str = ""


def by_recipient(recipient: str) -> str:
    """The partition of one recipient: the owners whose notices go there, and the lease."""
    return f"to|{short_hash(recipient)}"


def hints(owner: Owner, notices: Sequence[Notice], channel: str = "") -> tuple[Change, ...]:
    """The rows that lead a sender to these notices, each in a partition of its own.

    The one by recipient comes first: a sender that follows the one by urgency needs it. `channel`
    is "" for the first one there is.
    """
    soonest = min(notice.expires_at for notice in notices)
    owner_hash = short_hash(owner.partition)
    values = owner_columns(owner) | {"recipient": owner.address}
    urgency = "|".join((key_time(soonest), short_hash(owner.address), owner_hash, channel))
    return (
        Change(Verb.PUT, Row(by_recipient(owner.address), f"{OWNER}{owner_hash}", values)),
        Change(Verb.PUT, Row(BY_URGENCY, urgency, values | {"channel": channel})),
    )


def read_hint(row: Row) -> Hint:
    """The hint that a row gives."""
    recipient = str(row.values["recipient"])
    owner = replace(owner_of(row), address=recipient)
    return Hint(recipient, owner, row, str(row.values.get("channel", "")))


def unsent_row(owner: Owner, why: str, now: datetime) -> Row:
    """The row that tells ops of an owner whom nobody could tell; one for each owner."""
    values = owner_columns(owner) | {"reason": why, "since": now}
    return Row(UNSENT, short_hash(owner.partition), values)


def read_unsent(row: Row) -> tuple[Owner, str]:
    """The owner whom nobody could tell, and why."""
    return owner_of(row), str(row.values["reason"])


def trace(operation_id: str) -> str:
    """The partition of the rows by which a delivery report finds what was sent."""
    return f"{SENT}{operation_id}"


def trace_rows(
    operation_id: str, recipient: str, channel: str, owners: Iterable[Owner]
) -> Iterator[Row]:
    """The rows of a trace. A digest for a team may hold the notices of very many owners."""
    found = [
        [owner.organization, owner.subject_descriptor, owner.display_name]
        for owner in dict.fromkeys(owners)
    ]
    for number, start in enumerate(range(0, len(found), _MOST_OWNERS)):
        some = json.dumps(found[start : start + _MOST_OWNERS], ensure_ascii=False)
        values = {"recipient": recipient, "channel": channel, "owners": some}
        yield Row(trace(operation_id), f"{_TRACE}|{number}" if number else _TRACE, values)


def by_time(operation_id: str, claimed_at: datetime) -> Row:
    """The row by which the trace of an operation is found when it is old."""
    return Row(BY_TIME, f"{key_time(claimed_at)}|{operation_id}")


def traced(by_time: Row) -> str:
    """The partition of the trace that such a row leads to."""
    return trace(by_time.key.partition("|")[2])


def read_trace(row: Row) -> tuple[str, tuple[Owner, ...]]:
    """The channel that something was sent through, and some whose notices it held."""
    recipient = str(row.values["recipient"])
    owners = json.loads(str(row.values["owners"]))
    return str(row.values["channel"]), tuple(
        Owner(organization, descriptor, display_name, recipient)
        for organization, descriptor, display_name in owners
    )
