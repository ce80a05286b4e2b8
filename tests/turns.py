"""One owner with one token, all that may act on it, and the flows under test."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from pat_core.acts import Acts
from pat_core.book import Book
from pat_core.delivery import Outlet, Sender
from pat_core.expiry import DEFAULT_WINDOWS_DAYS
from pat_core.finishing import Finished, Finisher
from pat_core.ledger.sqlite import SqliteStore
from pat_core.model import Deed, Organization
from pat_core.records import Account
from pat_core.renewal import Renewal
from pat_core.rotation import Rotated, Rotator, Wish
from pat_core.rotations import ROTATING, Rotation
from pat_core.rows import OUTBOX
from tests.builders import ANA, a_token
from tests.fakes import FakeChannel, FakeTime
from tests.hands import Admin, Azure, FakeVault

CONTOSO: Final = Organization("contoso")
OLD: Final = a_token("old", 10)
QUARTER: Final = timedelta(days=90)


@dataclass
class Bench:
    """One owner with one token, and all that may act on it."""

    store: SqliteStore
    time: FakeTime
    azure: Azure = field(init=False)
    vault: FakeVault = field(init=False)
    channel: FakeChannel = field(init=False)

    def __post_init__(self) -> None:
        self.azure = Azure(self.time.clock)
        self.azure.owns(OLD)
        self.vault = FakeVault(self.azure)
        self.channel = FakeChannel(self.time.clock)

    @property
    def book(self) -> Book:
        return Book(self.store, self.time.clock)

    @property
    def rotator(self) -> Rotator:
        return Rotator(self.book, self.vault)

    @property
    def renewal(self) -> Renewal:
        return Renewal(self.rotator, self.azure, CONTOSO)

    @property
    def acts(self) -> Acts:
        return Acts(self.book, DEFAULT_WINDOWS_DAYS)

    async def rotate(self, *, to_vault: bool = False, hours: float = 24) -> Rotated:
        wish = Wish(QUARTER, timedelta(hours=hours), to_vault=to_vault)
        return await self.rotator.rotate(self.azure, CONTOSO, "old", wish)

    async def finish(self, admin: Admin | None = None) -> Finished:
        places = {"contoso": CONTOSO}
        finisher = Finisher(self.book, admin or Admin(self.azure), places, self.vault)
        return await finisher.finish()

    async def account(self) -> Account:
        return await self.book.account(ANA)

    async def rotation(self) -> Rotation:
        return (await self.account()).rotations["old"]

    async def told(self) -> list[Deed | None]:
        outlets = {"email": Outlet(self.channel)}
        await Sender(self.store, outlets, self.time.clock, 100).send_due()
        return [notice.deed for digest in self.channel.sent.values() for notice in digest.notices]

    async def hints(self) -> int:
        return len([row async for row in self.store.rows(OUTBOX, ROTATING)])
