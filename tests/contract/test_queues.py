"""What every home of the queues must do alike."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from uuid import uuid4

import anyio
import pytest
from azure.storage.queue.aio import QueueServiceClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pat_core.errors import QueueRefused, QueueUnavailable
from pat_core.local.azurite import AzuriteQueues
from pat_core.local.host import Source
from pat_core.local.memory_queues import MOST_DEQUEUED, MemoryQueues, Taken
from pat_core.local.serving import serving
from pat_core.messages import LARGEST, POISON, USERS, ListedUser, ScanOrder
from pat_core.ports import Waiting
from pat_core.queues import StorageQueues
from tests.builders import HOSTILE_NAMES

pytestmark = pytest.mark.anyio
NO_ROLE = "AuthorizationPermissionMismatch"


@pytest.fixture(params=["memory", "storage"])
async def queues(request: pytest.FixtureRequest) -> AsyncIterator[Source]:
    if request.param == "memory":
        yield MemoryQueues(retry_after=0.01)
        return
    found = request.getfixturevalue("connection_string")
    async with QueueServiceClient.from_connection_string(found) as service:
        yield AzuriteQueues(service, retry_after=0)


@pytest.fixture
def queue() -> str:
    return f"q{uuid4().hex[:12]}"


async def next_of(queues: Source, queue: str) -> Taken:
    for _ in range(500):
        if taken := await queues.take(queue):
            return taken
        await anyio.sleep(0.01)
    pytest.fail("nothing came")


class TestSend:
    @pytest.mark.parametrize(
        "text",
        ["{}", "<a>&amp;</a>", "x" * LARGEST, "Ünïcödé \U0001f600", '"\\u0000"'],
        ids=["plain", "like XML", "large", "beyond ASCII", "escaped"],
    )
    async def test_what_was_sent_is_what_comes(self, queues: Source, queue: str, text: str) -> None:
        await queues.send(queue, text)
        assert (await next_of(queues, queue)).body == text

    async def test_an_order_with_hostile_names_comes_as_it_was(
        self, queues: Source, queue: str
    ) -> None:
        users = [ListedUser(descriptor="aad.x", name=name) for name in HOSTILE_NAMES]
        order = ScanOrder(
            run_id="20261123T080000.000000Z-abcdef", organization="contoso", users=users
        )
        await queues.send(queue, order.to_json())
        body = (await next_of(queues, queue)).body
        assert ScanOrder.model_validate_json(body) == order

    async def test_nobody_sees_a_message_before_its_delay(self, queues: Source, queue: str) -> None:
        await queues.send(queue, "later", delay=1)
        assert await queues.take(queue) is None
        await anyio.sleep(1.1)
        assert (await next_of(queues, queue)).body == "later"


class TestTake:
    async def test_a_message_that_was_worked_on_is_gone(self, queues: Source, queue: str) -> None:
        await queues.send(queue, "once")
        await queues.done(await next_of(queues, queue))
        assert await queues.take(queue) is None
        assert await queues.waiting(queue) == Waiting()

    async def test_one_that_fails_comes_again_and_at_last_goes_to_poison(
        self, queues: Source, queue: str
    ) -> None:
        await queues.send(queue, "bad")
        for number in range(1, MOST_DEQUEUED + 1):
            taken = await next_of(queues, queue)
            assert taken.dequeued == number
            assert await queues.failed(taken) is (number == MOST_DEQUEUED)
        assert await queues.take(queue) is None
        assert await queues.waiting(queue + POISON) == Waiting(1, ("bad",))


class TestWaiting:
    async def test_what_stands_there_is_counted_and_stays(self, queues: Source, queue: str) -> None:
        for number in range(40):
            await queues.send(queue, str(number))
        found = await queues.waiting(queue)
        assert found.count == 40
        assert found.first == tuple(str(number) for number in range(32))
        assert await queues.waiting(queue) == found

    async def test_a_queue_that_is_not_there_is_empty(self, queues: Source) -> None:
        assert await queues.waiting("never-made") == Waiting()


class TestUnavailable:
    async def test_storage_that_refuses_says_what_to_check(self, connection_string: str) -> None:
        wrong = connection_string.replace("AccountKey=Eby8", "AccountKey=AAAA")
        silent = re.sub(r"127.0.0.1:\d+", "127.0.0.1:1", connection_string)
        async with QueueServiceClient.from_connection_string(wrong, retry_total=0) as service:
            with pytest.raises(QueueRefused, match=f"{USERS} cannot be used.*Contributor"):
                await StorageQueues(service).send(USERS, "x")
        async with QueueServiceClient.from_connection_string(silent, retry_total=0) as service:
            with pytest.raises(QueueUnavailable, match="cannot be used") as raised:
                await StorageQueues(service).waiting(USERS)
        assert raised.type is QueueUnavailable

    async def test_an_identity_without_the_role_is_refused(self, connection_string: str) -> None:
        async def refuse(_: Request) -> Response:
            return Response(status_code=403, headers={"x-ms-error-code": NO_ROLE})

        app = Starlette(routes=[Route("/{path:path}", refuse, methods=["GET", "HEAD"])])
        async with serving(app) as address:
            there = re.sub(r"http://127.0.0.1:\d+", address, connection_string)
            async with QueueServiceClient.from_connection_string(there, retry_total=0) as service:
                with pytest.raises(QueueRefused):
                    await StorageQueues(service).waiting(USERS)
