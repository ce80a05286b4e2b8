"""The flow that answers what administrators ask: pages and streams of tokens, and counts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import Final

from pat_core.fleet import TALLY_KEY, Query, Tally, in_all, read_tally
from pat_core.listing import Listing, Order, read_listing
from pat_core.model import Organization
from pat_core.ports import Clock, Store
from pat_core.rows import INVENTORY, Row

PAGE: Final = 50
MOST_EXAMINED: Final = 15_000
"""How many tokens are looked at for one page: of a rare search the rest is for the next."""
COUNTED_ANEW: Final = 5_000
"""Up to so many tokens are counted whenever somebody asks."""
_END: Final = "}"
"""Comes right after the bar that ends the name of a view."""


@dataclass(frozen=True, slots=True)
class FleetPage:
    """Some tokens; `following` leads to the next page, "" after the last.

    `was_cut` says that looking stopped before the page was full.
    """

    listings: tuple[Listing, ...]
    following: str = ""
    was_cut: bool = False


@dataclass(frozen=True, slots=True)
class FleetReport:
    """Reads the inventory of these organizations."""

    store: Store
    clock: Clock
    organizations: Sequence[Organization]

    async def page(self, query: Query, size: int = PAGE) -> FleetPage:
        """So many tokens from `query.after` on. Raises LedgerUnavailable."""
        found: list[Listing] = []
        examined, key, now = 0, "", self.clock()
        async with aclosing(self._rows(query)) as rows:
            async for row in rows:
                if len(found) == size or examined == MOST_EXAMINED:
                    return FleetPage(tuple(found), key, examined == MOST_EXAMINED)
                examined, key = examined + 1, row.key.partition("|")[2]
                listing = read_listing(row)
                if query.asks_for(listing, now):
                    found.append(listing)
        return FleetPage(tuple(found))

    async def stream(self, query: Query) -> AsyncIterator[Listing]:
        """Every token that is asked for, one held at a time. Raises LedgerUnavailable."""
        now = self.clock()
        async with aclosing(self._rows(query)) as rows:
            async for row in rows:
                listing = read_listing(row)
                if query.asks_for(listing, now):
                    yield listing

    async def tally(self, organization: str = "") -> Tally:
        """The counts of one organization, or of all. Raises LedgerUnavailable.

        Many tokens are not counted for whoever asks: theirs is the count that a timer keeps.
        """
        found = [await self._tally(each) for each in self._chosen(organization)]
        return in_all(found, self.clock())

    async def count(self, organization: str) -> Tally:
        """The counts of one organization now. Raises LedgerUnavailable."""
        tally = Tally(self.clock())
        async for row in self._view(organization, Order.EXPIRES, "", ""):
            tally.add(read_listing(row))
        return tally

    async def kept(self, organization: str) -> Tally | None:
        """The counts that a timer kept, or None. Raises LedgerUnavailable."""
        row = await self.store.row(INVENTORY, organization, TALLY_KEY)
        return read_tally(row) if row else None

    async def _tally(self, organization: str) -> Tally:
        kept = await self.kept(organization)
        if kept and kept.tokens > COUNTED_ANEW:
            return kept
        return await self.count(organization)

    async def _rows(self, query: Query) -> AsyncGenerator[Row, None]:
        """The rows of the chosen organizations in one order, whichever they come from."""
        after, before = query.bounds(self.clock())
        streams = [
            self._view(each, query.view, after, before) for each in self._chosen(query.organization)
        ]
        async with AsyncExitStack() as stack:
            heads = []
            for number, stream in enumerate(streams):
                await stack.enter_async_context(aclosing(stream))
                if row := await anext(stream, None):
                    heads.append((row.key, number, row))
            heapify(heads)
            while heads:
                _, number, row = heads[0]
                yield row
                if following := await anext(streams[number], None):
                    heapreplace(heads, (following.key, number, following))
                else:
                    heappop(heads)

    async def _view(
        self, organization: str, view: str, after: str, before: str
    ) -> AsyncGenerator[Row, None]:
        bounds = {
            "after": f"{view}|{after}",
            "before": f"{view}|{before}" if before else f"{view}{_END}",
        }
        async for row in self.store.rows(INVENTORY, organization, **bounds):
            yield row

    def _chosen(self, organization: str) -> list[str]:
        names = [each.name for each in self.organizations]
        return [each for each in names if not organization or each.lower() == organization.lower()]
