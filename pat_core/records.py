"""What the ledger remembers of an owner, as records and as rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pat_core.expiry import EXPIRED_NOTICE_FOR, effective_expiry
from pat_core.model import EXPIRED, Deed, Notice, Owner, Standing, Token, TokenReading
from pat_core.owner_records import OWNER_KEY, OwnerRecord, read_owner
from pat_core.rotations import ROTATION_KEY, Rotation, RotationState, read_rotation
from pat_core.rows import Row, key_time, short_hash

MOST_ATTEMPTS: Final = 6
"""How often one channel is tried before the next."""
FIRST_REST: Final = timedelta(minutes=5)
LONGEST_REST: Final = timedelta(hours=4)
_TOKEN_KEY: Final = "token|"  # noqa: S105 - the kind of a row
_NOTICE_KEY: Final = "notice|"
_DEED_KEY: Final = "deed|"


class NoticeState(StrEnum):
    """Where a notice stands.

    Pending and claimed ones are still to be sent; unreachable and unsent ones are for ops, until
    their owner can be reached; the others are settled.
    """

    PENDING = "pending"
    CLAIMED = "claimed"
    UNREACHABLE = "unreachable"
    UNSENT = "unsent"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    NOT_NEEDED = "not needed"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as last seen, its standing, and since when it is no longer listed."""

    token: Token
    standing: Standing = field(default_factory=Standing)
    gone_at: datetime | None = None
    version: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """A notice that was due: to whom it goes, how far it came, and why if nowhere.

    `channel` is "" for the first one there is; `attempts` counts those that failed there, and
    until `retry_at` it rests. One of a `deed` says what was done when it was noted.
    """

    authorization_id: str
    valid_to: datetime
    window: int
    recipient: str
    state: NoticeState
    noted_at: datetime
    reason: str = ""
    operation_id: str = ""
    claimed_at: datetime | None = None
    settled_at: datetime | None = None
    channel: str = ""
    attempts: int = 0
    retry_at: datetime | None = None
    is_copy: bool = False
    deed: Deed | None = None
    detail: str = ""
    version: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """The row key: one for each token, `valid_to` and window, and for each copy of that."""
        if self.deed:
            return f"{_DEED_KEY}{self.authorization_id}|{key_time(self.noted_at)}|{self.deed}"
        key = _notice_key(self.authorization_id, self.valid_to, self.window)
        return f"{key}|{short_hash(self.recipient)}" if self.is_copy else key

    @property
    def was_dropped(self) -> bool:
        """True for a notice that surely went to nobody, since it was not needed just then."""
        return self.state is NoticeState.NOT_NEEDED and not self.operation_id


_ENDS: Final = (Deed.REVOKED, Deed.TAKEN)
_SHOWN_WITHIN: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Account:
    """All that the ledger knows of one owner."""

    tokens: Mapping[str, TokenRecord]
    notices: Mapping[str, NoticeRecord]
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    owner: OwnerRecord | None = None

    def known(self, token: Token) -> Token:
        """A token as its owner reads it, revoked where the ledger knows that it was.

        The lifecycle API shows a revoked token as any other.
        """
        record = self.tokens.get(token.authorization_id)
        return replace(token, is_valid=token.is_valid and (not record or record.token.is_valid))

    def shown(self, token: Token, now: datetime) -> Token:
        """A token as Azure DevOps shows it to administrators, revoked where that was just ordered.

        It may take an hour to be shown. After two, what Azure DevOps shows is the truth again.
        """
        ordered = any(
            notice.authorization_id == token.authorization_id
            and notice.deed in _ENDS
            and now - notice.noted_at < _SHOWN_WITHIN
            for notice in self.notices.values()
        )
        return replace(token, is_valid=token.is_valid and not ordered)

    def tokens_last_seen(self) -> TokenReading:
        """The tokens that the owner had when they were listed last."""
        there = (record.token for record in self.tokens.values() if record.gone_at is None)
        return TokenReading(tuple(there))

    def standing(self, token: Token) -> Standing:
        """What is decided of a token as it is now.

        Somebody who gave it another end, be it in Azure DevOps, needs it still: what was decided
        for the end before is over, unless the new token is in use. A notice that was dropped told
        nobody.
        """
        record = self.tokens.get(token.authorization_id)
        if record is None:
            return Standing()
        standing = record.standing
        if standing.notified_window is not None:
            told = self.notices.get(notice_key(token, standing.notified_window))
            if told and told.was_dropped:
                standing = replace(standing, notified_window=None, notified_valid_to=None)
        rotation = self.rotations.get(token.authorization_id)
        replaced = rotation is not None and rotation.state is RotationState.SUPERSEDED
        if replaced or record.token.valid_to == token.valid_to:
            return standing
        return replace(standing, snoozed_until=None, lets_expire=False)

    def in_hand(self, authorization_id: str) -> Iterator[str]:
        """A token, and each that replaced the one before and is surely in its owner's hands."""
        passed = set[str]()
        while authorization_id and authorization_id not in passed:
            yield authorization_id
            passed.add(authorization_id)
            rotation = self.rotations.get(authorization_id)
            authorization_id = rotation.new_id if rotation and rotation.is_in_hand else ""

    def origin(self, authorization_id: str) -> Rotation | None:
        """The rotation that made a token, or None."""
        made = (each for each in self.rotations.values() if each.new_id == authorization_id)
        return next(made, None)


