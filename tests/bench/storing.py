"""The ledger in Table Storage, on Azurite: transactions against single writes."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from azure.data.tables.aio import TableServiceClient

from pat_core.ledger.table import TableStore
from pat_core.records import TokenRecord, token_row
from pat_core.rows import MOST_CHANGES, OWNERS, Change, Value, Verb
from tests.azurite import azurite
from tests.builders import a_token

Work = Callable[[TableStore, list[Change]], Awaitable[None]]


def changes(partition: int) -> list[Change]:
    tokens = (TokenRecord(a_token(f"ci{number}")) for number in range(MOST_CHANGES))
    return [Change(Verb.PUT, token_row(f"contoso|{partition}", token)) for token in tokens]


async def in_transactions(store: TableStore, given: list[Change]) -> None:
    await store.write(OWNERS, given)


async def one_by_one(store: TableStore, given: list[Change]) -> None:
    for change in given:
        await store.write(OWNERS, [change])


async def sdk_transactions(store: TableStore, given: list[Change]) -> None:
    client = store._service.get_table_client(OWNERS)
    await client.submit_transaction([("upsert", entity(change)) for change in given])


async def sdk_upserts(store: TableStore, given: list[Change]) -> None:
    client = store._service.get_table_client(OWNERS)
    for change in given:
        await client.upsert_entity(entity(change))


def entity(change: Change) -> dict[str, Value]:
    row = change.row
    return {"PartitionKey": f"sdk {row.partition[8:]}", "RowKey": row.key, **row.values}


@asynccontextmanager
async def table_store(connection_string: str) -> AsyncIterator[TableStore]:
    async with TableServiceClient.from_connection_string(connection_string) as service:
        store = TableStore(service)
        await store.write(OWNERS, changes(-1))
        yield store


async def taken(connection_string: str, work: Work, partitions: int) -> tuple[float, float]:
    """Seconds and CPU seconds of the client for each entity."""
    async with table_store(connection_string) as store:
        given = [changes(partition) for partition in range(partitions)]
        began, cpu = time.perf_counter(), time.process_time()
        for pack in given:
            await work(store, pack)
        count = partitions * MOST_CHANGES
        return (time.perf_counter() - began) / count, (time.process_time() - cpu) / count


def table_ledger(rounds: int) -> Iterator[str]:
    """Entities a second and the client's CPU for each."""
    ways: list[tuple[str, Work, int]] = [
        ("single upserts by the SDK", sdk_upserts, 5),
        ("single writes by ours", one_by_one, 5),
        ("transactions of 100 by the SDK", sdk_transactions, 25),
        ("transactions of 100 by ours", in_transactions, 25),
    ]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in ways}
    with tempfile.TemporaryDirectory() as folder, azurite(Path(folder)) as connection_string:
        for _ in range(rounds):
            for name, work, partitions in ways:
                found[name].append(asyncio.run(taken(connection_string, work, partitions)))
    base = sorted(found[ways[0][0]], key=lambda each: each[1])[rounds // 2][1]
    yield "| way | entities/s | CPU an entity | to single upserts |"
    yield "|---|--:|--:|--:|"
    for name, samples in found.items():
        seconds = sorted(each[0] for each in samples)[rounds // 2]
        cpu = sorted(each[1] for each in samples)[rounds // 2]
        yield f"| {name} | {1 / seconds:,.0f} | {cpu * 1e6:,.0f} µs | {cpu / base:.2f} |"
