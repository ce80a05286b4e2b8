"""The ledgers that are kept of each version, as tests open them."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from pat_core.ledger.sqlite import SqliteStore
from pat_core.ports import Store
from pat_core.rows import Change, Verb
from tests.simulation.storage import MemoryStore

FOLDER = Path(__file__).parent
KEPT = sorted(int(path.parent.name) for path in FOLDER.glob("*/ledger.sqlite.gz"))
Dump = dict[tuple[str, str, str], dict[str, Any]]


def unpacked(version: int, folder: Path) -> Path:
    """The file of a kept ledger, in a folder where it may be changed."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = (FOLDER / str(version) / "ledger.sqlite.gz").read_bytes()
    path = folder / "ledger.sqlite"
    path.write_bytes(gzip.decompress(packed))
    return path


def kept_at(version: int) -> datetime:
    """When the last row of a kept ledger was written."""
    return datetime.fromisoformat(_beside(version)["kept_at"])


def messages_of(version: int) -> dict[str, list[str]]:
    """What stood on the queues then, by their names."""
    found: dict[str, list[str]] = _beside(version)["queues"]
    return found


def _beside(version: int) -> dict[str, Any]:
    text = (FOLDER / str(version) / "messages.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def places(path: Path) -> list[tuple[str, str]]:
    """Every table and partition of a ledger's file."""
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT DISTINCT name, part FROM rows ORDER BY name, part")
        return [(str(name), str(part)) for name, part in found]


async def filled(store: Store, version: int, folder: Path) -> list[tuple[str, str]]:
    """Copy a kept ledger into another home; gives its tables and partitions."""
    path = unpacked(version, folder)
    with closing(SqliteStore(path)) as file:
        for table, partition in places(path):
            rows = [row async for row in file.rows(table, partition)]
            for start in range(0, len(rows), 100):
                changes = [Change(Verb.PUT, row) for row in rows[start : start + 100]]
                await store.write(table, changes)
    return places(path)


def dump(store: MemoryStore) -> Dump:
    """All that a store in memory holds."""
    return {
        (table, partition, key): dict(row.values)
        for (table, partition), rows in store.tables.items()
        for key, row in rows.items()
    }
