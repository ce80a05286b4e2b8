"""The flow that records what an owner's tokens come to, and puts what is due into the outbox.

Gather, decide, apply: the owner's ledger rows are read, `decision` says what they and the tokens
come to, and its changes are written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from pat_core.decision import NO_ROUTES, NOT_ACTIVE, Decision, decide, due_notices
from pat_core.errors import Conflict
from pat_core.inventory import Inventory
from pat_core.model import Owner, TokenReading
from pat_core.outbox import hints, unsent_row
from pat_core.pointing import pointing
from pat_core.records import Account
from pat_core.retention import RETENTION_DAYS, deletions, too_old
from pat_core.routes import ROUTED, Routes, is_webhook
from pat_core.rows import OWNERS, Change, Verb, transactions

_TRIES: Final = 3
Unreachable = Callable[[], Awaitable[str]]
"""Asked where something is due: why its owner cannot be told, or ""."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records what is due. `windows` are in days."""

    inventory: Inventory
    windows: Sequence[int]
    routes: Routes = NO_ROUTES
    retention: timedelta = timedelta(days=RETENTION_DAYS)

    async def record(
        self, owner: Owner, reading: TokenReading, unreachable: Unreachable
    ) -> tuple[Decision, Account]:
        """What the tokens just read came to, and what was known of their owner before.

        Raises Conflict where others write without end, LedgerUnavailable, and what `unreachable`
        raises.
        """

        def read(account: Account) -> TokenReading:
            now = self.inventory.clock()
            tokens = tuple(account.shown(token, now) for token in reading.tokens)
            return replace(reading, tokens=tokens)

        return await self._record(owner, read, unreachable)

    async def record_absent(self, owner: Owner) -> None:
        """Ops, and whoever gets copies, are to be told of the tokens of an owner who left.

        Nobody lists them any more, so they are taken as they were seen last: some live on. Raises
        LedgerError.
        """

        async def unreachable() -> str:
            return NOT_ACTIVE

        decision, _ = await self._record(owner, Account.tokens_last_seen, unreachable)
        if decision.changes:
            await self.inventory.refresh(owner.partition)

    async def _record(
        self, owner: Owner, read: Callable[[Account], TokenReading], unreachable: Unreachable
    ) -> tuple[Decision, Account]:
        for last in (False,) * (_TRIES - 1) + (True,):
            account = await self.inventory.account(owner.partition)
            decision = await self._decide(owner, read(account), account, unreachable)
            try:
                await self._apply(owner, decision)
            except Conflict:
                if last:
                    raise
            else:
                break
        return decision, account

    async def _decide(
        self, owner: Owner, reading: TokenReading, account: Account, unreachable: Unreachable
    ) -> Decision:
        now = self.inventory.clock()
        due = due_notices(owner, reading.tokens, account, now, self.windows)
        old = too_old(account, owner.partition, reading.tokens, now, self.retention)
        decision = decide(
            owner,
            reading,
            account,
            due,
            unreachable=await unreachable() if due else "",
            now=now,
            windows=self.windows,
            routes=self.routes,
        )
        return replace(decision, changes=(*decision.changes, *deletions(old)))

    async def _apply(self, owner: Owner, decision: Decision) -> None:
        store = self.inventory.store
        leading = list(_hints(owner, decision))
        if decision.unreachable:
            row = unsent_row(owner, decision.reason, self.inventory.clock())
            leading.append(Change(Verb.PUT, row))
        async with pointing(store, leading):
            for changes in transactions(decision.changes):
                await store.write(OWNERS, changes)


def _hints(owner: Owner, decision: Decision) -> Iterator[Change]:
    if decision.notices:
        yield from hints(owner, decision.notices)
    for address, notices in decision.copies.items():
        channel = ROUTED if is_webhook(address) else ""
        yield from hints(replace(owner, address=address), notices, channel)
