"""The flow that reads how far runs are, out of the ledger."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from pat_core.ports import SILENT, Clock, Meter, Store
from pat_core.rows import RUNS, Change, Row, Verb, key_time
from pat_core.run_records import (
    ERROR_KEY,
    PAGES,
    RunReport,
    Steps,
    read_error,
    read_run,
    run_partition,
    run_row,
    stops,
)
from pat_core.signals import SCAN_DURATION, SCAN_USERS, Event

LOOK_BACK: Final = timedelta(days=40)
"""How far back the last complete run is looked for."""

_LOG: Final = logging.getLogger("pat_warden")


@dataclass(frozen=True, slots=True)
class RunLog:
    """Reads what the ledger says of runs."""

    store: Store
    clock: Clock
    meter: Meter = SILENT

    async def report(self, organization: str, run_id: str) -> RunReport | None:
        """How far a run is, or None for one that was never ordered. Raises LedgerError."""
        row = await self.store.row(RUNS, organization, run_id)
        return None if row is None else await self._look(row)

    async def recent(self, organization: str) -> list[RunReport]:
        """The newest run and the last complete one, the newest first. Raises LedgerError."""
        since = key_time(self.clock() - LOOK_BACK)
        found = [row async for row in self.store.rows(RUNS, organization, after=since)]
        newest: list[RunReport] = []
        for row in reversed(found):
            report = await self._look(row)
            if not newest or report.complete:
                newest.append(report)
            if report.complete:
                break
        return newest

    async def _look(self, row: Row) -> RunReport:
        """The run, which is marked as finished by whoever first sees that it is.

        From then on its row says all but what stopped it: nobody reads its steps again.
        """
        known = read_run(row)
        if known.finished:
            return known if known.complete else await self._with_error(known)
        steps, partition = Steps(known), run_partition(known.organization, known.run_id)
        async for each in self.store.rows(RUNS, partition, after=PAGES):
            steps.add(each)
        async for each in self.store.rows(RUNS, partition):
            if each.key.startswith(PAGES):
                break
            steps.add(each)
        report = steps.report()
        if report.finished:
            await self.store.write(RUNS, [Change(Verb.PUT, run_row(report))])
            self._tell(report)
        return report

    async def _with_error(self, known: RunReport) -> RunReport:
        partition = run_partition(known.organization, known.run_id)
        row = await self.store.row(RUNS, partition, ERROR_KEY)
        return replace(known, error=read_error(row)) if row and stops(row) else known

    def _tell(self, report: RunReport) -> None:
        seen, where = report.coverage, report.organization
        outcome = "complete" if report.complete else "incomplete"
        about = {"run_id": report.run_id, "organization": where, "outcome": outcome}
        _LOG.info(Event.RUN_FINISHED, extra=about | {"users": seen.users, "failed": seen.failed})
        if report.ended_at:
            seconds = (report.ended_at - report.started_at).total_seconds()
            self.meter.record(SCAN_DURATION, seconds, organization=where, outcome=outcome)
        read = seen.users - seen.failed - seen.gone
        for name, count in (("read", read), ("failed", seen.failed), ("gone", seen.gone)):
            self.meter.record(SCAN_USERS, count, organization=where, outcome=name)
