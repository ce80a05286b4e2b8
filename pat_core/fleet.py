"""What administrators ask of the inventory, and the counts they see first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from pydantic import TypeAdapter

from pat_core.expiry import EXPIRED_NOTICE_FOR
from pat_core.listing import Flag, Listing, Order
from pat_core.model import EXPIRED
from pat_core.risk import Risk
from pat_core.rows import Row, key_time

TILE_DAYS: Final = (EXPIRED, 1, 7, 30)
"""The windows that are counted: expired in the last 7 days, then by days that are left."""
WEEKS: Final = 53
TALLY_KEY: Final = "tally"
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Query:
    """Which tokens are asked for, and in what order; what is left out leaves nothing out.

    `window` is in days, EXPIRED for those that expired in the last 7 days. `search` is held against
    the owner's name and address and the token's name. `after` is where the page before ended.
    """

    organization: str = ""
    window: int | None = None
    flag: Flag | None = None
    risk: Risk | None = None
    search: str = ""
    order: Order = Order.EXPIRES
    after: str = ""

    @property
    def view(self) -> str:
        """The view of the inventory that gives the answer with the least reading."""
        return self.flag if self.flag and self.order is Order.EXPIRES else self.order

    def bounds(self, now: datetime) -> tuple[str, str]:
        """The keys within the view between which everything that is asked for stands."""
        if self.order is not Order.EXPIRES:
            return self.after, ""
        earliest, latest = self._time(now)
        return max(self.after, key_time(earliest)), key_time(latest) if latest else ""

    def asks_for(self, listing: Listing, now: datetime) -> bool:
        """True for a token that belongs into the answer."""
        earliest, latest = self._time(now)
        expires_at = listing.expires_at
        return (
            expires_at >= earliest
            and (latest is None or expires_at < latest)
            and (self.flag is None or self.flag in listing.flags)
            and (self.risk is None or self.risk is listing.risk)
            and self._is_named(listing)
        )

    def _is_named(self, listing: Listing) -> bool:
        owner = listing.owner
        known = (owner.display_name, owner.address, listing.token.display_name)
        wanted = self.search.casefold()
        return not wanted or any(wanted in each.casefold() for each in known)

    def _time(self, now: datetime) -> tuple[datetime, datetime | None]:
        if self.window is None:
            return now - EXPIRED_NOTICE_FOR, None
        if self.window == EXPIRED:
            return now - EXPIRED_NOTICE_FOR, now
        return now, now + timedelta(days=self.window)


@dataclass(slots=True)
class Tally:
    """How many tokens there are: in all, by window, by flag, and by week of expiry and risk.

    `weeks` is keyed by the Monday, as ISO 8601 has it, and the risk. `run_id` is the newest scan
    that is in it.
    """

    counted_at: datetime
    run_id: str = ""
    tokens: int = 0
    windows: Counter[int] = field(default_factory=Counter)
    flags: Counter[Flag] = field(default_factory=Counter)
    weeks: dict[date, Counter[Risk]] = field(default_factory=dict)

    def add(self, listing: Listing) -> None:
        """Count one token; those that expired long ago are not counted."""
        left = listing.expires_at - self.counted_at
        if left <= -EXPIRED_NOTICE_FOR:
            return
        self.tokens += 1
        self.flags.update(listing.flags)
        if left <= timedelta(0):
            self.windows[EXPIRED] += 1
            return
        self.windows.update(
            days for days in TILE_DAYS if days != EXPIRED and left < timedelta(days=days)
        )
        monday = week_of(listing.expires_at)
        if monday < week_of(self.counted_at) + WEEKS * _WEEK:
            self.weeks.setdefault(monday, Counter())[listing.risk] += 1


_TALLIES: Final = TypeAdapter(Tally)


def in_all(tallies: Iterable[Tally], now: datetime) -> Tally:
    """The sum of tallies, as old as the oldest of them."""
    total, found = Tally(now), list(tallies)
    total.counted_at = min((each.counted_at for each in found), default=now)
    for each in found:
        total.tokens += each.tokens
        total.windows += each.windows
        total.flags += each.flags
        for monday, risks in each.weeks.items():
            total.weeks[monday] = total.weeks.get(monday, Counter()) + risks
    return total


def weeks_of_a_year(tally: Tally) -> list[tuple[date, Mapping[Risk, int]]]:
    """Each week from that of the count on, with how many tokens of which risk expire in it."""
    first = week_of(tally.counted_at)
    mondays = [first + number * _WEEK for number in range(WEEKS)]
    return [(monday, tally.weeks.get(monday, Counter())) for monday in mondays]


def week_of(time: datetime) -> date:
    """The Monday of the week of a UTC time."""
    return (time - timedelta(days=time.weekday())).date()


def tally_row(organization: str, tally: Tally) -> Row:
    """The row of an organization's tally."""
    return Row(organization, TALLY_KEY, {"tally": _TALLIES.dump_json(tally).decode()})


def read_tally(row: Row) -> Tally:
    """The tally that a row gives."""
    return _TALLIES.validate_json(str(row.values["tally"]))
