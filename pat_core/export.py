"""The inventory as CSV and as JSON lines. Pure.

CSV is UTF-8 with a byte order mark, by which spreadsheets know it, and CRLF (RFC 4180). Times are
RFC 3339 in UTC. What a spreadsheet would take for a formula begins with an apostrophe instead, and
marks that turn the direction of what follows are left out. JSON lines hold names as they are.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from io import StringIO
from typing import Annotated, Final

from pydantic import WithJsonSchema
from typing_extensions import TypedDict

from pat_core.listing import Listing
from pat_core.records import NoticeState
from pat_core.risk import Risk
from pat_core.scopes import in_words

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class TokenLine(TypedDict):
    """A token as it is exported; what there is not is null."""

    organization: str
    owner: str | None
    address: str | None
    subject_descriptor: str
    token: str
    authorization_id: str
    may: str
    scope: str
    risk: Risk
    flags: str
    created: Time
    expires: Time
    notice_window_days: int | None
    notice_state: NoticeState | None
    notice_at: Time | None
    notice_reason: str | None
    rotation: str | None
    tokens_before: int
    snoozed_until: Time | None
    left_to_expire: bool


COLUMNS: Final = tuple(TokenLine.__annotations__)
_BOM: Final = "\ufeff"
# The wide forms are what some spreadsheets read as the plain ones.
_FORMULA: Final = re.compile(r"\s*[=+\-@＝＋－＠]|[\x00-\x1f\x7f]")  # noqa: RUF001 - said above
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Those that join signs stay: some scripts cannot do without.
_TURN: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def record(listing: Listing) -> TokenLine:
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
        "risk": listing.risk,
        "flags": " ".join(sorted(listing.flags)),
        "created": _rfc3339(token.valid_from),
        "expires": _rfc3339(listing.expires_at),
        "notice_window_days": notice.window if notice else None,
        "notice_state": notice.state if notice else None,
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
        yield csv_line(record(listing).values())


async def json_lines(listings: AsyncIterator[Listing]) -> AsyncIterator[str]:
    """A line of JSON for each token."""
    async for listing in listings:
        yield json.dumps(record(listing), ensure_ascii=False) + "\n"


def csv_line(cells: Iterable[object]) -> str:
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


def _plain(cell: object) -> object:
    return ("yes" if cell else "no") if isinstance(cell, bool) else cell


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
