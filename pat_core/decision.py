"""What a scan of one owner changes: gathered tokens and the ledger in, changes out. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from pat_core.expiry import current_window, due_window
from pat_core.model import Notice, Owner, Token, TokenReading
from pat_core.records import (
    Account,
    NoticeRecord,
    NoticeState,
    TokenRecord,
    as_notice,
    notice_key,
    notice_row,
    token_row,
)
from pat_core.routes import ROUTED, Routes, is_webhook
from pat_core.rows import Change, write

NO_ROUTES: Final = Routes()
NO_ADDRESS: Final = "no usable address"
NOT_ACTIVE: Final = "no longer an active member"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one owner's tokens come to.

    `changes` are groups that belong into one transaction each; `notices` are newly due and can
    be sent; `unreachable` are due and can't, for the `reason`; `windows` counts the tokens in each
    window; `copies` are for others than the owner, by address.
    """

    changes: tuple[tuple[Change, ...], ...] = ()
    notices: tuple[Notice, ...] = ()
    unreachable: tuple[Notice, ...] = ()
    windows: Mapping[int, int] = field(default_factory=Counter)
    reason: str = ""
    copies: Mapping[str, tuple[Notice, ...]] = field(default_factory=dict)


def due_notices(
    owner: Owner, seen: Sequence[Token], account: Account, now: datetime, windows: Sequence[int]
) -> list[Notice]:
    """The notices that are due for the tokens seen, in their order.

    One that was noted before for the same token, `valid_to` and window is not due again, however
    often the token was extended and shortened in between, unless it went to nobody.
    """
    notices = []
    for token in seen:
        window = due_window(token, account.standing(token), now, windows)
        if window is None:
            continue
        noted = account.notices.get(notice_key(token, window))
        if noted is None or noted.state is NoticeState.UNREACHABLE or noted.was_dropped:
            notices.append(as_notice(owner, token, window))
    return notices


def decide(
    owner: Owner,
    reading: TokenReading,
    account: Account,
    due: Sequence[Notice],
    *,
    unreachable: str,
    now: datetime,
    windows: Sequence[int],
    routes: Routes = NO_ROUTES,
) -> Decision:
    """What to write and whom to tell, now that an owner's tokens are known.

    `unreachable` is the reason why the owner cannot be told, or "": such a notice is recorded for
    ops and stays due, so that it is sent once the owner can be reached. Where some tokens could not
    be read, one that was not seen may still be there and is left alone. What somebody gets a copy
    of counts as told, even where the owner cannot be.
    """
    seen = reading.tokens
    by_token = {notice.token.authorization_id: notice for notice in due}
    telling = _Telling(owner, account, unreachable, routes, now)
    groups = [tuple(telling.changes(token, by_token.get(token.authorization_id))) for token in seen]
    if not reading.faults:
        groups.extend(_gone(owner, seen, account, now))
    copies = defaultdict[str, list[Notice]](list)
    for notice in due:
        for address in routes.copies(notice):
            copies[address].append(notice)
    return Decision(
        tuple(group for group in groups if group),
        () if unreachable else tuple(due),
        tuple(due) if unreachable else (),
        _inventory(seen, now, windows),
        unreachable,
        {address: tuple(notices) for address, notices in copies.items()},
    )


@dataclass(frozen=True, slots=True)
class _Telling:
    """What is written when an owner, and whoever gets a copy, is to be told."""

    owner: Owner
    account: Account
    unreachable: str
    routes: Routes
    now: datetime

    def changes(self, token: Token, notice: Notice | None) -> Iterator[Change]:
        known = self.account.tokens.get(token.authorization_id) or TokenRecord(token)
        standing = self.account.standing(token)
        copies = self.routes.copies(notice) if notice else ()
        if notice is not None and (copies or not self.unreachable):
            standing = replace(
                standing, notified_window=notice.window, notified_valid_to=token.valid_to
            )
        record = TokenRecord(token, standing, None, known.version)
        if record != known or not known.version:
            yield write(token_row(self.owner.partition, record))
        if notice is not None:
            yield from self._note(
                self._record(notice, "" if self.unreachable else self.owner.address)
            )
            for address in copies:
                yield from self._note(self._record(notice, address, is_copy=True))

    def _record(self, notice: Notice, recipient: str, *, is_copy: bool = False) -> NoticeRecord:
        return NoticeRecord(
            authorization_id=notice.token.authorization_id,
            valid_to=notice.token.valid_to,
            window=notice.window,
            recipient=recipient,
            state=NoticeState.PENDING if recipient else NoticeState.UNREACHABLE,
            noted_at=self.now,
            reason="" if recipient else self.unreachable,
            is_copy=is_copy,
            channel=ROUTED if is_webhook(recipient) else "",
        )

    def _note(self, record: NoticeRecord) -> Iterator[Change]:
        known = self.account.notices.get(record.key)
        if known is None:
            yield write(notice_row(self.owner.partition, record))
        elif known.was_dropped or (known.reason != record.reason and not record.is_copy):
            again = replace(record, version=known.version)
            yield write(notice_row(self.owner.partition, again))


def _gone(
    owner: Owner, seen: Sequence[Token], account: Account, now: datetime
) -> Iterator[tuple[Change, ...]]:
    still_there = {token.authorization_id for token in seen}
    for authorization_id, record in account.tokens.items():
        if authorization_id not in still_there and record.gone_at is None:
            yield (write(token_row(owner.partition, replace(record, gone_at=now))),)


def _inventory(seen: Sequence[Token], now: datetime, windows: Sequence[int]) -> Counter[int]:
    current = (current_window(token, now, windows) for token in seen if token.is_valid)
    return Counter(window for window in current if window is not None)
