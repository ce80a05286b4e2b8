"""Every home of the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.data.tables.aio import TableServiceClient

from pat_core.ledger.sqlite import SqliteStore
from pat_core.ledger.table import TableStore
from pat_core.ports import Store
from tests.simulation.storage import MemoryStore


@pytest.fixture(params=["sqlite", "table", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        sqlite = SqliteStore(tmp_path / "ledger.sqlite")
        yield sqlite
        sqlite.close()
        return
    if request.param == "memory":
        # What the simulation plays on must be what it stands for.
        yield MemoryStore()
        return
    found = request.getfixturevalue("connection_string")
    async with TableServiceClient.from_connection_string(found) as service:
        yield TableStore(service)
        async for table in service.list_tables():
            await service.delete_table(table.name)
