"""The program dies at every write, send and call, one after the other; the queue redelivers."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from pat_core.delivery import LEASE_FOR
from pat_core.errors import LedgerUnavailable, MessageTooNew, Throttled
from pat_core.local.memory_queues import MemoryQueues
from pat_core.messages import ORGANIZATIONS, POISON, USERS
from pat_core.model import Organization, Owner, TokenReading, UserPage
from pat_core.outbox import BY_URGENCY
from pat_core.ports import Store, Waiting
from pat_core.rows import OUTBOX, OWNERS, Change, Row
from tests.builders import a_token
from tests.fakes import FakeAzureDevOps, FakeTime
from tests.service import Service
from tests.simulation.storage import MemoryStore

pytestmark = pytest.mark.anyio
Answer = TypeVar("Answer")
USERS_IN_ALL = 75
PEOPLE = [
    Owner("contoso", f"aad.{number:03d}", f"User {number}", f"user{number}@contoso.example")
    for number in range(USERS_IN_ALL)
]
# Some own tokens that are due, some own others, most own none.
OWNED = {
    PEOPLE[0]: [a_token("a", 5), a_token("b", 0.5)],
    PEOPLE[29]: [a_token("c", 20)],
    PEOPLE[30]: [a_token("d", 200)],
    PEOPLE[74]: [a_token("e", 2)],
}
TOLD = {
    (PEOPLE[0].address, "a", 7),
    (PEOPLE[0].address, "b", 1),
    (PEOPLE[29].address, "c", 30),
    (PEOPLE[74].address, "e", 3),
}


class Crash(Exception):
    """The program dies here."""


@dataclass
class Death:
    """Comes once, at the n-th thing that is done, before or after it took effect."""

    at: int
    after: bool
    done: int = 0

    async def around(self, work: Awaitable[Answer]) -> Answer:
        self.done += 1
        mine = self.done == self.at
        if mine and not self.after:
            close = getattr(work, "close", None)
            if close:
                close()
            raise Crash
        answer = await work
        if mine:
            raise Crash
        return answer


@dataclass
class DyingStore:
    inner: Store
    death: Death

    def rows(self, table: str, partition: str, **bounds: str) -> AsyncIterator[Row]:
        return self.inner.rows(table, partition, **bounds)

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        return await self.death.around(self.inner.row(table, partition, key))

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        return await self.death.around(self.inner.write(table, changes))


@dataclass
class DyingQueues:
    inner: MemoryQueues
    death: Death

    async def send(self, queue: str, message: str, *, delay: float = 0) -> None:
        await self.death.around(self.inner.send(queue, message, delay=delay))

    async def waiting(self, queue: str) -> Waiting:
        return await self.inner.waiting(queue)


@dataclass
class DyingAzureDevOps(FakeAzureDevOps):
    death: Death | None = None

    async def user_page(self, organization: Organization, continuation_token: str = "") -> UserPage:
        assert self.death
        return await self.death.around(super().user_page(organization, continuation_token))

    async def tokens(self, organization: Organization, subject_descriptor: str) -> TokenReading:
        assert self.death
        return await self.death.around(super().tokens(organization, subject_descriptor))

    async def is_active(self, organization: Organization, subject_descriptor: str) -> bool:
        assert self.death
        return await self.death.around(super().is_active(organization, subject_descriptor))


def populated(azure_devops: FakeAzureDevOps) -> FakeAzureDevOps:
    azure_devops.users = list(PEOPLE)
    azure_devops.owned = {owner.subject_descriptor: list(own) for owner, own in OWNED.items()}
    azure_devops.page = 30
    return azure_devops


async def check(service: Service) -> None:
    """The run is complete and exact, each token is recorded, each notice is told once."""
    (report,) = [await service.newest()]
    assert report.complete, report
    seen = report.coverage
    assert (seen.users, seen.tokens, seen.failed) == (USERS_IN_ALL, 5, 0)
    assert (report.users, report.batches, report.done) == (USERS_IN_ALL, 3, 3)
    for owner, tokens in OWNED.items():
        keys = await service.keys(OWNERS, owner.partition)
        assert {f"token|{token.authorization_id}" for token in tokens} <= set(keys)
    assert await service.send()
    told = service.channel.told()
    assert set(told) == TOLD
    assert len(told) == len(TOLD)
    assert await service.keys(OUTBOX, BY_URGENCY) == []


class TestCrash:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    async def test_at_any_step_of_a_run_nothing_is_lost_or_counted_twice(self, after: bool) -> None:
        for at in range(1, 1000):
            store = MemoryStore()
            death = Death(at, after)
            service = Service(store, FakeTime(), populated(DyingAzureDevOps(death=death)))
            dying = DyingStore(store, death), DyingQueues(service.memory, death)
            async with service.host(*dying) as host:
                try:
                    await host.fire("plan_scan")
                except Crash:
                    # A timer is not called again, but the next one is.
                    service.time.now += timedelta(minutes=1)
                    await host.fire("plan_scan")
                await host.drain()
                assert host.failures == []
            await check(service)
            if death.done < at:
                assert at > USERS_IN_ALL + 30
                return
        pytest.fail("the run never came to its end")

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    async def test_at_any_write_of_the_sending_nothing_is_lost_or_sent_twice(
        self, after: bool
    ) -> None:
        for at in range(1, 200):
            store = MemoryStore()
            service = Service(store, FakeTime(), populated(FakeAzureDevOps()))
            await service.scan()
            death = Death(at, after)
            try:
                await service.send(DyingStore(store, death))
            except Crash:
                service.time.now += LEASE_FOR
            await check(service)
            if death.done < at:
                assert at > 20
                return
        pytest.fail("the sending never came to its end")


class TwiceAndShuffled(MemoryQueues):
    """Delivers each message twice, and in any order."""

    def __init__(self, seed: int) -> None:
        super().__init__(retry_after=0)
        self._draw = random.Random(seed)  # noqa: S311 - a shuffle, no secret

    async def send(self, queue: str, message: str, *, delay: float = 0) -> None:
        for _ in range(2):
            await super().send(queue, message, delay=delay)
        self._draw.shuffle(self._ready[queue])


class TestQueue:
    @pytest.mark.parametrize("seed", range(20))
    async def test_messages_that_come_twice_and_in_any_order_count_once(self, seed: int) -> None:
        store = MemoryStore()
        queues = TwiceAndShuffled(seed)
        service = Service(store, FakeTime(), populated(FakeAzureDevOps()), memory=queues)
        await service.scan()
        await check(service)

    async def test_a_batch_that_came_before_makes_no_call(self) -> None:
        store = MemoryStore()
        queues = Recorded()
        service = Service(store, FakeTime(), populated(FakeAzureDevOps()), memory=queues)
        await service.scan()
        service.azure_devops.read.clear()
        service.azure_devops.listed.clear()
        async with service.host() as host:
            for queue, message in list(queues.sent):
                await queues.send(queue, message)
            await host.drain()
        assert (service.azure_devops.read, service.azure_devops.listed) == ([], [])

    async def test_a_poison_message_is_named_and_the_others_finish(self) -> None:
        store = MemoryStore()
        service = Service(store, FakeTime(), populated(FakeAzureDevOps()))
        poisoned = PEOPLE[40].subject_descriptor
        service.azure_devops.owned[poisoned] = Bug()
        async with service.host() as host:
            await host.fire("plan_scan")
            await host.drain()
            assert len(host.failures) == 1
            summary = await service.summary()
        assert (await service.memory.waiting(USERS + POISON)).count == 1
        report = await service.newest()
        assert (report.batches, report.done, report.complete) == (3, 2, False)
        assert report.coverage.users == USERS_IN_ALL - 30
        assert "contoso: 1 of 3 batches are not scanned." in summary.troubles
        assert "1 message given up: see the poison queues." in summary.troubles
        (subject,) = summary.poison[USERS + POISON]
        assert subject == f"contoso, run {report.run_id}, 30 users"

    @pytest.mark.parametrize(
        "message",
        [
            "hello",
            '{"version": 1, "run_id": "20261123T080000.000000Z-abcdef", "organi',
            '{"version": 0, "run_id": "20261123T080000.000000Z-abcdef", "organization": "contoso"}',
            '{"version": 1, "run_id": "20261123T080000.000000Z-abcdef", "organization": "nobody"}',
            '{"version": 1, "run_id": "../../x", "organization": "contoso"}',
            '{"version": 1, "run_id": "20261101T080000.000000Z-abcdef", "organization": "contoso"}',
            "[" * 100_000,
        ],
        ids=["not ours", "cut short", "older", "unknown", "hostile", "late", "deep"],
    )
    @pytest.mark.parametrize("queue", [ORGANIZATIONS, USERS])
    async def test_a_message_that_is_none_of_ours_goes_to_poison_at_once_and_is_logged_once(
        self,
        message: str,
        queue: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        store = MemoryStore()
        service = Service(store, FakeTime(), populated(FakeAzureDevOps()))
        async with service.host() as host:
            await service.memory.send(queue, message)
            await host.drain()
        found = await service.memory.waiting(queue + POISON)
        assert found == Waiting(1, (message,))
        refused = [each for each in caplog.records if each.message == "message.refused"]
        assert len(refused) == 1
        assert refused[0].__dict__["reason"]

    @pytest.mark.parametrize("queue", [ORGANIZATIONS, USERS])
    async def test_a_message_of_a_newer_version_waits_for_who_knows_it_and_is_told_of(
        self, queue: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        message = '{"version": 2, "run_id": "20261123T080000.000000Z-abcdef", "more": 1}'
        service = Service(MemoryStore(), FakeTime(), populated(FakeAzureDevOps()))
        async with service.host() as host:
            await service.memory.send(queue, message)
            await host.drain()
            summary = await service.summary()
        assert await service.memory.waiting(queue + POISON) == Waiting(1, (message,))
        tried = [each for each in host.failures if isinstance(each, MessageTooNew)]
        assert "Deploy the newer version" in str(tried[0])
        told = [each.message for each in caplog.records if each.name == "pat_warden"]
        assert told.count("message.given_up") == 1
        assert "message.refused" not in told
        assert "1 message given up: see the poison queues." in summary.troubles

    async def test_storage_that_is_away_is_tried_again(self) -> None:
        store = MemoryStore()
        service = Service(store, FakeTime(), populated(FakeAzureDevOps()))
        away = Away(store, 0)
        async with service.host(away) as host:
            await host.fire("plan_scan")
            away.times = 4
            await host.drain()
            assert host.failures == []
        await check(service)

    async def test_storage_that_stays_away_leaves_the_run_incomplete(self) -> None:
        store = MemoryStore()
        service = Service(store, FakeTime(), populated(FakeAzureDevOps()))
        away = Away(store, 0)
        async with service.host(away) as host:
            await host.fire("plan_scan")
            away.times = 10_000
            await host.drain()
            assert [type(each) for each in host.failures] == [LedgerUnavailable]
        assert "contoso: the users are not all listed." in (await service.summary()).troubles


class TestThrottled:
    async def test_the_rest_of_a_batch_goes_back_and_what_was_read_stays(self) -> None:
        store = MemoryStore()
        queues = Recorded()
        azure_devops = Busy(quota=20)
        service = Service(store, FakeTime(), populated(azure_devops), memory=queues)
        async with service.host() as host:
            await host.fire("plan_scan")
            await host.drain()
        await_later = [delay for queue, delay in queues.delays if queue == USERS and delay]
        assert await_later
        assert set(await_later) == {0.01}
        report = await service.newest()
        assert report.complete
        assert (report.coverage.users, report.coverage.tokens) == (USERS_IN_ALL, 5)
        assert sorted(azure_devops.answered) == sorted(owner.subject_descriptor for owner in PEOPLE)
        await service.send()
        assert set(service.channel.told()) == TOLD

    async def test_a_listing_that_is_throttled_goes_on_later(self) -> None:
        store = MemoryStore()
        azure_devops = BusyListing()
        service = Service(store, FakeTime(), populated(azure_devops))
        assert (await service.scan()).complete
        assert azure_devops.refused == 3


class Recorded(MemoryQueues):
    """Remembers what was sent."""

    def __init__(self) -> None:
        super().__init__(retry_after=0)
        self.sent: list[tuple[str, str]] = []
        self.delays: list[tuple[str, float]] = []

    async def send(self, queue: str, message: str, *, delay: float = 0) -> None:
        self.sent.append((queue, message))
        self.delays.append((queue, delay))
        await super().send(queue, message, delay=delay)


class Bug(list[Any]):
    """Breaks whoever looks at it."""

    def __iter__(self) -> Iterator[Any]:
        raise ZeroDivisionError


@dataclass
class Away(DyingStore):
    """A ledger that is away for so many calls."""

    death: Death = None  # type: ignore[assignment] # never comes
    times: int = 0

    def __init__(self, inner: Store, times: int) -> None:
        self.inner = inner
        self.times = times

    def _answer(self) -> None:
        if self.times > 0:
            self.times -= 1
            raise LedgerUnavailable("The ledger is away.")

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        self._answer()
        return await self.inner.row(table, partition, key)

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        self._answer()
        return await self.inner.write(table, changes)


@dataclass
class Busy(FakeAzureDevOps):
    """Answers so many calls, asks for a pause, and then answers as many again."""

    quota: int = 0
    calls: int = 0
    answered: list[str] = None  # type: ignore[assignment] # made below

    def __post_init__(self) -> None:
        self.answered = []

    async def tokens(self, organization: Organization, subject_descriptor: str) -> TokenReading:
        self.calls += 1
        if self.calls % (self.quota + 10) >= self.quota:
            raise Throttled("wait", seconds=0.01)
        self.answered.append(subject_descriptor)
        return await super().tokens(organization, subject_descriptor)


@dataclass
class BusyListing(FakeAzureDevOps):
    """Asks for a pause before each page."""

    refused: int = 0
    last: str = "none"

    async def user_page(self, organization: Organization, continuation_token: str = "") -> UserPage:
        if self.last != continuation_token:
            self.last = continuation_token
            self.refused += 1
            raise Throttled("wait", seconds=0.01)
        return await super().user_page(organization, continuation_token)
