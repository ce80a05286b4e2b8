"""Scans organizations through the functions on this machine, and sends or rehearses what is due."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from pat_core.bootstrap import Services, sharing
from pat_core.delivered import DELIVERIES, Delivered, read_delivered
from pat_core.delivery import Outlet
from pat_core.errors import ExitStatus, PatWardenError
from pat_core.ledger.sqlite import SqliteStore
from pat_core.ledger_version import FOR_FILE
from pat_core.local.host import Host
from pat_core.local.memory_queues import MemoryQueues
from pat_core.model import Digest
from pat_core.ports import Channel, Clock, Outcome, Store
from pat_core.routes import ROUTED, is_webhook
from pat_core.rows import RUNS, key_time
from pat_core.run_log import RunLog
from pat_core.run_records import RunReport
from pat_core.settings import Settings

MOST_SHOWN: Final = 10
_LOOK_EVERY: Final = 0.25
_SHARE: Final = 50


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: users and tokens read, of how many users (None: not known yet)."""

    users: int = 0
    tokens: int = 0
    of: int | None = None


@dataclass(slots=True)
class Survey:
    """What came of it: a report for each organization, and the digests (the first few in full)."""

    sent: bool
    reports: list[RunReport] = field(default_factory=list)
    delivered: Delivered = field(default_factory=Delivered)
    first: list[Digest] = field(default_factory=list)
    cards: int = 0
    mails: Counter[str] = field(default_factory=Counter)

    def note(self, digest: Digest) -> None:
        """Count a digest for each organization it is about, and remember the first few."""
        if is_webhook(digest.recipient):
            self.cards += 1
            return
        self.mails.update({notice.owner.organization for notice in digest.notices})
        if len(self.first) < MOST_SHOWN:
            self.first.append(digest)

    @property
    def mails_sent(self) -> int:
        """How many mails went out, or would go."""
        return self.delivered.sent - self.cards

    @property
    def exit_status(self) -> ExitStatus:
        """The gravest of what the organizations and the delivery came to."""
        statuses = [
            report.error.exit_status if report.error else ExitStatus(not report.complete)
            for report in self.reports
        ]
        undelivered = self.delivered.failed or self.delivered.held
        return max(*statuses, ExitStatus(bool(undelivered)))


@dataclass(frozen=True, slots=True)
class NotedChannel:
    """A channel that tells a survey of each digest; without one behind it, it sends nothing."""

    survey: Survey
    inner: Channel | None

    async def send(self, digest: Digest, *, operation_id: str, claimed_at: datetime) -> None:
        """Hand one digest over. Raises ChannelError."""
        if self.inner:
            await self.inner.send(digest, operation_id=operation_id, claimed_at=claimed_at)
        self.survey.note(digest)

    async def outcome(self, operation_id: str) -> Outcome:
        """What became of an earlier try."""
        return await self.inner.outcome(operation_id) if self.inner else Outcome.UNKNOWN


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
    # Imported here: whoever only asks for help need not wait for it.
    from function_app import app  # noqa: PLC0415 - said above

    result = Survey(sent=channel is not None)
    # The client has tried often enough by itself; nobody at a desk waits for five times that.
    queues = MemoryQueues(tries=1)
    async with _ledger(settings.local_dir, copied=channel is None) as store:
        outlet = Outlet(NotedChannel(result, channel))
        shared = Services(settings, clock, {"outbox": outlet, ROUTED: outlet})
        shared.store, shared.queues = shared.current(store, FOR_FILE), queues
        async with sharing(shared):
            host = Host(app, queues, clock)
            began = clock()
            await host.fire("plan_scan")
            async with _watched(shared, told):
                await host.drain()
            result.reports = [run for run in await _newest(shared) if run.started_at >= began]
            _raise_what_no_report_tells(host, result)
            await host.fire("send_digests")
            result.delivered = await _delivered(store, began)
    return result


def _raise_what_no_report_tells(host: Host, result: Survey) -> None:
    told = any(report.error for report in result.reports)
    for failure in host.failures:
        if not (told and isinstance(failure, PatWardenError)):
            raise failure


async def _newest(shared: Services) -> list[RunReport]:
    log = RunLog(shared.store, shared.clock)
    names = [organization.name for organization in shared.settings.organizations]
    return [(await log.recent(name))[0] for name in names]


async def _delivered(store: Store, since: datetime) -> Delivered:
    total = Delivered()
    async for row in store.rows(RUNS, DELIVERIES, after=key_time(since)):
        total += read_delivered(row)
    return total


@asynccontextmanager
async def _watched(shared: Services, told: Callable[[str, Progress], None]) -> AsyncIterator[None]:
    """Tell how far the runs are, a few times a second, and once at the end."""
    log = RunLog(shared.store, shared.clock)
    before = {
        organization.name: runs[1].coverage.users
        for organization in shared.settings.organizations
        if len(runs := await log.recent(organization.name)) > 1
    }

    async def look() -> None:
        for report in await _newest(shared):
            of = report.users if report.listed else before.get(report.organization)
            seen = report.coverage
            told(report.organization, Progress(seen.users, seen.tokens, of and max(of, seen.users)))

    async def keep_looking() -> None:
        now, took = asyncio.get_running_loop().time, 0.0
        while True:
            # A look at a long run takes long itself, so it is taken less often.
            await asyncio.sleep(max(_LOOK_EVERY, _SHARE * took))
            began = now()
            await look()
            took = now() - began

    watching = asyncio.create_task(keep_looking())
    try:
        yield
        await look()
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


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
