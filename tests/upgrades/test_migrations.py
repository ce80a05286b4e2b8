"""A migration dies at every write, meets another one, and meets who still writes as before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pat_core.current import CurrentStore
from pat_core.errors import LedgerTooNew
from pat_core.ledger_version import LEDGER_VERSION, VERSION_KEY, version_row
from pat_core.migrations import MIGRATIONS, migrated
from pat_core.ports import Store
from pat_core.rows import LEDGER, RUNS, Change, Row, Value, Verb
from pat_core.run_records import PAGES
from tests.simulation.storage import MemoryStore
from tests.unit.test_nothing_is_lost import Crash, Death, DyingStore
from tests.upgrades.kept import Dump, dump, filled

pytestmark = pytest.mark.anyio
ORGANIZATIONS = ("contoso", "contoso-demo")
RUN = Row("contoso", "20261122T080000.000000Z-abcdef")
PAGES_OF_RUN = 3


async def first_version(folder: Path) -> MemoryStore:
    """A kept ledger of version 1, with one more run under way that has a few pages."""
    store = MemoryStore()
    found = await filled(store, 1, folder)
    (at, *_) = [row async for row in store.rows(RUNS, "contoso")]
    started = {"started_at": at.values["started_at"], "complete": False}
    await store.write(RUNS, [Change(Verb.PUT, Row(RUN.partition, RUN.key, started))])
    for number in range(1, PAGES_OF_RUN + 1):
        await store.write(RUNS, [Change(Verb.PUT, page(number))])
    assert ("runs", "contoso") in found
    return store


def page(number: int) -> Row:
    """A page as version 1 wrote it."""
    values: dict[str, Value] = {
        "page": number,
        "users": 1,
        "last": number == PAGES_OF_RUN,
        "batches": f"batch|{number}",
    }
    return Row(f"{RUN.partition}|{RUN.key}", f"{PAGES}{number}", values)


async def undisturbed(folder: Path) -> tuple[Dump, int]:
    """The ledger after a migration that nothing disturbed, and how many things it did."""
    store, death = await first_version(folder), Death(0, after=False)
    await migrated(DyingStore(store, death), ORGANIZATIONS, "")
    return dump(store), death.done


@dataclass
class Meddled:
    """Lets somebody else act before each write, and counts the rows that are read by their key."""

    inner: Store
    meddle: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
    read: int = 0

    def rows(self, table: str, partition: str, **bounds: str) -> AsyncIterator[Row]:
        return self.inner.rows(table, partition, **bounds)

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        self.read += 1
        await asyncio.sleep(0)
        return await self.inner.row(table, partition, key)

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        await self.meddle()
        return await self.inner.write(table, changes)


class TestMigrated:
    async def test_a_death_before_or_after_anything_changes_nothing_in_the_end(
        self, tmp_path: Path
    ) -> None:
        wanted, done = await undisturbed(tmp_path)
        assert done >= PAGES_OF_RUN + 3
        for after in (False, True):
            for at in range(1, done + 1):
                store = await first_version(tmp_path)
                dying = DyingStore(store, Death(at, after))
                with pytest.raises(Crash):
                    await migrated(dying, ORGANIZATIONS, "")
                # The last write raises the version, and one look comes after it.
                raised = at == done or (after and at == done - 1)
                version = await store.row(LEDGER, LEDGER, VERSION_KEY)
                assert (version is not None) is raised
                assert await migrated(store, ORGANIZATIONS, "") == LEDGER_VERSION
                assert dump(store) == wanted

    async def test_two_at_once_end_as_one_does(self, tmp_path: Path) -> None:
        wanted, _ = await undisturbed(tmp_path)
        store = await first_version(tmp_path)
        both = [Meddled(store) for _ in range(2)]
        versions = await asyncio.gather(*(migrated(each, ORGANIZATIONS, "") for each in both))
        assert versions == [LEDGER_VERSION] * 2
        assert dump(store) == wanted

    async def test_twice_is_as_good_as_once(self, tmp_path: Path) -> None:
        store = await first_version(tmp_path)
        await migrated(store, ORGANIZATIONS, "")
        wanted = {
            place: row.version for place, rows in store.tables.items() for row in rows.values()
        }
        await MIGRATIONS[0](store, ORGANIZATIONS)
        await migrated(store, ORGANIZATIONS, "")
        again = {
            place: row.version for place, rows in store.tables.items() for row in rows.values()
        }
        assert again == wanted

    async def test_what_the_version_before_writes_meanwhile_is_kept(self, tmp_path: Path) -> None:
        store = await first_version(tmp_path)
        newer = {**page(1).values, "users": 7}
        written = Change(Verb.PUT, Row(page(1).partition, page(1).key, newer))
        still = [written]

        async def once() -> None:
            if still:
                await store.write(RUNS, [still.pop()])

        meddled = Meddled(store, meddle=once)
        assert await migrated(meddled, ORGANIZATIONS, "") == LEDGER_VERSION
        row = await store.row(RUNS, written.row.partition, written.row.key)
        assert row
        assert row.values == newer

    async def test_what_the_version_before_wrote_last_is_brought_along_by_the_next(
        self, tmp_path: Path
    ) -> None:
        store = await first_version(tmp_path)
        await migrated(store, ORGANIZATIONS, "")
        await store.write(RUNS, [Change(Verb.PUT, page(1))])

        async def nothing(store: Store, organizations: Sequence[str]) -> None:
            """A step of a version to come."""

        assert (
            await migrated(store, ORGANIZATIONS, "", (*MIGRATIONS, nothing)) == LEDGER_VERSION + 1
        )
        row = await store.row(RUNS, page(1).partition, page(1).key)
        assert row
        assert row.values["following"] == "page|unknown"

    async def test_an_organization_that_was_left_out_is_brought_along_later(
        self, tmp_path: Path
    ) -> None:
        store = await first_version(tmp_path)
        await store.write(RUNS, [Change(Verb.PUT, page(1))])

        async def nothing(store: Store, organizations: Sequence[str]) -> None:
            """A step of a version to come."""

        await migrated(store, [], "")
        await migrated(store, [], "", (*MIGRATIONS, nothing))
        await migrated(store, ORGANIZATIONS, "", (*MIGRATIONS, nothing, nothing))
        row = await store.row(RUNS, page(1).partition, page(1).key)
        assert row
        assert row.values["following"] == "page|unknown"

    async def test_the_version_never_goes_back(self, tmp_path: Path) -> None:
        store = await first_version(tmp_path)
        newer = Change(Verb.PUT, version_row(LEDGER_VERSION + 1))
        meddled = Meddled(store, meddle=lambda: store.write(LEDGER, [newer]))
        with pytest.raises(LedgerTooNew, match="Deploy it"):
            await migrated(meddled, ORGANIZATIONS, "Deploy it.")
        row = await store.row(LEDGER, LEDGER, VERSION_KEY)
        assert row
        assert row.values == {"version": LEDGER_VERSION + 1}

    def test_each_version_has_a_step_to_the_next(self) -> None:
        assert len(MIGRATIONS) == LEDGER_VERSION - 1


class TestCurrentStore:
    async def test_whoever_comes_first_reads_one_row_more_and_nobody_else_does(self) -> None:
        store = MemoryStore()
        await store.write(LEDGER, [Change(Verb.PUT, version_row(LEDGER_VERSION))])
        counted = Meddled(store)
        opened = CurrentStore(counted, ["contoso"], "")
        assert counted.read == 0
        await asyncio.gather(*(opened.row("owners", "p", str(each)) for each in range(20)))
        assert counted.read == 20 + 1
        await opened.write("owners", [Change(Verb.PUT, Row("p", "k"))])
        assert counted.read == 20 + 1

    async def test_one_that_was_refused_is_looked_at_again(self) -> None:
        store = MemoryStore()
        await store.write(LEDGER, [Change(Verb.PUT, version_row(LEDGER_VERSION + 1))])
        opened = CurrentStore(store, ["contoso"], "")
        with pytest.raises(LedgerTooNew):
            await opened.row("owners", "p", "k")
        await store.write(LEDGER, [Change(Verb.PUT, version_row(LEDGER_VERSION))])
        assert await opened.row("owners", "p", "k") is None
