"""The flow of a run: order it, list an organization's users page by page, scan them in batches.

Each step stands on a queue and may come again, in any order: what was done is found in the ledger
and not done twice. What a step sends is sent before the step is marked as done.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import uuid4

from pat_core.coverage import Coverage
from pat_core.errors import (
    AzureDevOpsError,
    BadMessage,
    BrokenReply,
    NotPermitted,
    NotSignedIn,
    OrganizationNotFound,
    Throttled,
)
from pat_core.messages import (
    ORGANIZATIONS,
    POISON,
    USERS,
    ListOrder,
    ScanOrder,
    read_order,
    scan_orders,
)
from pat_core.model import Organization
from pat_core.ports import SILENT, Meter, Queues
from pat_core.rows import RUNS, Change, Row, Verb, key_time, read_key_time
from pat_core.run_log import RunLog
from pat_core.run_records import (
    ERROR_KEY,
    RunReport,
    batch_row,
    current_page,
    error_row,
    page_row,
    run_partition,
    run_row,
    stops,
)
from pat_core.scan import BatchOutcome, Scanner
from pat_core.signals import Event

LONGEST_RUN: Final = timedelta(days=3)
"""What is still on a queue after that is given up."""
_LOG: Final = logging.getLogger("pat_warden")


@dataclass(frozen=True, slots=True)
class Runner:
    """Carries out what stands on the queues."""

    scanner: Scanner
    queues: Queues
    organizations: Sequence[Organization]
    meter: Meter = SILENT

    async def plan(self, names: Sequence[str] = ()) -> tuple[str, list[str]]:
        """A run of each organization (or of those named): its id, and a message for each.

        Raises BadMessage for a name that is none of ours, LedgerError.
        """
        now = self.scanner.clock()
        run_id = f"{key_time(now)}-{uuid4().hex[:6]}"
        chosen = [self._organization(name) for name in names] or self.organizations
        messages = []
        for name in dict.fromkeys(each.name for each in chosen):
            await self._put(run_row(RunReport(name, run_id, now)))
            messages.append(ListOrder(run_id=run_id, organization=name).to_json())
        _LOG.info(Event.RUN_PLANNED, extra={"run_id": run_id, "organizations": len(messages)})
        return run_id, messages

    async def list_users(self, message: str, *, is_last: bool = True) -> None:
        """List one page of users, and put its batches and the next page on the queues.

        A message that is none of ours goes to poison. `is_last` says that the queue won't give this
        one again. Raises AzureDevOpsError where trying again may help, LedgerError,
        QueueUnavailable.
        """
        step = partial(self._list_users, is_last=is_last)
        await self._or_poison(ORGANIZATIONS, message, step)

    async def scan_users(self, message: str, *, is_last: bool = True) -> None:
        """Scan one batch of users; those who are left go back on the queue.

        As for `list_users`. Raises NotSignedIn where trying again may help, LedgerError,
        QueueUnavailable.
        """
        await self._or_poison(USERS, message, partial(self._scan_users, is_last=is_last))

    async def _list_users(self, message: str, *, is_last: bool) -> None:
        order = read_order(ListOrder, message)
        organization = self._ordered(order)
        if await self._is_listed(order):
            return
        try:
            page = await self.scanner.azure_devops.user_page(organization, order.continuation_token)
        except Throttled as throttled:
            await self.queues.send(ORGANIZATIONS, message, delay=throttled.seconds)
            return
        except AzureDevOpsError as error:
            await self._stop(order, error, may_pass=not (error.permanent and is_last))
            return
        batches = list(scan_orders(order, page))
        for batch in batches:
            await self.queues.send(USERS, batch.to_json())
        if page.continuation_token:
            following = order.following(page.continuation_token)
            await self.queues.send(ORGANIZATIONS, following.to_json())
        await self._put(page_row(order, page, batches))
        if not page.continuation_token:
            await self._mark_listed(order)

    async def _is_listed(self, order: ListOrder) -> bool:
        """True for a page that needs no listing: it came before, or the pages go in a circle."""
        known = await self._step(order, order.key)
        if known is None:
            return False
        if known.values["page"] != order.page:
            text = f"{order.organization}: the call to list users goes round in circles."
            await self._put(error_row(order, BrokenReply(text), may_pass=True))
        elif not current_page(known).values["following"]:
            await self._mark_listed(order)
        return True

    async def _mark_listed(self, order: ListOrder) -> None:
        """Write into the run's row how many batches there are."""
        log = RunLog(self.scanner.store, self.scanner.clock, self.meter)
        report = await log.report(order.organization, order.run_id)
        if report is None:
            return
        if not report.finished:
            await self._put(run_row(report))
        about = {"run_id": order.run_id, "batches": report.batches, "users": report.users}
        _LOG.info(Event.RUN_LISTED, extra=about)

    async def _scan_users(self, message: str, *, is_last: bool) -> None:
        order = read_order(ScanOrder, message)
        organization = self._ordered(order)
        if await self._step(order, order.key):
            return
        faults = tuple(f"{order.organization}: {fault}" for fault in order.faults)
        unlisted = Coverage(order.unlisted, order.unlisted, faults=faults)
        stopped = await self._step(order, ERROR_KEY)
        if stopped and stops(stopped):
            missed = Coverage(users=len(order.users), failed=len(order.users))
            await self._put(batch_row(order, unlisted + missed, "", self._now()))
            return
        outcome = await self.scanner.scan_batch(organization, order.owners)
        if outcome.refusal:
            # An instance may be without its identity's token for a moment.
            may_pass = isinstance(outcome.refusal, NotSignedIn) and not is_last
            # One alone may be refused for that user's own sake, which says nothing of the others.
            if may_pass or len(order.users) > 1:
                await self._stop(order, outcome.refusal, may_pass=may_pass)
        rest = await self._put_back(order, outcome)
        if rest is not order:
            seen = unlisted + outcome.coverage
            await self._put(batch_row(order, seen, rest.key if rest else "", self._now()))
            about = {"run_id": order.run_id, "organization": order.organization}
            figures = {"users": seen.users, "failed": seen.failed, "tokens": seen.tokens}
            _LOG.info(Event.SCAN_BATCH_DONE, extra={**about, **figures})

    async def _stop(
        self, order: ListOrder | ScanOrder, error: AzureDevOpsError, *, may_pass: bool
    ) -> None:
        """Write down what stops a run, and raise it where it may pass, so that the queue tries on.

        A refusal of the service itself that did not pass is an alarm.
        """
        await self._put(error_row(order, error, may_pass=may_pass))
        if may_pass:
            raise error
        if isinstance(error, NotSignedIn | NotPermitted | OrganizationNotFound):
            about = {"organization": order.organization, "kind": type(error).__name__}
            _LOG.error(Event.SCAN_REFUSED, extra=about | {"run_id": order.run_id})

    async def _put_back(self, order: ScanOrder, outcome: BatchOutcome) -> ScanOrder | None:
        """The order for those who are left, now on the queue; the same one where all are left."""
        if not outcome.left:
            return None
        rest = order if len(outcome.left) == len(order.users) else order.rest(outcome.left)
        await self.queues.send(USERS, rest.to_json(), delay=outcome.seconds)
        return rest

    async def _or_poison(
        self, queue: str, message: str, step: Callable[[str], Awaitable[None]]
    ) -> None:
        try:
            await step(message)
        except BadMessage as bad:
            _LOG.error(Event.MESSAGE_REFUSED, extra={"queue": queue, "reason": bad.cause})
            await self.queues.send(queue + POISON, message)

    async def _step(self, order: ListOrder | ScanOrder, key: str) -> Row | None:
        partition = run_partition(order.organization, order.run_id)
        return await self.scanner.store.row(RUNS, partition, key)

    async def _put(self, row: Row) -> None:
        # Written over, not added: what comes twice counts once.
        await self.scanner.store.write(RUNS, [Change(Verb.PUT, row)])

    def _ordered(self, order: ListOrder | ScanOrder) -> Organization:
        """The organization an order is about. Raises BadMessage for none of ours or a late one."""
        try:
            planned_at = read_key_time(order.run_id)
        except ValueError:
            raise BadMessage("The id of the run begins with no time.") from None
        if self._now() - planned_at > LONGEST_RUN:
            raise BadMessage(f"The run {order.run_id} is over.")
        return self._organization(order.organization)

    def _organization(self, name: str) -> Organization:
        for organization in self.organizations:
            if organization.name.lower() == name.lower():
                return organization
        raise BadMessage(f"{name!r} is none of the organizations in PAT_ORGANIZATIONS.")

    def _now(self) -> datetime:
        return self.scanner.clock()
