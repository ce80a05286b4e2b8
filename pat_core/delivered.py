"""What became of the outbox, as sums that add up and as rows. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pat_core.rows import Row, Value, key_time

MOST_FAILURES: Final = 20
"""How many failures are kept in words; all of them are counted."""
DELIVERIES: Final = "deliveries|"
"""The partition of what was delivered, by time; no organization is called so."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Digests sent, failed, waiting for their time, and held by another sender just now.

    `notices` counts those that were sent.
    """

    sent: int = 0
    failed: int = 0
    held: int = 0
    notices: int = 0
    waiting: int = 0
    failures: tuple[str, ...] = ()

    def __add__(self, other: Delivered) -> Delivered:
        return Delivered(
            self.sent + other.sent,
            self.failed + other.failed,
            self.held + other.held,
            self.notices + other.notices,
            self.waiting + other.waiting,
            (self.failures + other.failures)[:MOST_FAILURES],
        )


def delivered_row(delivered: Delivered, now: datetime) -> Row:
    """The row that says what one emptying of the outbox came to."""
    values: dict[str, Value] = {
        "sent": delivered.sent,
        "failed": delivered.failed,
        "held": delivered.held,
        "notices": delivered.notices,
        "waiting": delivered.waiting,
        "failures": json.dumps(delivered.failures),
    }
    return Row(DELIVERIES, key_time(now), values)


def read_delivered(row: Row) -> Delivered:
    """What a row says was delivered."""
    names = ("sent", "failed", "held", "notices", "waiting")
    sent, failed, held, notices, waiting = (int(str(row.values[name])) for name in names)
    failures = tuple(json.loads(str(row.values["failures"])))
    return Delivered(sent, failed, held, notices, waiting, failures)
