"""The flow of a whole run: list an organization's users, scan them batch by batch, sum it up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import uuid4

from pat_core.coverage import Coverage, coverage_values, read_coverage
from pat_core.errors import AzureDevOpsError, PatWardenError
from pat_core.model import Organization, Owner
from pat_core.ports import Directory
from pat_core.rows import RUNS, Change, Row, Value, Verb, key_time
from pat_core.scan import Batch, Scanner

BATCH: Final = 100
IN_FLIGHT: Final = 4
"""How many batches are scanned side by side, so that none waits for another's slowest user."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run of one organization came to; `error` is what stopped it early, if anything did.

    A run is complete when every user was listed and every one of them could be read.
    """

    organization: str
    run_id: str
    coverage: Coverage
    error: PatWardenError | None = None

    @property
    def complete(self) -> bool:
        """True when nothing was missed."""
        return self.error is None and not self.coverage.failed and not self.coverage.faults


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: users and tokens read, of how many users (None: not known yet)."""

    users: int = 0
    tokens: int = 0
    of: int | None = None


@dataclass(slots=True)
class _Run:
    scanner: Scanner
    organization: Organization
    told: Callable[[Progress], None]
    started_at: datetime
    progress: Progress = field(default_factory=Progress)
    listed: int = 0
    batches: int = 0
    error: PatWardenError | None = None
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))
    run_id: str = ""

    def __post_init__(self) -> None:
        self.run_id = new_run_id(self.started_at)

    @property
    def partition(self) -> str:
        return f"{self.organization.name}|{self.run_id}"

    async def scan_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            try:
                async for batch in list_batches(self.scanner.azure_devops, self.organization):
                    await self.room.acquire()
                    if self.error:
                        return
                    self.batches += 1
                    self.listed += len(batch.owners)
                    group.create_task(self._scan(batch))
                self.progress = replace(self.progress, of=self.listed)
            except AzureDevOpsError as error:
                self.error = error

    async def _scan(self, batch: Batch) -> None:
        try:
            coverage = await self.scanner.scan_batch(batch)
            row = Row(self.partition, f"batch|{batch.number:08d}", coverage_values(coverage))
            # Written over, not added: a batch that comes twice counts once.
            await self.scanner.store.write(RUNS, [Change(Verb.PUT, row)])
            self._tell(coverage)
        except PatWardenError as error:
            self.error = self.error or error
        finally:
            self.room.release()

    def _tell(self, coverage: Coverage) -> None:
        users = self.progress.users + coverage.users
        of = self.progress.of and max(self.progress.of, users)
        self.progress = Progress(users, self.progress.tokens + coverage.tokens, of)
        self.told(self.progress)

    async def expect(self) -> None:
        """Expect as many users as the run before saw: the true number is known only at the end."""
        async for row in self.scanner.store.rows(RUNS, self.organization.name):
            if row.values["complete"]:
                self.progress = Progress(of=int(str(row.values["users"])))

    async def report(self) -> RunReport:
        total = Coverage()
        async for row in self.scanner.store.rows(RUNS, self.partition):
            total += read_coverage(row.values)
        return RunReport(self.organization.name, self.run_id, total, self.error)

    async def save(self, report: RunReport | None = None) -> None:
        values: dict[str, Value] = {"started_at": self.started_at, "complete": False}
        if report:
            values |= coverage_values(report.coverage)
            values |= {
                "finished_at": self.scanner.clock(),
                "batches": self.batches,
                "complete": report.complete,
                "error": report.error.cause if report.error else "",
            }
        row = Row(self.organization.name, self.run_id, values)
        await self.scanner.store.write(RUNS, [Change(Verb.PUT, row)])


def plan(organizations: Sequence[Organization], now: datetime) -> list[str]:
    """A message for each organization that orders a run of it, as JSON; all share one run id."""
    run_id = new_run_id(now)
    return [
        json.dumps({"version": 1, "run_id": run_id, "organization": organization.name})
        for organization in organizations
    ]


def new_run_id(started_at: datetime) -> str:
    """A name for a run that sorts by when it started."""
    return f"{key_time(started_at)}-{uuid4().hex[:6]}"


async def scan_organization(
    scanner: Scanner, organization: Organization, *, told: Callable[[Progress], None]
) -> RunReport:
    """What a run over every user of an organization saw and missed; it stands in the ledger too.

    `told` hears how far the run is after each batch. Raises LedgerError; whatever Azure
    DevOps refuses is in the report instead.
    """
    run = _Run(scanner, organization, told, scanner.clock())
    await run.expect()
    await run.save()
    await run.scan_all()
    report = await run.report()
    await run.save(report)
    return report


async def list_batches(directory: Directory, organization: Organization) -> AsyncIterator[Batch]:
    """Every user of an organization in batches of 100 at most. Raises AzureDevOpsError."""
    number = 0
    async for page in directory.user_pages(organization):
        faults = page.faults
        for start in range(0, len(page.owners) or 1, BATCH):
            owners: tuple[Owner, ...] = page.owners[start : start + BATCH]
            if owners or faults:
                number += 1
                yield Batch(organization, number, owners, faults)
            faults = ()
