"""The queues in Azure Queue Storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Final

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.queue.aio import QueueServiceClient

from pat_core.errors import QueueRefused, QueueUnavailable
from pat_core.ports import Waiting

_MOST_PEEKED: Final = 32
_LONGEST_DELAY: Final = 7 * 24 * 3600
_REFUSED: Final = (401, 403)


class StorageQueues:
    """Messages as plain text, so that host.json says `messageEncoding: none`.

    Queues are made where they are missing. Implements the port Queues. The SDK tries again by
    itself where the service is busy.
    """

    def __init__(self, service: QueueServiceClient) -> None:
        self._service = service

    async def send(self, queue: str, message: str, *, delay: float = 0) -> None:
        """Put a message on a queue; nobody sees it for `delay` seconds, at most 7 days."""
        client = self._service.get_queue_client(queue)
        hidden = min(ceil(delay), _LONGEST_DELAY)
        with _explained(queue):
            try:
                await client.send_message(message, visibility_timeout=hidden)
            except ResourceNotFoundError:
                await self.create(queue)
                await client.send_message(message, visibility_timeout=hidden)

    async def waiting(self, queue: str) -> Waiting:
        """About how many messages stand in a queue, and the first 32 at most."""
        client = self._service.get_queue_client(queue)
        with _explained(queue):
            try:
                properties = await client.get_queue_properties()
                first = await client.peek_messages(max_messages=_MOST_PEEKED)
            except ResourceNotFoundError:
                return Waiting()
        count = properties.approximate_message_count or 0
        return Waiting(count, tuple(str(message.content) for message in first))

    async def create(self, queue: str) -> None:
        """Make a queue, unless it is there. Raises QueueUnavailable."""
        with _explained(queue):
            try:
                await self._service.create_queue(queue)
            except ResourceExistsError:
                return


@contextmanager
def _explained(queue: str) -> Iterator[None]:
    try:
        yield
    except AzureError as fault:
        reason = str(fault.message).splitlines()[0].rstrip(".")
        raise _kind(fault)(
            f"The queue {queue} cannot be used: {reason}.",
            remedy="Check the storage account and that this identity is Storage Queue Data "
            "Contributor there.",
        ) from None


def _kind(fault: AzureError) -> type[QueueUnavailable]:
    refused = isinstance(fault, ClientAuthenticationError) or (
        getattr(fault, "status_code", None) in _REFUSED
    )
    return QueueRefused if refused else QueueUnavailable
