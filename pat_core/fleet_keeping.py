"""The flow that keeps the inventory's counts, notices who left, and forgets what is long gone."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pat_core.errors import Conflict
from pat_core.expiry import EXPIRED_NOTICE_FOR, effective_expiry
from pat_core.fleet import Tally, tally_row
from pat_core.fleet_report import FleetReport
from pat_core.forgetting import Forgetting
from pat_core.inventory import Inventory, seen_partition
from pat_core.model import Owner, Token
from pat_core.ports import Store
from pat_core.purging import Purging
from pat_core.recording import Recorder
from pat_core.rows import INVENTORY, Change, Row, Verb
from pat_core.run_log import RunLog
from pat_core.run_records import RunReport
from pat_core.signals import Event

COUNTED_EVERY: Final = timedelta(hours=1)
_LOG: Final = logging.getLogger("pat_warden")


@dataclass(frozen=True, slots=True)
class FleetKeeping:
    """Works after each scan, and counts once an hour; who left is known by a complete one alone."""

    report: FleetReport
    recorder: Recorder
    forgetting: Forgetting

    async def keep(self) -> None:
        """Count where the count is old; after a new scan, first look for owners who left.

        Raises LedgerError.
        """
        for each in self.report.organizations:
            await self._keep(each.name)

    async def _keep(self, organization: str) -> None:
        kept = await self.report.kept(organization)
        run = await self._finished(organization)
        is_new = run is not None and (kept is None or kept.run_id != run.run_id)
        # Of a run that missed somebody nobody knows who is gone and who was only not seen.
        if run and is_new and run.saw_everybody:
            gone = await self._sweep(organization, run)
            _LOG.info(Event.FLEET_SWEPT, extra={"organization": organization, "gone": gone})
        if is_new:
            await Purging(self._store, self.report.clock).purge(organization)
        if is_new or (kept and self._now - kept.counted_at >= COUNTED_EVERY):
            tally = await self.report.count(organization)
            tally.run_id = run.run_id if run else ""
            await self._put(organization, tally)

    async def _put(self, organization: str, tally: Tally) -> None:
        change = Change(Verb.PUT, tally_row(organization, tally))
        await self._store.write(INVENTORY, [change])

    async def _finished(self, organization: str) -> RunReport | None:
        """The newest run that got to its end, be it with users who could not be read."""
        recent = await RunLog(self._store, self.report.clock).recent(organization)
        return next((run for run in recent if run.finished), None)

    async def _sweep(self, organization: str, run: RunReport) -> int:
        """How many owners are gone: of their tokens ops are told, and after long they go too."""
        gone = 0
        async for row in self._store.rows(INVENTORY, seen_partition(organization)):
            if _time(row, "seen_at") >= run.started_at:
                continue
            gone += 1
            with suppress(Conflict):
                await self._see_off(_owner(organization, row))
        return gone

    async def _see_off(self, owner: Owner) -> None:
        account = await self.inventory.account(owner.partition)
        since = await self.inventory.mark_gone(owner, account)
        living = any(_lives(token, self._now) for token in account.tokens_last_seen().tokens)
        if since is None or (since < self._now - self.recorder.retention and not living):
            await self.forgetting.forget(owner)
        else:
            await self.recorder.record_absent(account.owner.owner if account.owner else owner)

    @property
    def inventory(self) -> Inventory:
        """The copy of all tokens, with the ledger behind it."""
        return self.recorder.inventory

    @property
    def _store(self) -> Store:
        return self.inventory.store

    @property
    def _now(self) -> datetime:
        return self.report.clock()


def _lives(token: Token, now: datetime) -> bool:
    # Of its end ops are told as well.
    return token.is_valid and effective_expiry(token) + EXPIRED_NOTICE_FOR > now


def _owner(organization: str, row: Row) -> Owner:
    get = {name: str(value) for name, value in row.values.items()}
    return Owner(organization, row.key, get.get("display_name", ""), get.get("address", ""))


def _time(row: Row, name: str) -> datetime:
    found = row.values[name]
    if not isinstance(found, datetime):
        raise TypeError(f"{found!r} is no time.")
    return found
