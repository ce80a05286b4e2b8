"""The flow that says what would leave, and sends nothing."""

from __future__ import annotations

from typing import Final

from pat_core.desk import Desk
from pat_core.digest import compose
from pat_core.model import Digest
from pat_core.outbox import BY_URGENCY, read_hint
from pat_core.ports import Clock, Store
from pat_core.rows import OUTBOX

MOST_SHOWN: Final = 50


async def preview(store: Store, clock: Clock, most: int = MOST_SHOWN) -> list[Digest]:
    """The digests that would leave now, the most urgent first, `most` of them at most.

    Raises LedgerError.
    """
    desk = Desk(store, clock, ("",))
    found: dict[str, Digest] = {}
    async for row in store.rows(OUTBOX, BY_URGENCY):
        if len(found) == most:
            break
        recipient = read_hint(row).recipient
        if recipient not in found and (digest := await _digest(desk, recipient)).notices:
            found[recipient] = digest
    return list(found.values())


async def _digest(desk: Desk, recipient: str) -> Digest:
    items = [
        item for hint in await desk.hints_to(recipient) for item in await desk.waiting(hint.owner)
    ]
    return compose((item.notice for item in items if item.notice), recipient)
