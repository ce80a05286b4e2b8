"""What one mail says: the digest of a recipient's notices, its subject, its times. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from math import ceil
from typing import Final
from uuid import UUID, uuid5

from pat_core.model import Deed, Digest, Notice

_OPERATIONS: Final = UUID("6f0c1c1e-6a55-4c3c-9d2b-6b8a3f1f1d55")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_LONGEST_NAME: Final = 60
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


def compose(notices: Iterable[Notice], recipient: str) -> Digest:
    """The digest of a recipient: the soonest expiry first, then by name."""
    return Digest(
        recipient,
        tuple(
            sorted(
                notices,
                key=lambda notice: (
                    notice.expires_at,
                    notice.token.display_name,
                    notice.identity,
                ),
            )
        ),
    )


def operation_id(digest: Digest, channel: str = "") -> str:
    """The name of the sending of exactly these notices to this recipient, a UUID.

    `channel` is "" for the first one: what another sends is another mail.
    """
    names = sorted(notice.identity for notice in digest.notices)
    recipient = f"{channel} {digest.recipient}".strip()
    return str(uuid5(_OPERATIONS, "\n".join((recipient, *names))))


def subject(digest: Digest, now: datetime) -> str:
    """The subject of the mail, one line: which token or how many, and when."""
    if digest.is_of_deeds:
        return _subject_of_deeds(digest)
    if len(digest.notices) == 1:
        (notice,) = digest.notices
        name = shown_name(notice.token.display_name, _LONGEST_NAME)
        return f'[Azure DevOps] "{name}" {fate(notice.expires_at, now)}'
    expired = [notice for notice in digest.notices if notice.expires_at <= now]
    living = [notice for notice in digest.notices if notice.expires_at > now]
    parts = []
    if expired:
        parts.append(f"{_tokens(len(expired))} {'has' if len(expired) == 1 else 'have'} expired")
    if living:
        counted = str(len(living)) if expired else _tokens(len(living))
        parts.append(
            f"{counted} {'expires' if len(living) == 1 else 'expire'} {_span(living, now)}"
        )
    return f"[Azure DevOps] {', '.join(parts)}"


def _subject_of_deeds(digest: Digest) -> str:
    if len(digest.notices) > 1:
        taken = all(notice.deed is Deed.TAKEN for notice in digest.notices)
        how = "revoked by an administrator" if taken else "changed in your name"
        return f"[Azure DevOps] {_tokens(len(digest.notices))} {how}"
    (notice,) = digest.notices
    name = shown_name(notice.token.display_name, _LONGEST_NAME)
    return f'[Azure DevOps] "{name}" was {notice.deed}'


def when(expires_at: datetime, now: datetime) -> str:
    """A UTC time in full and how far away it is: `Tue 24 Nov 2026, 14:00 UTC (in 22 hours)`."""
    return f"{date_and_time(expires_at)} ({distance(expires_at, now)})"


def date_and_time(time: datetime) -> str:
    """A UTC time in full, in English whatever the machine speaks."""
    day = f"{_DAYS[time.weekday()]} {time.day} {_MONTHS[time.month - 1]} {time.year}"
    return f"{day}, {time:%H:%M} UTC"


def distance(time: datetime, now: datetime) -> str:
    """How far away a time is; what is left is rounded up, what has passed is rounded down."""
    left = time - now
    if left > timedelta(0):
        return f"in {_measure(left, ceil)}"
    return f"{_measure(-left, int)} ago"


def shown_name(display_name: str, longest: int = 200) -> str:
    """A token's name as it can be shown on one line: nothing that breaks or turns it, and a bound.

    Names are whatever somebody typed, so marks that are not seen but change what is are left out.
    """
    return visible(display_name, longest) or "unnamed token"


def visible(text: str, longest: int = 200) -> str:
    """What of a text is seen, on one line and bounded; "" where that is nothing."""
    # Most texts are printable, and then no mark of them is to be looked at.
    kept = " ".join((text if text.isprintable() else _seen(text)).split())
    return kept if len(kept) <= longest else kept[: longest - 1].rstrip() + "…"


def _seen(text: str) -> str:
    return "".join(
        " " if each.isspace() else each
        for each in text
        if each.isspace() or unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count} tokens"


def fate(expires_at: datetime, now: datetime) -> str:
    """What happens to a token, in a word or three: `has expired`, `expires tomorrow`."""
    if expires_at <= now:
        return "has expired"
    days = (expires_at.date() - now.date()).days
    if days <= 1:
        return f"expires {('today', 'tomorrow')[days]}"
    return f"expires in {ceil((expires_at - now) / _DAY)} days"


def _span(living: list[Notice], now: datetime) -> str:
    within = ceil((living[-1].expires_at - now) / _DAY)
    span = "within 1 day" if within == 1 else f"within {within} days"
    if len({notice.window for notice in living}) == 1:
        return span
    return f"{span}, the first {fate(living[0].expires_at, now).removeprefix('expires ')}"


def _measure(length: timedelta, rounded: Callable[[float], int]) -> str:
    for unit, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        # Below two days the hours say more.
        if length >= unit * (2 if unit is _DAY else 1):
            count = rounded(length / unit)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "a moment"
