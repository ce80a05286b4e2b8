"""One token as administrators see it, and where it stands in the inventory. Pure.

The inventory is a copy of what owners' partitions hold, kept in the order in which it is asked
for: a row for each token and view. Within a view the keys sort as the view does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from unicodedata import combining, normalize

from pat_core.expiry import effective_expiry
from pat_core.model import Owner, Standing, Token
from pat_core.records import Account, NoticeRecord, NoticeState, TokenRecord
from pat_core.risk import Risk, risk_of
from pat_core.rotations import UNFINISHED
from pat_core.rows import Row, key_time, short_hash

RECOMMENDED_DAYS: Final = 90
"""How long a token should live at most, where nobody says otherwise."""
POSITIONS: Final = "at"
"""The view that says where else an owner's tokens stand."""
_MOST_SORTED: Final = 40
_SAFE: Final = re.compile(r"[^a-z0-9 .@_-]")
_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)
_UNTOLD: Final = (NoticeState.UNREACHABLE, NoticeState.UNSENT)


class Order(StrEnum):
    """How tokens may be sorted: the soonest expiry, the newest, or the owner's name first."""

    EXPIRES = "expires"
    CREATED = "created"
    OWNER = "owner"


class Flag(StrEnum):
    """What makes a token one to look at."""

    FULL_ACCESS = "full-access"
    GLOBAL = "global"
    LONG_LIFE = "long-life"
    OWNER_GONE = "owner-gone"
    NOT_TOLD = "not-told"
    ROTATING = "rotating"


@dataclass(frozen=True, slots=True)
class LastNotice:
    """The newest notice of a token: its window in days, how far it came and when, and why not."""

    window: int
    state: NoticeState
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """One token with all that is known of it. `line` counts the tokens it stands in for."""

    owner: Owner
    token: Token
    standing: Standing = field(default_factory=Standing)
    flags: frozenset[Flag] = frozenset()
    notice: LastNotice | None = None
    rotation: str = ""
    line: int = 0

    @property
    def expires_at(self) -> datetime:
        """When it stops working, aware UTC."""
        return effective_expiry(self.token)

    @property
    def owner_name(self) -> str:
        """What to call its owner: a name, an address, or what Azure DevOps calls them."""
        return self.owner.display_name or self.owner.address or self.owner.subject_descriptor

    @property
    def risk(self) -> Risk:
        """What its gravest scope allows."""
        return risk_of(self.token.scope)

    @property
    def id(self) -> str:
        """Its name among all tokens; those of one owner begin alike."""
        return f"{owner_id(self.owner)}.{self.token.authorization_id}"


def owner_id(owner: Owner) -> str:
    """The name of an owner among all organizations."""
    return short_hash(owner.partition)


def listings(account: Account, recommended_days: int) -> list[Listing]:
    """Every token of an owner that is still there and was not revoked."""
    if account.owner is None:
        return []
    notices = _newest(account.notices.values())
    owner = account.owner.owner
    return [
        _listing(account, owner, record, notices, recommended_days)
        for record in account.tokens.values()
        if record.gone_at is None and record.token.is_valid
    ]


def listing_of(
    account: Account, owner: Owner, record: TokenRecord, recommended_days: int
) -> Listing:
    """One token of an owner, even one that is over."""
    return _listing(account, owner, record, _newest(account.notices.values()), recommended_days)


def views(listing: Listing) -> Iterator[str]:
    """The key of each row that a token has in the inventory."""
    token = listing.token
    by_expiry = f"{key_time(listing.expires_at)}|{listing.id}"
    yield f"{Order.EXPIRES}|{by_expiry}"
    yield f"{Order.CREATED}|{_backward(token.valid_from)}|{listing.id}"
    yield f"{Order.OWNER}|{_sortable(listing.owner_name)}|{by_expiry}"
    for flag in sorted(listing.flags):
        yield f"{flag}|{by_expiry}"


def listing_values(listing: Listing) -> dict[str, Any]:
    """The columns of a token in the inventory, the same in each view."""
    owner, token, standing, notice = (
        listing.owner,
        listing.token,
        listing.standing,
        listing.notice,
    )
    values = {
        "subject_descriptor": owner.subject_descriptor,
        "owner": owner.display_name,
        "address": owner.address,
        "authorization_id": token.authorization_id,
        "name": token.display_name,
        "scope": token.scope,
        "valid_from": token.valid_from,
        "valid_to": token.valid_to,
        "is_global": token.is_global or None,
        "flags": " ".join(sorted(listing.flags)),
        "rotation": listing.rotation,
        "line": listing.line or None,
        "notified_window": standing.notified_window,
        "notified_valid_to": standing.notified_valid_to,
        "snoozed_until": standing.snoozed_until,
        "lets_expire": standing.lets_expire or None,
    }
    if notice:
        values |= {
            "notice_window": notice.window,
            "notice_state": notice.state.value,
            "notice_at": notice.at,
            "notice_reason": notice.reason,
        }
    return {name: value for name, value in values.items() if value not in (None, "")}