def read_account(rows: Iterable[Row]) -> Account:
    """What the rows of an owner's partition say."""
    tokens, notices, rotations, owner = {}, {}, {}, None
    for row in rows:
        if row.key.startswith(_TOKEN_KEY):
            record = _read_token(row)
            tokens[record.token.authorization_id] = record
        elif row.key.startswith((_NOTICE_KEY, _DEED_KEY)):
            notices[row.key] = _read_notice(row)
        elif row.key.startswith(ROTATION_KEY):
            rotation = read_rotation(row)
            rotations[rotation.authorization_id] = rotation
        elif row.key == OWNER_KEY:
            owner = read_owner(row)
    return Account(tokens, notices, rotations, owner)


def token_row(partition: str, record: TokenRecord) -> Row:
    """The row of a token; its key is `token|` and the authorization id."""
    token, standing = record.token, record.standing
    values = {
        "display_name": token.display_name,
        "scope": token.scope,
        "valid_from": token.valid_from,
        "valid_to": token.valid_to,
        "is_valid": token.is_valid,
        "is_global": token.is_global,
        "notified_window": standing.notified_window,
        "notified_valid_to": standing.notified_valid_to,
        "snoozed_until": standing.snoozed_until,
        "lets_expire": standing.lets_expire,
        "gone_at": record.gone_at,
    }
    return _row(partition, f"{_TOKEN_KEY}{token.authorization_id}", values, record.version)


def notice_row(partition: str, record: NoticeRecord) -> Row:
    """The row of a notice."""
    values = {
        "authorization_id": record.authorization_id,
        "valid_to": record.valid_to,
        "window": record.window,
        "recipient": record.recipient,
        "state": record.state.value,
        "noted_at": record.noted_at,
        "reason": record.reason,
        "operation_id": record.operation_id,
        "claimed_at": record.claimed_at,
        "settled_at": record.settled_at,
        "channel": record.channel,
        "attempts": record.attempts,
        "retry_at": record.retry_at,
        "is_copy": record.is_copy or None,
        "deed": record.deed and record.deed.value,
        "detail": record.detail,
    }
    return _row(partition, record.key, values, record.version)


def notice_key(token: Token, window: int) -> str:
    """The row key of a token's notice for a window."""
    return _notice_key(token.authorization_id, token.valid_to, window)


def as_notice(owner: Owner, token: Token, window: int) -> Notice:
    """The notice that tells an owner of a token in a window."""
    return Notice(owner, token, window, effective_expiry(token))


def deed_record(owner: Owner, token: Token, deed: Deed, detail: str, now: datetime) -> NoticeRecord:
    """The record that has an owner told what was done to a token, or ops where nobody can."""
    return NoticeRecord(
        authorization_id=token.authorization_id,
        valid_to=token.valid_to,
        window=EXPIRED,
        recipient=owner.address,
        state=NoticeState.PENDING if owner.address else NoticeState.UNREACHABLE,
        noted_at=now,
        deed=deed,
        detail=detail,
    )


def notice_of(owner: Owner, record: NoticeRecord, token: Token) -> Notice:
    """The notice that a record stands for."""
    if not record.deed:
        return replace(as_notice(owner, token, record.window), is_copy=record.is_copy)
    return Notice(owner, token, EXPIRED, record.noted_at, deed=record.deed, detail=record.detail)


