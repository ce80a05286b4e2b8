"""What the ledger is made of: rows by table, partition and key, and changes to them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Final

OWNERS: Final = "owners"
"""The table of owners' tokens and notices: the truth."""
OUTBOX: Final = "outbox"
"""The table of hints: who is to be looked at, most urgent first."""
RUNS: Final = "runs"
"""The table of scan runs and their batches."""
INVENTORY: Final = "inventory"
"""The table of all tokens in the orders in which administrators ask for them: a copy."""
AUDIT: Final = "audit"
"""The table of what was done to tokens."""
LEDGER: Final = "ledger"
"""The table of what is to be known of the ledger itself, and its one partition."""

MOST_CHANGES: Final = 100
"""How many changes one transaction of Azure Table Storage takes."""

_KEY_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_KEY_TIME_LENGTH: Final = 23

Value = str | int | float | bool | datetime
"""What a column may hold. A column without a value is left out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `version` is "" until a store has given it one, and says nothing of the content."""

    partition: str
    key: str
    values: Mapping[str, Value] = field(default_factory=dict)
    version: str = field(default="", compare=False)


class Verb(Enum):
    """How a row is written.

    `PUT` writes over whatever is there and `REMOVE` deletes whatever version is there; the others
    insist on what was read.
    """

    INSERT = "insert"
    REPLACE = "replace"
    PUT = "put"
    DELETE = "delete"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Change:
    """One row and how it is to be written."""

    verb: Verb
    row: Row


def write(row: Row) -> Change:
    """The change that writes a row as it was read: inserted where new, else replaced."""
    return Change(Verb.REPLACE if row.version else Verb.INSERT, row)


def check_transaction(changes: Sequence[Change]) -> None:
    """Raise ValueError for what no store takes in one transaction."""
    if len(changes) > MOST_CHANGES or len({change.row.partition for change in changes}) > 1:
        msg = f"A transaction takes up to {MOST_CHANGES} changes of one partition."
        raise ValueError(msg)


def transactions(groups: Iterable[Sequence[Change]]) -> Iterator[list[Change]]:
    """The changes packed into as few transactions as fit; no group is torn apart."""
    pack: list[Change] = []
    for group in groups:
        if pack and len(pack) + len(group) > MOST_CHANGES:
            yield pack
            pack = []
        pack.extend(group)
    if pack:
        yield pack


def key_time(time: datetime) -> str:
    """A UTC time as part of a key: sorts as the times do, to the microsecond."""
    return f"{time:{_KEY_TIME}}"


def read_key_time(text: str) -> datetime:
    """The UTC time that a key begins with. Raises ValueError where it begins with none."""
    return datetime.strptime(text[:_KEY_TIME_LENGTH], _KEY_TIME).replace(tzinfo=UTC)


def short_hash(text: str) -> str:
    """A stable name for a text, 16 hexadecimal digits, safe in keys and file names."""
    return sha256(text.encode()).hexdigest()[:16]
