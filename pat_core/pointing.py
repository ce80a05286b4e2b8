"""The flow that leads senders and finishers to what is being written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from pat_core.ports import Store
from pat_core.rows import OUTBOX, Change


@asynccontextmanager
async def pointing(store: Store, hints: Iterable[Change]) -> AsyncIterator[None]:
    """Inside, what the hints point to is written.

    They are there before it, so that no death in between hides it, and again after it: whoever
    followed them too early found nothing, and took them away.
    """
    changes = list(hints)
    for each in changes:
        await store.write(OUTBOX, [each])
    yield
    for each in changes:
        await store.write(OUTBOX, [each])