def is_still_due(record: NoticeRecord, account: Account) -> bool:
    """True while a notice says something that its owner should still be told.

    It drops out once the token is revoked, gone, extended or left to expire, or once a tighter
    window's notice has taken its place. What was done stays worth telling.
    """
    known = account.tokens.get(record.authorization_id)
    if record.deed:
        return known is not None
    if known is None or known.gone_at is not None or not known.token.is_valid:
        return False
    standing = known.standing
    same = known.token.valid_to == record.valid_to and standing.notified_window == record.window
    return same and not standing.lets_expire


def is_still_untold(record: NoticeRecord, account: Account, now: datetime) -> bool:
    """True while ops should know that nobody could tell the owner of this."""
    known = account.tokens.get(record.authorization_id)
    if record.state not in (NoticeState.UNSENT, NoticeState.UNREACHABLE) or known is None:
        return False
    if record.deed:
        return now - record.noted_at <= EXPIRED_NOTICE_FOR
    token = known.token
    over = now - effective_expiry(token) > EXPIRED_NOTICE_FOR
    changed = known.gone_at is not None or token.valid_to != record.valid_to
    return token.is_valid and not changed and not over


def settled(record: NoticeRecord, state: NoticeState, now: datetime, why: str = "") -> NoticeRecord:
    """The record once nothing more is to be done about it."""
    return replace(record, state=state, settled_at=now, reason=why)


def claimed(record: NoticeRecord, operation_id: str, claimed_at: datetime) -> NoticeRecord:
    """The record while it is being sent under that operation id."""
    return replace(
        record, state=NoticeState.CLAIMED, operation_id=operation_id, claimed_at=claimed_at
    )


def released(record: NoticeRecord, why: str = "") -> NoticeRecord:
    """The record of what was surely not sent: it may go in another digest."""
    return replace(record, state=NoticeState.PENDING, operation_id="", claimed_at=None, reason=why)


def resting(record: NoticeRecord, why: str, now: datetime) -> NoticeRecord:
    """The record of what failed and may be tried again: it keeps its claim, and rests."""
    rest = min(FIRST_REST * 2**record.attempts, LONGEST_REST)
    return replace(record, attempts=record.attempts + 1, retry_at=now + rest, reason=why)


def moved_on(record: NoticeRecord, channel: str, why: str) -> NoticeRecord:
    """The record of what another channel is to try."""
    return replace(released(record, why), channel=channel, attempts=0, retry_at=None)


def _notice_key(authorization_id: str, valid_to: datetime, window: int) -> str:
    return f"{_NOTICE_KEY}{authorization_id}|{key_time(valid_to)}|{window:04d}"


def _row(partition: str, key: str, values: Mapping[str, Any], version: str) -> Row:
    given = {name: value for name, value in values.items() if value not in (None, "")}
    return Row(partition, key, given, version)


def _read_token(row: Row) -> TokenRecord:
    get: Mapping[str, Any] = row.values
    token = Token(
        authorization_id=row.key.removeprefix(_TOKEN_KEY),
        display_name=get.get("display_name", ""),
        scope=get.get("scope", ""),
        valid_from=get["valid_from"],
        valid_to=get["valid_to"],
        is_valid=get["is_valid"],
        is_global=get["is_global"],
    )
    standing = Standing(
        notified_window=get.get("notified_window"),
        notified_valid_to=get.get("notified_valid_to"),
        snoozed_until=get.get("snoozed_until"),
        lets_expire=get["lets_expire"],
    )
    return TokenRecord(token, standing, get.get("gone_at"), row.version)


def _read_notice(row: Row) -> NoticeRecord:
    get: Mapping[str, Any] = row.values
    return NoticeRecord(
        authorization_id=get["authorization_id"],
        valid_to=get["valid_to"],
        window=get["window"],
        recipient=get.get("recipient", ""),
        state=NoticeState(get["state"]),
        noted_at=get["noted_at"],
        reason=get.get("reason", ""),
        operation_id=get.get("operation_id", ""),
        claimed_at=get.get("claimed_at"),
        settled_at=get.get("settled_at"),
        channel=get.get("channel", ""),
        attempts=get.get("attempts", 0),
        retry_at=get.get("retry_at"),
        is_copy=get.get("is_copy", False),
        deed=Deed(get["deed"]) if "deed" in get else None,
        detail=get.get("detail", ""),
        version=row.version,
    )
