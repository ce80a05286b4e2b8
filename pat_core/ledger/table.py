"""The ledger in Azure Table Storage."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.data.tables import (
    EdmType,
    EntityProperty,
    TableEntity,
    TransactionOperation,
    UpdateMode,
)
from azure.data.tables.aio import TableClient, TableServiceClient

from pat_core.errors import Conflict, LedgerRefused, LedgerUnavailable
from pat_core.rows import Change, Row, Value, Verb, check_transaction

_FORBIDDEN: Final = re.compile(r"[/\\#?%!\x00-\x1f\x7f-\x9f]")
_ESCAPED: Final = re.compile(r"!([0-9a-f]{2})")
_KEYS: Final = ("PartitionKey", "RowKey")
_CONFLICTS: Final = (404, 409, 412)
_REFUSED: Final = (401, 403)
_Operation = tuple[TransactionOperation, dict[str, Any], dict[str, Any]]


class TableStore:
    """Rows as entities, versions as ETags. Implements the port Store.

    Tables are made where they are missing. The SDK tries again by itself where the service is
    busy; a write that went through although its reply was lost then looks like a conflict.
    """

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._clients: dict[str, TableClient] = {}
        self._made: set[str] = set()

    async def rows(
        self, table: str, partition: str, *, after: str = "", before: str = ""
    ) -> AsyncIterator[Row]:
        """Every row of a partition with a key after `after` and before `before`, in their order."""
        asked = "PartitionKey eq @partition and RowKey gt @after"
        bounds = {"partition": _escape(partition), "after": _escape(after)}
        if before:
            asked += " and RowKey lt @before"
            bounds["before"] = _escape(before)
        with _explained(table):
            client = await self._table(table)
            entities = client.query_entities(asked, parameters=bounds)
            async for entity in entities:
                yield _row(partition, entity)

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        """One row, or None where there is none."""
        with _explained(table):
            try:
                # Where the table is missing so is the row: to make it is a call that somebody
                # waits for.
                entity = await self._client(table).get_entity(_escape(partition), _escape(key))
            except ResourceNotFoundError:
                return None
            return _row(partition, entity)

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        """Make up to 100 changes to one partition, all of them or none; gives the new versions."""
        check_transaction(changes)
        with _explained(table):
            client = await self._table(table)
            written = await _submit(client, [_operation(change) for change in changes])
        return [str(metadata.get("etag", "")) for metadata in written]

    async def _table(self, name: str) -> TableClient:
        if name not in self._made:
            await self._service.create_table_if_not_exists(name)
            self._made.add(name)
        return self._client(name)

    def _client(self, name: str) -> TableClient:
        if name not in self._clients:
            self._clients[name] = self._service.get_table_client(name)
        return self._clients[name]


async def _submit(client: TableClient, operations: list[_Operation]) -> list[Mapping[str, Any]]:
    """Make one change by a call of its own, which costs a third of a transaction."""
    if len(operations) == 1:
        verb, entity, how = operations[0]
        if verb is TransactionOperation.CREATE:
            return [await client.create_entity(entity)]
        if verb is TransactionOperation.UPDATE:
            return [await client.update_entity(entity, **how)]
        if verb is TransactionOperation.UPSERT:
            return [await client.upsert_entity(entity, **how)]
    # The call that deletes one says nothing where there was none.
    return await client.submit_transaction(operations)


def _row(partition: str, entity: TableEntity) -> Row:
    values = {name: _plain(value) for name, value in entity.items() if name not in _KEYS}
    return Row(partition, _unescape(entity["RowKey"]), values, str(entity.metadata["etag"]))


def _operation(change: Change) -> _Operation:
    row = change.row
    entity: dict[str, Any] = {"PartitionKey": _escape(row.partition), "RowKey": _escape(row.key)}
    if change.verb is Verb.DELETE:
        return TransactionOperation.DELETE, entity, _unless_changed(row)
    if change.verb is Verb.REMOVE:
        return TransactionOperation.DELETE, entity, {}
    entity |= {name: _typed(value) for name, value in row.values.items()}
    if change.verb is Verb.INSERT:
        return TransactionOperation.CREATE, entity, {}
    if change.verb is Verb.PUT:
        return TransactionOperation.UPSERT, entity, {"mode": UpdateMode.REPLACE}
    how = {"mode": UpdateMode.REPLACE} | _unless_changed(row)
    return TransactionOperation.UPDATE, entity, how


def _unless_changed(row: Row) -> dict[str, Any]:
    return {"etag": row.version, "match_condition": MatchConditions.IfNotModified}


def _typed(value: Value) -> Value | EntityProperty:
    # Without a type the service takes an integer for one of 32 bits.
    if isinstance(value, int) and not isinstance(value, bool):
        return EntityProperty(value, EdmType.INT64)
    return value


def _plain(value: object) -> Value:
    if isinstance(value, EntityProperty):
        value = value.value
    if isinstance(value, datetime):
        # The SDK's own kind of time carries more than the time.
        return datetime.combine(value.date(), value.time(), UTC)
    if isinstance(value, str | int | float):
        return value
    raise LedgerUnavailable(f"The ledger holds a {type(value).__name__}, which it never writes.")


def _escape(key: str) -> str:
    return _FORBIDDEN.sub(lambda found: f"!{ord(found[0]):02x}", key)


def _unescape(key: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), key)


@contextmanager
def _explained(table: str) -> Iterator[None]:
    try:
        yield
    except HttpResponseError as fault:
        if fault.status_code in _CONFLICTS:
            raise Conflict(f"A row of {table} was changed by somebody else.") from None
        raise _unavailable(table, fault) from None
    except AzureError as fault:
        raise _unavailable(table, fault) from None


def _unavailable(table: str, fault: AzureError) -> LedgerUnavailable:
    reason = str(fault.message).splitlines()[0].rstrip(".")
    refused = isinstance(fault, ClientAuthenticationError) or (
        getattr(fault, "status_code", None) in _REFUSED
    )
    kind = LedgerRefused if refused else LedgerUnavailable
    return kind(
        f"The ledger's table {table} cannot be used: {reason}.",
        remedy="Check the storage account and that this identity is Storage Table Data Contributor "
        "there.",
    )
