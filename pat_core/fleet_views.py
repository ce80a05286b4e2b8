"""What administrators' pages are made from beside the inventory. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pat_core.audit import AuditEntry
from pat_core.listing import Listing
from pat_core.model import Digest
from pat_core.records import NoticeRecord
from pat_core.rotations import Rotation


@dataclass(frozen=True, slots=True)
class Dossier:
    """All that is known of one token: what it is, what was told, how it came, who did what.

    `line` names the tokens before it and after it, the oldest first, itself among them. `over` says
    why it cannot be revoked, "" where it can.
    """

    listing: Listing
    gone_at: datetime | None
    notices: Sequence[NoticeRecord]
    rotations: Sequence[Rotation]
    line: Sequence[str]
    trail: Sequence[AuditEntry]
    over: str = ""


@dataclass(frozen=True, slots=True)
class Unreached:
    """A token that is due and whose owner nobody can tell, and why."""

    listing: Listing
    why: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would leave if everything ran now: what waits, and what a scan would add to that.

    `was_cut` says that there is more than is listed.
    """

    waiting: Sequence[Digest]
    coming: Sequence[Digest]
    unreached: Sequence[Unreached]
    was_cut: bool = False
