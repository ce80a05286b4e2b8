"""When a token's owner is due to be told. Pure: everything that decides takes `now`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from pat_core.model import EXPIRED, Standing, Token

DEFAULT_WINDOWS_DAYS: Final = (30, 14, 7, 3, 1)
GLOBAL_PATS_END: Final = datetime(2026, 12, 1, tzinfo=UTC)
"""Global PATs stop working on this day, whatever their own `valid_to` says."""
EXPIRED_NOTICE_FOR: Final = timedelta(days=7)
"""An expired notice that is later than this tells nobody anything new."""


def effective_expiry(token: Token) -> datetime:
    """The moment the token stops working, aware UTC: `valid_to`, or sooner for a global PAT."""
    return min(token.valid_to, GLOBAL_PATS_END) if token.is_global else token.valid_to


def current_window(token: Token, now: datetime, windows: Sequence[int]) -> int | None:
    """The tightest window the token is in, in days; `EXPIRED` for 7 days after expiry, else None.

    Windows as long as the token's whole lifetime are skipped: it was born inside them. A token
    whose lifetime is unknown (`valid_from` equals `valid_to`, as in Microsoft's tokenadmin
    example) skips none.
    """
    remaining = effective_expiry(token) - now
    if remaining <= timedelta(0):
        return EXPIRED if -remaining <= EXPIRED_NOTICE_FOR else None
    lifetime = token.valid_to - token.valid_from
    known = lifetime > timedelta(0)
    entered = (
        days
        for days in windows
        if remaining <= timedelta(days=days) and not (known and lifetime <= timedelta(days=days))
    )
    return min(entered, default=None)


def snooze_end(token: Token, days: int, now: datetime, windows: Sequence[int]) -> datetime | None:
    """When a snooze of so many days ends: never past the last window; None where that has begun."""
    last = effective_expiry(token) - timedelta(days=min(windows))
    end = min(now + timedelta(days=days), last)
    return end if end > now else None


def due_window(
    token: Token, standing: Standing, now: datetime, windows: Sequence[int]
) -> int | None:
    """The window whose notice is due now, or None.

    Due is the tightest window the token is in, if it is tighter than the last one notified for
    this `valid_to`: a late or missed run loses nothing and sends one notice, not three, and an
    extended token starts anew. A revoked, snoozed or let-expire token is not due.
    """
    if not token.is_valid or standing.lets_expire:
        return None
    if standing.snoozed_until is not None and now < standing.snoozed_until:
        return None
    window = current_window(token, now, windows)
    notified = standing.notified_window if standing.notified_valid_to == token.valid_to else None
    if window is None or (notified is not None and notified <= window):
        return None
    return window
