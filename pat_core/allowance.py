"""How much may leave through a channel, counted in the ledger so that no restart forgets. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf
from typing import Final

from pat_core.rows import Row, Value

TAP: Final = "tap"
"""The key of the row that counts what left through a channel."""
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many digests may leave in any minute and in any hour; infinite where nobody counts."""

    per_minute: float = inf
    per_hour: float = inf


@dataclass(frozen=True, slots=True)
class Tap:
    """When digests left of late, in seconds since 1970, and until when none may."""

    left_at: tuple[int, ...] = ()
    closed_until: datetime | None = None
    version: str = ""


def opens_in(tap: Tap, allowance: Allowance, now: datetime) -> float:
    """Seconds until the next digest may leave; 0 for now."""
    waits = [0.0]
    if tap.closed_until is not None:
        waits.append((tap.closed_until - now).total_seconds())
    at = int(now.timestamp())
    for span, most in ((_MINUTE, allowance.per_minute), (_HOUR, allowance.per_hour)):
        within = [left for left in tap.left_at if left >= at - span]
        if len(within) >= most:
            # The last of those that have to be forgotten before there is room again.
            waits.append(within[len(within) - int(most)] + span + 1 - at)
    return max(waits)


def one_more(tap: Tap, now: datetime, span: int = _HOUR) -> Tap:
    """The tap once one more digest has left; what is older than the span is forgotten."""
    at = int(now.timestamp())
    return replace(tap, left_at=(*(left for left in tap.left_at if left >= at - span), at))


def closed(tap: Tap, seconds: float, now: datetime) -> Tap:
    """The tap that stays closed for so many seconds."""
    until = now + timedelta(seconds=seconds)
    return replace(tap, closed_until=max(until, tap.closed_until or until))


def left_today(tap: Tap, now: datetime) -> int:
    """How many left in the last 24 hours."""
    return sum(left >= now.timestamp() - _DAY for left in tap.left_at)


def one_more_today(tap: Tap, now: datetime) -> Tap:
    """The tap of one address, which remembers a day."""
    return one_more(tap, now, _DAY)


def tap_partition(channel: str) -> str:
    """The partition of a channel's tap."""
    return f"tap|{channel}"


def tap_row(partition: str, tap: Tap) -> Row:
    """The row of a tap."""
    values: dict[str, Value] = {"left_at": json.dumps(tap.left_at, separators=(",", ":"))}
    if tap.closed_until is not None:
        values["closed_until"] = tap.closed_until
    return Row(partition, TAP, values, tap.version)


def read_tap(row: Row | None) -> Tap:
    """The tap that a row gives, or a new one."""
    if row is None:
        return Tap()
    until = row.values.get("closed_until")
    return Tap(
        tuple(json.loads(str(row.values["left_at"]))),
        until if isinstance(until, datetime) else None,
        row.version,
    )
