"""The inventory as CSV and as JSON lines. Pure.

CSV is UTF-8 with a byte order mark, by which spreadsheets know it, and CRLF (RFC 4180). Times are
RFC 3339 in UTC. What a spreadsheet would take for a formula begins with an apostrophe instead, and
marks that turn the direction of what follows are left out. JSON lines hold names as they are.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime
from io import StringIO
from typing import Final

from pat_core.listing import Listing
from pat_core.scopes import in_words

COLUMNS: Final = (
    "organization",
    "owner",
    "address",
    "subject_descriptor",
    "token",
    "authorization_id",
    "may",
    "scope",
    "risk",
    "flags",
    "created",
    "expires",
    "notice_window_days",
    "notice_state",
    "notice_at",
    "notice_reason",
    "rotation",
    "tokens_before",
    "snoozed_until",
    "left_to_expire",
)
_BOM: Final = "\ufeff"
# The wide forms are what some spreadsheets read as the plain ones.
_FORMULA: Final = re.compile(r"\s*[=+\-@＝＋－＠]|[\x00-\x1f\x7f]")  # noqa: RUF001 - said above
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Those that join signs stay: some scripts cannot do without.
_TURN: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
Cell = str | int | bool | None


def record(listing: Listing) -> dict[str, Cell]:
    """A token by the names of COLUMNS; what there is not is None."""
    owner, token, notice, standing = (
        listing.owner,
        listing.token,
        listing.notice,
        listing.standing,
    )
    return {
        "organization": owner.organization,
        "owner": owner.display_name or None,
        "address": owner.address or None,
        "subject_descriptor": owner.subject_descriptor,
        "token": token.display_name,
        "authorization_id": token.authorization_id,
        "may": in_words(token.scope),
        "scope": token.scope,
        "risk": listing.risk.value,
        "flags": " ".join(sorted(listing.flags)),
        "created": _rfc3339(token.valid_from),
        "expires": _rfc3339(listing.expires_at),
        "notice_window_days": notice.window if notice else None,
        "notice_state": notice.state.value if notice else None,
        "notice_at": _rfc3339(notice.at) if notice else None,
        "notice_reason": (notice.reason or None) if notice else None,
        "rotation": listing.rotation or None,
        "tokens_before": listing.line,
        "snoozed_until": _rfc3339(standing.snoozed_until) if standing.snoozed_until else None,
        "left_to_expire": standing.lets_expire,
    }


async def csv_lines(listings: AsyncIterator[Listing]) -> AsyncIterator[str]:
    """The lines of the CSV, the head first."""
    yield _BOM + csv_line(COLUMNS)
    async for listing in listings:
        found: Mapping[str, Cell] = record(listing)
        yield csv_line(found[name] for name in COLUMNS)


async def json_lines(listings: AsyncIterator[Listing]) -> AsyncIterator[str]:
    """A line of JSON for each token."""
    async for listing in listings:
        yield json.dumps(record(listing), ensure_ascii=False) + "\n"


def csv_line(cells: Iterable[Cell]) -> str:
    """One line of CSV, made harmless."""
    line = StringIO()
    csv.writer(line).writerow(
        [harmless(each) if isinstance(each, str) else _plain(each) for each in cells]
    )
    return line.getvalue()


def harmless(text: str) -> str:
    """A cell that no spreadsheet calculates, on one line and in the order in which it was typed."""
    # First of all, since what stands behind such a mark may begin a formula.
    text = _TURN.sub("", text)
    safe = f"'{text}" if _FORMULA.match(text) else text
    return _CONTROL.sub(" ", safe)


def file_name(organization: str, now: datetime, kind: str) -> str:
    """A name for the file, plain ASCII."""
    plain = re.sub(r"[^A-Za-z0-9-]", "", organization) or "all"
    return f"pat-warden-{plain}-{now:%Y-%m-%d}.{kind}"


def _plain(cell: Cell) -> Cell:
    return {True: "yes", False: "no"}.get(cell, cell) if isinstance(cell, bool) else cell


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
