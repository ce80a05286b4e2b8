"""The flow that writes down what owners decide about their tokens, and has them told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypedDict, Unpack

from pat_core.decision import NO_ADDRESS
from pat_core.errors import Conflict
from pat_core.model import Deed, Owner, Standing, Token
from pat_core.outbox import hints, unsent_row
from pat_core.pointing import pointing
from pat_core.ports import Clock, Store
from pat_core.records import (
    Account,
    NoticeRecord,
    TokenRecord,
    deed_record,
    notice_of,
    notice_row,
    read_account,
    token_row,
)
from pat_core.rotations import Rotation, rotation_row
from pat_core.rows import OWNERS, Change, Verb, write

_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """What is written in one transaction: a token as it is now, and what was decided about it.

    `deed` has its owner told, with `detail` as what follows from it.
    """

    token: Token
    standing: Callable[[Standing], Standing] = lambda standing: standing
    rotation: Rotation | None = None
    deed: Deed | None = None
    detail: str = ""


class Follows(TypedDict, total=False):
    """What a step of a rotation does to its old token, and what its owner is told of it."""

    lets_expire: bool
    is_valid: bool
    deed: Deed
    detail: str


def rotation_entry(old: Token, rotation: Rotation, **follows: Unpack[Follows]) -> Entry:
    """A rotation as it is now, and what follows from it."""

    def standing(known: Standing) -> Standing:
        return replace(known, lets_expire=follows.get("lets_expire", known.lets_expire))

    token = replace(old, is_valid=old.is_valid and follows.get("is_valid", True))
    return Entry(token, standing, rotation, follows.get("deed"), follows.get("detail", ""))


@dataclass(frozen=True, slots=True)
class Book:
    """Reads and writes an owner's partition of the ledger."""

    store: Store
    clock: Clock

    async def account(self, owner: Owner) -> Account:
        """All that is known of an owner. Raises LedgerUnavailable."""
        return read_account([row async for row in self.store.rows(OWNERS, owner.partition)])

    async def write(self, owner: Owner, entry: Entry) -> str:
        """Write an entry, all of it or nothing; gives the version of its rotation, "" without one.

        Raises Conflict where the rotation was written by somebody else meanwhile, and where others
        write without end; LedgerUnavailable.
        """
        told = self._told(owner, entry)
        leading = self._leading(owner, entry.token, told) if told else ()
        async with pointing(self.store, leading):
            return await self._write(owner, entry, told)

    def _leading(self, owner: Owner, token: Token, told: NoticeRecord) -> Sequence[Change]:
        if owner.address:
            return hints(owner, [notice_of(owner, told, token)])
        return [Change(Verb.PUT, unsent_row(owner, NO_ADDRESS, self.clock()))]

    async def _write(self, owner: Owner, entry: Entry, told: NoticeRecord | None) -> str:
        for last in (False,) * (_TRIES - 1) + (True,):
            account = await self.account(owner)
            self._check(account, entry.rotation)
            try:
                versions = await self.store.write(OWNERS, _changes(owner, account, entry, told))
            except Conflict:
                if last:
                    raise
            else:
                break
        return versions[-1] if entry.rotation else ""

    def _told(self, owner: Owner, entry: Entry) -> NoticeRecord | None:
        if entry.deed is None:
            return None
        return deed_record(owner, entry.token, entry.deed, entry.detail, self.clock())

    def _check(self, account: Account, rotation: Rotation | None) -> None:
        """Raise Conflict where a rotation is not the one that was read before."""
        if rotation is None:
            return
        known = account.rotations.get(rotation.authorization_id)
        if (known.version if known else "") != rotation.version:
            raise Conflict("Somebody else works on the same rotation.")


def _changes(
    owner: Owner, account: Account, entry: Entry, told: NoticeRecord | None
) -> list[Change]:
    known = account.tokens.get(entry.token.authorization_id) or TokenRecord(entry.token)
    standing = entry.standing(account.standing(entry.token))
    # Whatever was revoked meanwhile stays so.
    record = replace(known, token=account.known(entry.token), standing=standing)
    rows = [token_row(owner.partition, record)]
    if told:
        rows.append(notice_row(owner.partition, told))
    if entry.rotation:
        rows.append(rotation_row(owner.partition, entry.rotation))
    return [write(row) for row in rows]
