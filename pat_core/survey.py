"""Scans organizations with the embedded ledger and hands over, or rehearses, what is due."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from pat_core.bootstrap import azure_devops
from pat_core.delivery import Delivered, Sender
from pat_core.errors import ExitStatus
from pat_core.ledger.sqlite import SqliteStore
from pat_core.model import Digest
from pat_core.ports import Channel, Clock
from pat_core.runs import Progress, RunReport, scan_organization
from pat_core.scan import Scanner
from pat_core.settings import Settings

MOST_SHOWN: Final = 10


class Rehearsal:
    """A channel that sends nothing."""

    async def send(self, digest: Digest, *, operation_id: str, claimed_at: datetime) -> None:
        """Do nothing: the digest would have been sent."""


@dataclass(slots=True)
class Survey:
    """What came of it: a report for each organization, and the digests (the first few in full)."""

    sent: bool
    reports: list[RunReport] = field(default_factory=list)
    delivered: Delivered = field(default_factory=Delivered)
    first: list[Digest] = field(default_factory=list)
    mails: Counter[str] = field(default_factory=Counter)

    def note(self, digest: Digest) -> None:
        """Count a digest for each organization it is about, and remember the first few."""
        self.mails.update({notice.owner.organization for notice in digest.notices})
        if len(self.first) < MOST_SHOWN:
            self.first.append(digest)

    @property
    def exit_status(self) -> ExitStatus:
        """The gravest of what the organizations and the delivery came to."""
        statuses = [
            report.error.exit_status if report.error else ExitStatus(not report.complete)
            for report in self.reports
        ]
        undelivered = self.delivered.failed or self.delivered.held
        return max(*statuses, ExitStatus(bool(undelivered)))


async def survey(
    settings: Settings,
    clock: Clock,
    channel: Channel | None,
    *,
    told: Callable[[str, Progress], None],
) -> Survey:
    """What the organizations hold and whose mails went out; without a channel, would go out.

    A rehearsal works on a copy of the ledger and leaves the ledger itself as it was. Raises
    LedgerError.
    """
    result = Survey(sent=channel is not None)
    async with _ledger(settings.local_dir, copied=channel is None) as store:
        async with azure_devops(settings, clock) as client:
            scanner = Scanner(client, store, clock, settings.windows_days)
            for organization in settings.organizations:
                tell = partial(told, organization.name)
                result.reports.append(await scan_organization(scanner, organization, told=tell))
        sender = Sender(store, channel or Rehearsal(), clock, result.note)
        result.delivered = await sender.send_due()
    return result


@asynccontextmanager
async def _ledger(folder: Path, *, copied: bool) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(folder / "ledger.sqlite")
    try:
        if not copied:
            yield store
            return
        with tempfile.TemporaryDirectory(prefix="pat-warden-") as scratch:
            copy = store.copy_to(Path(scratch) / "ledger.sqlite")
            try:
                yield copy
            finally:
                copy.close()
    finally:
        store.close()
