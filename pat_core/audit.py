"""What people and the service did, as the ledger keeps it: rows are added, never changed.

An action is written down twice: when it was asked for, and how it ended. One that was only asked
for was interrupted. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pat_core.digest import shown_name
from pat_core.rows import Row, key_time, read_key_time

AUDIT_DAYS: Final = 400
SERVICE: Final = "service"
"""Who acts where no person does."""
_MONTH: Final = "%Y%m"


class Result(StrEnum):
    """How an action ended, or that it was asked for."""

    ASKED = "asked"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the trail: who did what to which token when, aware UTC, and with what result.

    Without an organization it is about the service's own settings, or an export of all of them.

    `who` is a subject descriptor, an Entra user by object id, or SERVICE; `mark` is the same for
    all lines of one action; `detail` is the reason that was given, "" for none.
    """

    at: datetime
    organization: str
    who: str
    who_name: str
    action: str
    authorization_id: str
    result: Result
    mark: str
    detail: str = ""


def audit_partition(organization: str, at: datetime) -> str:
    """The partition of an organization's entries of one month."""
    return f"{organization.lower()}|{at:{_MONTH}}"


def months(since: datetime, until: datetime) -> Iterator[datetime]:
    """A moment in each month from one to another, both included, the oldest first."""
    month = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while month <= until:
        yield month
        month = (month + timedelta(days=32)).replace(day=1)


def audit_row(entry: AuditEntry) -> Row:
    """The row of an entry."""
    values = {
        "organization": entry.organization,
        "who": entry.who,
        "who_name": entry.who_name,
        "action": entry.action,
        "authorization_id": entry.authorization_id,
        "result": entry.result.value,
        "mark": entry.mark,
        "detail": entry.detail,
    }
    given = {name: value for name, value in values.items() if value}
    key = f"{key_time(entry.at)}|{entry.mark}|{entry.result}"
    return Row(audit_partition(entry.organization, entry.at), key, given)


def read_audit(row: Row) -> AuditEntry:
    """The entry that a row gives."""
    get = {name: str(value) for name, value in row.values.items()}
    return AuditEntry(
        read_key_time(row.key),
        get.get("organization", ""),
        get["who"],
        get.get("who_name", ""),
        get["action"],
        get.get("authorization_id", ""),
        Result(get["result"]),
        get["mark"],
        get.get("detail", ""),
    )


def audit_json(entry: AuditEntry) -> str:
    """An entry as one line of JSON."""
    return json.dumps(asdict(entry) | {"at": entry.at.isoformat()})


def audit_line(entry: AuditEntry) -> str:
    """An entry as one line for people, without what could turn or break it."""
    name = shown_name(entry.who_name) if entry.who_name else ""
    who = f"{name} ({entry.who})" if name else entry.who
    time = f"{entry.at:%Y-%m-%d %H:%M:%S}Z"
    why = f" ({shown_name(entry.detail)})" if entry.detail else ""
    what = f"{entry.action} {entry.result}"
    token = f": {entry.authorization_id}" if entry.authorization_id else ""
    return f"{time}  {what}{token} by {who}{why}"
