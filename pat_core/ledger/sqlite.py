"""The ledger in one SQLite file: the embedded default."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from pat_core.errors import Conflict, LedgerTooNew, LedgerUnavailable
from pat_core.ledger_version import FOR_FILE, LEDGER_VERSION, read_version
from pat_core.rows import LEDGER, Change, Row, Value, Verb, check_transaction

_PAGE: Final = 500
# 40 MB: a scan writes all over the index, and pages that are written together are written once.
_PAGES_OF_WAL: Final = 10_000
_TIME: Final = "@"
_BEYOND: Final = chr(0x10FFFF)
"""Comes after every key."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rows (
    name TEXT NOT NULL, part TEXT NOT NULL, key TEXT NOT NULL,
    content TEXT NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (name, part, key)
);
"""
_READ: Final = """
SELECT key, content, version FROM rows
WHERE name = ? AND part = ? AND key > ? AND key < ? ORDER BY key LIMIT ?
"""
_READ_ONE: Final = "SELECT content, version FROM rows WHERE name = ? AND part = ? AND key = ?"
_WRITE: Final = {
    Verb.INSERT: "INSERT OR IGNORE INTO rows VALUES (:name, :part, :key, :content, :new)",
    Verb.REPLACE: "UPDATE rows SET content = :content, version = :new "
    "WHERE name = :name AND part = :part AND key = :key AND version = :version",
    Verb.PUT: "INSERT OR REPLACE INTO rows VALUES (:name, :part, :key, :content, :new)",
    Verb.DELETE: "DELETE FROM rows "
    "WHERE name = :name AND part = :part AND key = :key AND version = :version",
    Verb.REMOVE: "DELETE FROM rows WHERE name = :name AND part = :part AND key = :key",
}


class SqliteStore:
    """Rows in a SQLite file. Implements the port Store.

    Calls run in the event loop's own thread: one takes microseconds, a change of thread more.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def _open(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > LEDGER_VERSION:
            raise LedgerTooNew(
                f"The ledger {self.path} has version {version}; this program knows up to "
                f"{LEDGER_VERSION}.",
                remedy=FOR_FILE,
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_OF_WAL}")
        self._db.executescript(_SCHEMA)

    async def rows(
        self, table: str, partition: str, *, after: str = "", before: str = ""
    ) -> AsyncIterator[Row]:
        """Every row of a partition with a key after `after` and before `before`, in their order."""
        last = before or _BEYOND
        while True:
            with _explained(self.path):
                found = self._db.execute(_READ, (table, partition, after, last, _PAGE)).fetchall()
            for key, content, version in found:
                yield Row(partition, key, _decode(content), version)
            if len(found) < _PAGE:
                return
            after = found[-1][0]

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        """One row, or None where there is none."""
        with _explained(self.path):
            found = self._db.execute(_READ_ONE, (table, partition, key)).fetchone()
        return Row(partition, key, _decode(found[0]), found[1]) if found else None

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        """Make up to 100 changes to one partition, all of them or none; gives the new versions."""
        check_transaction(changes)
        # The rows of one token in the inventory hold the same values.
        texts = {id(change.row.values): "" for change in changes}
        columns = [_columns(table, change.row, texts) for change in changes]
        with _explained(self.path), self._transaction():
            for change, values in zip(changes, columns, strict=True):
                if not self._db.execute(_WRITE[change.verb], values).rowcount:
                    raise Conflict(f"A row of {table} was changed by somebody else.")
                if table == LEDGER:
                    # Version 1 knows no such row: it looks here, and refuses what is newer.
                    self._db.execute(f"PRAGMA user_version = {read_version(change.row)}")
        return [values["new"] for values in columns]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def copy_to(self, path: Path) -> SqliteStore:
        """A store of its own in `path` that begins with all that this one holds now."""
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            copy = sqlite3.connect(path)
            self._db.backup(copy)
            copy.close()
        return SqliteStore(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _columns(table: str, row: Row, texts: dict[int, str]) -> dict[str, str]:
    content = texts[id(row.values)] = texts[id(row.values)] or _encode(row.values)
    return {
        "name": table,
        "part": row.partition,
        "key": row.key,
        "content": content,
        "version": row.version,
        # Drawn, not counted: a row that was deleted and made anew must not look unchanged.
        "new": token_hex(8),
    }


def _encode(values: Mapping[str, Value]) -> str:
    # A time is kept under a marked name, so that a string that looks like one stays a string.
    plain = {
        f"{_TIME}{name}" if isinstance(value, datetime) else name: (
            value.isoformat() if isinstance(value, datetime) else value
        )
        for name, value in values.items()
    }
    return json.dumps(plain, separators=(",", ":"))


def _decode(content: str) -> dict[str, Value]:
    plain: dict[str, Any] = json.loads(content)
    return {
        name.removeprefix(_TIME): (
            datetime.fromisoformat(value) if name.startswith(_TIME) else value
        )
        for name, value in plain.items()
    }


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise LedgerUnavailable(
            f"The ledger {path} cannot be used: {reason}.",
            remedy="Check that the folder can be written to and that the disk has room; "
            "PAT_LOCAL_DIR names another folder.",
        ) from None
