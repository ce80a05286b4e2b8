"""What the ledger remembers of an owner beside tokens and notices, as a record and a row. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pat_core.model import Owner
from pat_core.rows import Row, Value

OWNER_KEY: Final = "owner"


@dataclass(frozen=True, slots=True)
class OwnerRecord:
    """An owner as last seen, since when they are no longer a member, and a mark of the listings.

    `listed` names what the inventory was last told of this owner; what differs is told again.
    """

    owner: Owner
    gone_at: datetime | None = None
    listed: str = ""
    version: str = field(default="", compare=False)


def owner_columns(owner: Owner) -> dict[str, Value]:
    """The columns that say who an owner is, the same in each row that does."""
    return {
        "organization": owner.organization,
        "subject_descriptor": owner.subject_descriptor,
        "display_name": owner.display_name,
        "address": owner.address,
    }


def owner_of(row: Row) -> Owner:
    """Who an owner is, by the columns of a row."""
    get = {name: str(value) for name, value in row.values.items()}
    return Owner(
        get["organization"],
        get["subject_descriptor"],
        get.get("display_name", ""),
        get.get("address", ""),
    )


def owner_row(record: OwnerRecord) -> Row:
    """The row of an owner, in the owner's own partition."""
    owner = record.owner
    values = {**owner_columns(owner), "gone_at": record.gone_at, "listed": record.listed}
    given = {name: value for name, value in values.items() if value}
    return Row(owner.partition, OWNER_KEY, given, record.version)


def read_owner(row: Row) -> OwnerRecord:
    """The owner that a row gives."""
    get: dict[str, Any] = dict(row.values)
    owner = owner_of(row)
    return OwnerRecord(owner, get.get("gone_at"), get.get("listed", ""), row.version)
