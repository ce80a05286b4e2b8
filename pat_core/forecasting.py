"""The flow that says what would leave if everything ran now, and sends nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pat_core.decision import NO_ADDRESS, NO_ROUTES, NOT_ACTIVE, due_notices
from pat_core.digest import compose
from pat_core.expiry import due_window
from pat_core.fleet import Query
from pat_core.fleet_report import MOST_EXAMINED, FleetReport
from pat_core.fleet_views import Forecast, Unreached
from pat_core.inventory import Inventory
from pat_core.listing import Flag, Listing
from pat_core.model import EXPIRED, Notice
from pat_core.preview import MOST_SHOWN, preview
from pat_core.routes import Routes, is_webhook

_WEBHOOK_WORDS: Final = "a Teams channel"


@dataclass(frozen=True, slots=True)
class Forecasting:
    """Asks the inventory what is due; `windows` are in days."""

    fleet: FleetReport
    inventory: Inventory
    windows: Sequence[int]
    routes: Routes = NO_ROUTES

    async def forecast(self) -> Forecast:
        """What waits in the outbox, and what a scan would add. Raises LedgerError.

        It goes by what the last scan saw: a token that was made since is not in it.
        """
        waiting = await preview(self.inventory.store, self.inventory.clock)
        found = defaultdict[str, list[Notice]](list)
        unreached, examined = list[Unreached](), 0
        for query in (Query(window=EXPIRED), Query(window=max(self.windows))):
            async for listing in self.fleet.stream(query):
                examined += 1
                if len(found) > MOST_SHOWN or len(unreached) > MOST_SHOWN:
                    break
                if examined > MOST_EXAMINED:
                    break
                await self._add(listing, found, unreached)
        digests = [compose(notices, name) for name, notices in found.items()]
        return Forecast(
            waiting,
            digests[:MOST_SHOWN],
            unreached[:MOST_SHOWN],
            len(digests) > MOST_SHOWN or len(unreached) > MOST_SHOWN or examined > MOST_EXAMINED,
        )

    async def _add(
        self, listing: Listing, found: dict[str, list[Notice]], unreached: list[Unreached]
    ) -> None:
        for notice in await self._due(listing):
            why = _unreachable(listing)
            if why:
                unreached.append(Unreached(listing, why))
            else:
                found[listing.owner.address].append(notice)
            for address in self.routes.copies(notice):
                found[_WEBHOOK_WORDS if is_webhook(address) else address].append(notice)

    async def _due(self, listing: Listing) -> list[Notice]:
        now = self.inventory.clock()
        # Most are told already, and then no more than the inventory is to be read.
        if due_window(listing.token, listing.standing, now, self.windows) is None:
            return []
        account = await self.inventory.account(listing.owner.partition)
        return due_notices(listing.owner, [listing.token], account, now, self.windows)


def _unreachable(listing: Listing) -> str:
    if not listing.owner.address:
        return NO_ADDRESS
    return NOT_ACTIVE if Flag.OWNER_GONE in listing.flags else ""
