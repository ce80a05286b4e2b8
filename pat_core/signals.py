"""Every metric and log event by the name that alerts and the workbook ask for. Pure.

No attribute holds the name of a user or of a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a metric's points mean."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its unit by UCUM, what is counted or measured, and the attributes of its points."""

    name: str
    kind: Kind
    unit: str
    about: str
    attributes: tuple[str, ...] = ()


SCAN_AGE: Final = Metric(
    "pat.scan.age",
    Kind.GAUGE,
    "s",
    "Since the last complete scan ended; a year where there never was one",
    ("organization",),
)
SCAN_DURATION: Final = Metric(
    "pat.scan.duration",
    Kind.HISTOGRAM,
    "s",
    "From the order of a scan to its last batch",
    ("organization", "outcome"),
)
SCAN_USERS: Final = Metric(
    "pat.scan.users",
    Kind.COUNTER,
    "{user}",
    "Users: read, gone or failed",
    ("organization", "outcome"),
)
INVENTORY_TOKENS: Final = Metric(
    "pat.inventory.tokens",
    Kind.GAUGE,
    "{token}",
    "Tokens of the last scan by the tightest window in days: 0 for expired, all for every one",
    ("organization", "window"),
)
DIGEST_SENT: Final = Metric(
    "pat.digest.sent",
    Kind.COUNTER,
    "{digest}",
    "Digests by channel: sent, failed or bounced",
    ("channel", "outcome"),
)
DIGEST_DELAY: Final = Metric(
    "pat.digest.delay",
    Kind.HISTOGRAM,
    "s",
    "From the scan that found a notice due to its sending",
    ("channel",),
)
OUTBOX_DEPTH: Final = Metric("pat.outbox.depth", Kind.GAUGE, "{owner}", "Owners still to be told")
OUTBOX_AT_CAPACITY: Final = Metric(
    "pat.outbox.at_capacity",
    Kind.GAUGE,
    "1",
    "1 where the allowance of a channel kept somebody waiting, else 0",
    ("channel",),
)
THROTTLED: Final = Metric(
    "pat.throttled",
    Kind.COUNTER,
    "{call}",
    "Calls that Azure DevOps answered with a request to wait",
    ("organization",),
)
ROTATION_COUNT: Final = Metric(
    "pat.rotation.count",
    Kind.COUNTER,
    "{action}",
    "What owners and the service did to tokens: done, refused or failed",
    ("action", "outcome"),
)
METRICS: Final = (
    SCAN_AGE,
    SCAN_DURATION,
    SCAN_USERS,
    INVENTORY_TOKENS,
    DIGEST_SENT,
    DIGEST_DELAY,
    OUTBOX_DEPTH,
    OUTBOX_AT_CAPACITY,
    THROTTLED,
    ROTATION_COUNT,
)


class Event(StrEnum):
    """A line of the log; what belongs to it stands beside it as fields."""

    RUN_PLANNED = "run.planned"
    RUN_LISTED = "run.listed"
    RUN_FINISHED = "run.finished"
    SCAN_BATCH_DONE = "scan.batch_done"
    SCAN_REFUSED = "scan.refused"
    """The service's own sign-in was refused: `kind` is the error, `organization` where."""
    MESSAGE_REFUSED = "message.refused"
    MESSAGE_GIVEN_UP = "message.given_up"
    """A message failed for the last time: `queue` is where it came from, then it is poison."""
    DIGEST_SENT = "digest.sent"
    DIGEST_NOT_SENT = "digest.not_sent"
    DIGEST_BROKEN = "digest.broken"
    REPORT_REFUSED = "report.refused"
    REPORT_IGNORED = "report.ignored"
    FLEET_SWEPT = "fleet.swept"
    ROTATION_FINISHED = "rotation.finished"
    ROTATION_STUCK = "rotation.stuck"
    ACCESS_REFUSED = "access.refused"
    """Nobody is named: `why` is the role or the page of ours that was missing."""
    FLEET_READ = "fleet.read"
    """An administrator was shown `part` of the fleet; the audit trail says who exported it."""
    REQUEST_FAILED = "request.failed"
    """An HTTP function raised what nobody foresaw: `function` is its name."""
    SUMMARY = "summary"
    AUDIT_LOST = "audit.lost"
    """An action ended, and the ledger did not take how: `mark` and `result` say it."""
