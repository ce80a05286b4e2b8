"""What every home of the ledger must do alike."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.data.tables.aio import TableServiceClient

from pat_core.errors import Conflict, LedgerRefused, LedgerTooNew, LedgerUnavailable
from pat_core.ledger.sqlite import SqliteStore
from pat_core.ledger.table import TableStore
from pat_core.ports import Store
from pat_core.rows import Change, Row, Verb

pytestmark = pytest.mark.anyio


async def read(store: Store, partition: str = "p", *, after: str = "") -> list[Row]:
    return [row async for row in store.rows("owners", partition, after=after)]


def insert(key: str, **values: str | float | bool | datetime) -> Change:
    return Change(Verb.INSERT, Row("p", key, values))


class TestRow:
    async def test_one_is_found_by_its_key(self, store: Store) -> None:
        (version,) = await store.write("owners", [insert("a/b#c", n=1)])
        found = await store.row("owners", "p", "a/b#c")
        assert found == Row("p", "a/b#c", {"n": 1})
        assert found.version == version

    @pytest.mark.parametrize(("partition", "key"), [("p", "b"), ("q", "a")])
    async def test_none_is_none(self, store: Store, partition: str, key: str) -> None:
        await store.write("owners", [insert("a")])
        assert await store.row("owners", partition, key) is None


class TestRows:
    async def test_they_come_in_order_of_keys_and_by_partition(self, store: Store) -> None:
        await store.write("owners", [insert("b"), insert("a"), insert("c")])
        await store.write("owners", [Change(Verb.INSERT, Row("q", "a"))])
        await store.write("outbox", [insert("z")])
        assert [row.key for row in await read(store)] == ["a", "b", "c"]
        assert [row.key for row in await read(store, after="a")] == ["b", "c"]

    async def test_more_than_a_page_comes_whole(self, store: Store) -> None:
        keys = [f"{number:05d}" for number in range(1234)]
        for start in range(0, len(keys), 100):
            await store.write("owners", [insert(key) for key in keys[start : start + 100]])
        assert [row.key for row in await read(store)] == keys

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "2026-11-23T08:00:00+00:00",
            "Ünïcödé \U0001f600 '\"\\/#?%\x00\u202e",
            "x" * 32768,
            0,
            -1,
            2**40,
            1.5,
            True,
            False,
            datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC),
            datetime(1601, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        ],
    )
    async def test_a_value_comes_back_as_it_was(self, store: Store, value: str) -> None:
        await store.write("owners", [insert("k", value=value)])
        (row,) = await read(store)
        assert row.values["value"] == value
        assert type(row.values["value"]) is type(value)

    @pytest.mark.parametrize(
        "key", ["a/b", "a\\b", "a#b", "a?b", "a'b", 'a"b', "a%2Fb", "\u00e4 \u4e2d"]
    )
    async def test_any_key_finds_its_row(self, store: Store, key: str) -> None:
        await store.write("owners", [Change(Verb.INSERT, Row(key, key, {"n": 1}))])
        (row,) = await read(store, key)
        assert (row.partition, row.key) == (key, key)


class TestWrite:
    async def test_a_second_insert_is_a_conflict(self, store: Store) -> None:
        await store.write("owners", [insert("k", n=1)])
        with pytest.raises(Conflict):
            await store.write("owners", [insert("k", n=2)])
        assert (await read(store))[0].values == {"n": 1}

    async def test_a_stale_version_is_a_conflict(self, store: Store) -> None:
        (version,) = await store.write("owners", [insert("k", n=1)])
        await store.write("owners", [Change(Verb.REPLACE, Row("p", "k", {"n": 2}, version))])
        for verb in (Verb.REPLACE, Verb.DELETE):
            with pytest.raises(Conflict):
                await store.write("owners", [Change(verb, Row("p", "k", {"n": 3}, version))])
        assert (await read(store))[0].values == {"n": 2}

    async def test_the_versions_given_are_those_that_are_read(self, store: Store) -> None:
        versions = await store.write("owners", [insert("a"), insert("b")])
        assert versions == [row.version for row in await read(store)]

    async def test_a_row_made_anew_does_not_look_unchanged(self, store: Store) -> None:
        (version,) = await store.write("owners", [insert("k")])
        await store.write("owners", [Change(Verb.DELETE, Row("p", "k", {}, version))])
        await store.write("owners", [insert("k")])
        with pytest.raises(Conflict):
            await store.write("owners", [Change(Verb.DELETE, Row("p", "k", {}, version))])

    async def test_put_writes_over_and_changes_the_version(self, store: Store) -> None:
        (first,) = await store.write("owners", [Change(Verb.PUT, Row("p", "k", {"n": 1}))])
        (second,) = await store.write("owners", [Change(Verb.PUT, Row("p", "k", {"n": 2}))])
        assert first != second
        assert (await read(store))[0].values == {"n": 2}

    async def test_a_missing_row_cannot_be_replaced_or_deleted(self, store: Store) -> None:
        (version,) = await store.write("owners", [insert("k")])
        await store.write("owners", [Change(Verb.DELETE, Row("p", "k", {}, version))])
        for verb in (Verb.REPLACE, Verb.DELETE):
            with pytest.raises(Conflict):
                await store.write("owners", [Change(verb, Row("p", "k", {}, version))])

    async def test_a_transaction_is_all_or_nothing(self, store: Store) -> None:
        await store.write("owners", [insert("b", n=1)])
        with pytest.raises(Conflict):
            await store.write("owners", [insert("a"), insert("b"), insert("c")])
        assert [row.key for row in await read(store)] == ["b"]

    async def test_a_hundred_changes_go_and_one_more_does_not(self, store: Store) -> None:
        await store.write("owners", [insert(f"{number:03d}") for number in range(100)])
        with pytest.raises(ValueError, match="up to 100 changes"):
            await store.write("owners", [insert(f"x{number}") for number in range(101)])

    async def test_two_partitions_do_not_share_a_transaction(self, store: Store) -> None:
        with pytest.raises(ValueError, match="one partition"):
            await store.write("owners", [insert("a"), Change(Verb.INSERT, Row("q", "a"))])


class TestSqlite:
    async def test_what_was_written_is_there_after_a_restart(self, tmp_path: Path) -> None:
        first = SqliteStore(tmp_path / "l.sqlite")
        await first.write("owners", [insert("k", n=1)])
        first.close()
        second = SqliteStore(tmp_path / "l.sqlite")
        assert (await read(second))[0].values == {"n": 1}
        second.close()

    async def test_a_copy_leaves_the_first_alone(self, tmp_path: Path) -> None:
        first = SqliteStore(tmp_path / "l.sqlite")
        await first.write("owners", [insert("k", n=1)])
        copy = first.copy_to(tmp_path / "c.sqlite")
        await copy.write("owners", [insert("l")])
        assert [row.key for row in await read(copy)] == ["k", "l"]
        assert [row.key for row in await read(first)] == ["k"]
        first.close()
        copy.close()

    def test_a_ledger_of_a_newer_version_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "l.sqlite"
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
        with pytest.raises(LedgerTooNew, match="version 99; this program knows up to 2"):
            SqliteStore(path)

    def test_a_file_that_is_no_ledger_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "l.sqlite"
        path.write_text("x" * 5000)
        with pytest.raises(LedgerUnavailable, match=r"l\.sqlite cannot be used: file is not a"):
            SqliteStore(path)

    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(LedgerUnavailable, match="PAT_LOCAL_DIR names another folder"):
            SqliteStore(tmp_path / "file" / "l.sqlite")

    async def test_a_full_disk_is_said_and_nothing_is_lost(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "l.sqlite")
        await store.write("owners", [insert("k", n=1)])
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(LedgerUnavailable, match="full"):
            await store.write("owners", [insert("l", text="x" * 100_000)])
        store._db.execute(f"PRAGMA max_page_count = {pages + 1000}")
        await store.write("owners", [insert("m")])
        assert [row.key for row in await read(store)] == ["k", "m"]
        store.close()


class TestTableUnavailable:
    # The SDK looks at its errors in a way that Python is about to give up.
    @pytest.mark.filterwarnings("ignore:Testing an element's truth:DeprecationWarning")
    async def test_storage_that_refuses_is_told_from_one_that_is_silent(
        self, connection_string: str
    ) -> None:
        wrong = connection_string.replace("AccountKey=Eby8", "AccountKey=AAAA")
        silent = re.sub(r"127.0.0.1:\d+", "127.0.0.1:1", connection_string)
        kinds = []
        for given in (wrong, silent):
            async with TableServiceClient.from_connection_string(given, retry_total=0) as service:
                with pytest.raises(LedgerUnavailable, match=r"owners cannot.*Contributor") as found:
                    await TableStore(service).row("owners", "p", "k")
            kinds.append(found.type)
        assert kinds == [LedgerRefused, LedgerUnavailable]