def read_listing(row: Row) -> Listing:
    """The token that a row of the inventory gives; its partition is the organization."""
    get: Mapping[str, Any] = row.values
    token = Token(
        get["authorization_id"],
        get.get("name", ""),
        get.get("scope", ""),
        get["valid_from"],
        get["valid_to"],
        is_global=get.get("is_global", False),
    )
    return Listing(
        Owner(
            row.partition,
            get["subject_descriptor"],
            get.get("owner", ""),
            get.get("address", ""),
        ),
        token,
        Standing(
            get.get("notified_window"),
            get.get("notified_valid_to"),
            get.get("snoozed_until"),
            get.get("lets_expire", False),
        ),
        frozenset(Flag(flag) for flag in get.get("flags", "").split()),
        _read_notice(get),
        get.get("rotation", ""),
        get.get("line", 0),
    )


def _listing(
    account: Account,
    owner: Owner,
    record: TokenRecord,
    notices: Mapping[str, NoticeRecord],
    recommended_days: int,
) -> Listing:
    token = record.token
    notice = notices.get(token.authorization_id)
    rotation = account.rotations.get(token.authorization_id)
    state = rotation.state.value if rotation else ""
    current = notice and notice.valid_to == token.valid_to
    flags = {
        Flag.FULL_ACCESS: risk_of(token.scope) is Risk.FULL_ACCESS,
        Flag.GLOBAL: token.is_global,
        Flag.LONG_LIFE: token.valid_to - token.valid_from > timedelta(days=recommended_days),
        Flag.OWNER_GONE: account.owner is not None and account.owner.gone_at is not None,
        Flag.NOT_TOLD: current and notice is not None and notice.state in _UNTOLD,
        Flag.ROTATING: rotation is not None and rotation.state in UNFINISHED,
    }
    return Listing(
        owner,
        token,
        record.standing,
        frozenset(flag for flag, holds in flags.items() if holds),
        _last(notice) if notice else None,
        state,
        _line(account, token.authorization_id),
    )


def _newest(notices: Iterable[NoticeRecord]) -> dict[str, NoticeRecord]:
    """The newest notice of each token that its owner was, or was to be, told of its expiry."""
    found: dict[str, NoticeRecord] = {}
    for each in notices:
        if each.deed or each.is_copy:
            continue
        known = found.get(each.authorization_id)
        if known is None or known.noted_at <= each.noted_at:
            found[each.authorization_id] = each
    return found


def _last(notice: NoticeRecord) -> LastNotice:
    # One that is being sent is not told yet, and is not listed anew for the moment that takes.
    waits = notice.state is NoticeState.CLAIMED
    state = NoticeState.PENDING if waits else notice.state
    return LastNotice(notice.window, state, notice.settled_at or notice.noted_at, notice.reason)


def _read_notice(get: Mapping[str, Any]) -> LastNotice | None:
    if "notice_state" not in get:
        return None
    state = NoticeState(get["notice_state"])
    return LastNotice(get["notice_window"], state, get["notice_at"], get.get("notice_reason", ""))


def _line(account: Account, authorization_id: str) -> int:
    """How many tokens came before this one, each replaced by the next."""
    makers = {
        each.new_id: each.authorization_id
        for each in account.rotations.values()
        if each.blocks_new_rotation
    }
    count, seen = 0, {authorization_id}
    while (authorization_id := makers.get(authorization_id, "")) and authorization_id not in seen:
        seen.add(authorization_id)
        count += 1
    return count


def _sortable(name: str) -> str:
    """A name as part of a key: the homes of the ledger agree on the order of ASCII alone."""
    folded = normalize("NFKD", name).casefold()
    plain = (each for each in folded if not combining(each))
    return "".join(_SAFE.sub(_as_hex, each) for each in plain)[:_MOST_SORTED]


def _as_hex(found: re.Match[str]) -> str:
    return f"~{ord(found[0]):05x}"


def _backward(time: datetime) -> str:
    """A time as part of a key that sorts the latest first."""
    left = _END_OF_TIME - time
    return f"{int(left.total_seconds()):012d}"
