"""The pages that administrators see, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pat_core.audit import AuditEntry
from pat_core.fleet import TILE_DAYS, Query, Tally, weeks_of_a_year
from pat_core.fleet_views import Dossier, Forecast
from pat_core.listing import Flag, Listing, Order
from pat_core.model import EXPIRED
from pat_core.risk import RISK_WORDS
from pat_core.summary import Summary
from pat_core.views import Problem
from pat_core.web.pages import Pages
from pat_core.web.queries import fleet_path

_WINDOWS: Final = {
    EXPIRED: "Expired, 7 days",
    1: "Within a day",
    7: "Within 7 days",
    30: "Within 30 days",
}
FLAG_WORDS: Final = {
    Flag.FULL_ACCESS: "Full access",
    Flag.GLOBAL: "Global",
    Flag.LONG_LIFE: "Long life",
    Flag.OWNER_GONE: "Owner gone",
    Flag.NOT_TOLD: "Owner not reached",
    Flag.ROTATING: "Rotation open",
}
_ORDER_WORDS: Final = {
    Order.EXPIRES: "Expiry, the soonest first",
    Order.CREATED: "Age, the newest first",
    Order.OWNER: "Owner, A to Z",
}
_URGENT: Final = {EXPIRED: "now", 1: "now", 7: "soon", 30: "later"}


@dataclass(frozen=True, slots=True)
class Tile:
    """One count that leads to the tokens it counts; `is_chosen` where it is what is shown."""

    words: str
    count: int
    path: str
    tone: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class FleetAnswer:
    """What the first page of administrators is made from; `following` is a key, "" at the end."""

    query: Query
    tally: Tally
    summary: Summary
    listings: Sequence[Listing]
    following: str = ""
    was_cut: bool = False


class FleetPages(Pages):
    """Makes pages for administrators; `who` is the signed-in person's name."""

    def fleet(self, answer: FleetAnswer, *, who: str, now: datetime) -> str:
        """The counts, the chart and a page of tokens."""
        return self._page(
            "fleet.html",
            who,
            is_admin=True,
            answer=answer,
            query=answer.query,
            tally=answer.tally,
            summary=answer.summary,
            tiles=list(_tiles(answer.query, answer.tally)),
            weeks=[each for each in weeks_of_a_year(answer.tally) if any(each[1].values())],
            risks=RISK_WORDS,
            flags=FLAG_WORDS,
            windows=_WINDOWS,
            orders=_ORDER_WORDS,
            path=fleet_path,
            now=now,
        )

    def fleet_token(
        self,
        dossier: Dossier,
        *,
        who: str,
        now: datetime,
        told: str = "",
        problem: Problem | None = None,
    ) -> str:
        """All that is known of one token, and the form by which it is revoked."""
        return self._page(
            "fleet_token.html",
            who,
            is_admin=True,
            dossier=dossier,
            listing=dossier.listing,
            flags=FLAG_WORDS,
            risks=RISK_WORDS,
            now=now,
            told_now=told,
            problem=problem,
        )

    def forecast(self, found: Forecast, *, who: str, now: datetime) -> str:
        """What would be sent, to whom."""
        return self._page("forecast.html", who, is_admin=True, found=found, now=now)

    def trail(self, entries: Sequence[AuditEntry], *, days: int, who: str) -> str:
        """Who did what to which token, the newest first."""
        return self._page("trail.html", who, is_admin=True, entries=entries, days=days)


def _tiles(query: Query, tally: Tally) -> list[Tile]:
    every = Tile("All tokens", tally.tokens, fleet_path(Query(query.organization)), "", False)  # noqa: FBT003 - its own field
    windows = [
        Tile(
            _WINDOWS[days],
            tally.windows[days],
            fleet_path(Query(query.organization, window=days)),
            _URGENT[days],
            query.window == days and query.flag is None,
        )
        for days in TILE_DAYS
    ]
    flags = [
        Tile(
            words,
            tally.flags[flag],
            fleet_path(Query(query.organization, flag=flag)),
            "soon" if flag in (Flag.NOT_TOLD, Flag.OWNER_GONE) else "later",
            query.flag is flag,
        )
        for flag, words in FLAG_WORDS.items()
    ]
    return [every, *windows, *flags]
