"""Ledger and queues in Azurite, Microsoft's storage emulator, instead of a file and memory."""

from __future__ import annotations

import socket
from typing import Final

from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueServiceClient

from pat_core.errors import SettingsError
from pat_core.local.memory_queues import MOST_DEQUEUED, Taken
from pat_core.messages import POISON
from pat_core.queues import StorageQueues

DEVELOPMENT: Final = "UseDevelopmentStorage=true"
"""How to reach the Azurite that runs here with its own defaults."""
_PORTS: Final = (10001, 10002)
_START: Final = "npx azurite --silent --skipApiVersionCheck --location .local/azurite"
_WORKED_ON_FOR: Final = 300


def check_azurite() -> None:
    """Raise SettingsError where nobody answers where Azurite's queues and tables are."""
    for port in _PORTS:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError:
            fault = f"--storage azurite: nobody answers at 127.0.0.1:{port}. Start it: {_START}"
            raise SettingsError([fault]) from None


class AzuriteQueues(StorageQueues):
    """Gives out messages to the local host, as Azure gives them to a function app."""

    def __init__(self, service: QueueServiceClient, *, retry_after: int = 1) -> None:
        super().__init__(service)
        self._retry_after = retry_after
        self._known: set[str] = set()
        self._held: dict[int, QueueMessage] = {}

    async def take(self, queue: str) -> Taken | None:
        """The next message that can be seen, or None."""
        if queue not in self._known:
            await self.create(queue)
            self._known.add(queue)
        client = self._service.get_queue_client(queue)
        message = await client.receive_message(visibility_timeout=_WORKED_ON_FOR)
        if message is None:
            return None
        taken = Taken(queue, str(message.content), int(message.dequeue_count or 1))
        self._held[id(taken)] = message
        return taken

    async def done(self, taken: Taken) -> None:
        """Forget a message that was worked on."""
        client = self._service.get_queue_client(taken.queue)
        await client.delete_message(self._held.pop(id(taken)))

    async def failed(self, taken: Taken) -> bool:
        """Put a message back that could not be worked on; True when it went to poison."""
        if taken.dequeued >= MOST_DEQUEUED:
            await self.send(taken.queue + POISON, taken.body)
            await self.done(taken)
            return True
        client = self._service.get_queue_client(taken.queue)
        message = self._held.pop(id(taken))
        await client.update_message(message, visibility_timeout=self._retry_after)
        return False

    def next_in(self) -> float | None:
        """None: what is hidden cannot be known here, so the host looks again each second."""
        return None
