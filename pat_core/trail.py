"""The flow that keeps the audit trail: added to, read, and cut off where it is old."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from pat_core.audit import (
    AUDIT_DAYS,
    SERVICE,
    AuditEntry,
    Result,
    audit_partition,
    audit_row,
    months,
    read_audit,
)
from pat_core.model import Owner
from pat_core.ports import Clock, Store
from pat_core.rows import AUDIT, Change, Row, Verb, key_time
from pat_core.signals import Event

_LOG: Final = logging.getLogger("pat_warden")
_SETTINGS: Final = "settings"
_LONGEST_VALUE: Final = 80
_PURGED_BACK: Final = timedelta(days=800)
"""How far back of the limit is looked for what is too old: purging runs daily."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Keeps entries for so many `days`."""

    store: Store
    clock: Clock
    days: int = AUDIT_DAYS

    async def asked(
        self, owner: Owner, action: str, authorization_id: str, detail: str = ""
    ) -> AuditEntry:
        """The entry that an action was asked for, written. Raises LedgerError."""
        entry = AuditEntry(
            self.clock(),
            owner.organization,
            owner.subject_descriptor,
            owner.display_name,
            action,
            authorization_id,
            Result.ASKED,
            uuid4().hex[:12],
            detail,
        )
        await self._write(entry)
        return entry

    async def ended(self, asked: AuditEntry, result: Result) -> None:
        """Write how an action ended. Where that fails it stands in the log: it was done."""
        try:
            await self._write(replace(asked, at=self.clock(), result=result))
        except Exception:  # noqa: BLE001 - whatever it is, a new token's secret is still to be shown
            _LOG.error(Event.AUDIT_LOST, extra={"mark": asked.mark, "result": result.value})

    async def settings_seen(self, settings: Mapping[str, str]) -> int:
        """How many settings are others than when it was last looked; each is put on record.

        Raises LedgerError. Two processes that start at once may both tell.
        """
        row = await self.store.row(AUDIT, _SETTINGS, _SETTINGS)
        known: dict[str, str] = json.loads(str(row.values["settings"])) if row else {}
        if known == settings:
            return 0
        changed = [name for name in settings if row and settings[name] != known.get(name, "")]
        for name in changed:
            detail = f"from {_quoted(known.get(name, ''))} to {_quoted(settings[name])}"
            mark = uuid4().hex[:12]
            await self._write(
                AuditEntry(
                    self.clock(), "", SERVICE, "", f"set {name}", "", Result.DONE, mark, detail
                )
            )
        kept = Row(_SETTINGS, _SETTINGS, {"settings": json.dumps(settings)})
        await self.store.write(AUDIT, [Change(Verb.PUT, kept)])
        return len(changed)

    async def entries(self, organization: str, since: datetime) -> AsyncIterator[AuditEntry]:
        """Every entry of an organization since then, the oldest first; "" for those of none.

        Raises LedgerUnavailable.
        """
        for month in months(since, self.clock()):
            partition = audit_partition(organization, month)
            async for row in self.store.rows(AUDIT, partition, after=key_time(since)):
                yield read_audit(row)

    async def purge(self, organizations: Iterable[str]) -> int:
        """How many entries were deleted since they are too old. Raises LedgerUnavailable."""
        limit, count = self.clock() - timedelta(days=self.days), 0
        for organization in (*organizations, ""):
            for month in months(limit - _PURGED_BACK, limit):
                old = self.store.rows(AUDIT, audit_partition(organization, month))
                async for row in old:
                    if row.key >= key_time(limit):
                        break
                    await self._delete(row)
                    count += 1
        return count

    async def _write(self, entry: AuditEntry) -> None:
        await self.store.write(AUDIT, [Change(Verb.INSERT, audit_row(entry))])

    async def _delete(self, row: Row) -> None:
        await self.store.write(AUDIT, [Change(Verb.DELETE, row)])


def _quoted(value: str) -> str:
    short = value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}…"
    return f"'{short}'" if value else "nothing"
