"""Scan, record and send together, over the real SQLite ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from pat_core.delivery import LEASE_FOR, Delivered, Sender
from pat_core.errors import (
    BrokenReply,
    ChannelError,
    NotPermitted,
    OwnerGone,
    PatWardenError,
    Unavailable,
)
from pat_core.expiry import DEFAULT_WINDOWS_DAYS
from pat_core.ledger.sqlite import SqliteStore
from pat_core.model import EXPIRED, Organization, Owner, Token
from pat_core.outbox import BY_URGENCY
from pat_core.ports import Store
from pat_core.rows import OUTBOX, OWNERS, RUNS
from pat_core.runs import BATCH, RunReport, list_batches, scan_organization
from pat_core.scan import Scanner
from tests.fakes import NOW, FakeAzureDevOps, FakeChannel, FakeTime

pytestmark = pytest.mark.anyio
CONTOSO = Organization("contoso")
FABRIKAM = Organization("fabrikam")
ANA = Owner("contoso", "aad.ana", "Ana", "ana@contoso.example")
BO = Owner("contoso", "aad.bo", "Bo", "bo@contoso.example")
MUTE = Owner("contoso", "aad.mute", "No address", "")


def token(name: str, days: float, *, lifetime: float = 90, is_valid: bool = True) -> Token:
    end = NOW + timedelta(days=days)
    return Token(name, name, "vso.code", end - timedelta(days=lifetime), end, is_valid)


@dataclass
class World:
    """An organization, a ledger and a channel, with a clock that can be moved."""

    store: SqliteStore
    time: FakeTime
    azure_devops: FakeAzureDevOps = field(default_factory=FakeAzureDevOps)
    channel: FakeChannel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = FakeChannel(self.time.clock)

    def owns(self, owner: Owner, *tokens: Token) -> None:
        if owner not in self.azure_devops.users:
            self.azure_devops.users.append(owner)
        self.azure_devops.owned[owner.subject_descriptor] = list(tokens)

    async def scan(
        self, store: Store | None = None, organization: Organization = CONTOSO
    ) -> RunReport:
        scanner = Scanner(
            self.azure_devops, store or self.store, self.time.clock, DEFAULT_WINDOWS_DAYS
        )
        return await scan_organization(scanner, organization, told=lambda _: None)

    async def send(self, store: Store | None = None) -> Delivered:
        return await Sender(store or self.store, self.channel, self.time.clock).send_due()

    async def run(self) -> list[tuple[str, str, int]]:
        """Scan and send; gives what was told that had not been told before."""
        before = len(self.channel.told())
        await self.scan()
        await self.send()
        return self.channel.told()[before:]

    async def keys(self, table: str, partition: str) -> list[str]:
        return [row.key async for row in self.store.rows(table, partition)]


@pytest.fixture
def world(tmp_path: Path, time: FakeTime) -> Iterator[World]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    yield World(store, time)
    store.close()


class TestTheLifeOfOneToken:
    async def test_its_owner_is_told_once_in_each_window(self, world: World) -> None:
        world.owns(ANA, token("ci", 31))
        told = {}
        for day in range(45):
            world.time.now = NOW + timedelta(days=day)
            for _, _, window in [*await world.run(), *await world.run()]:
                told[day] = window
        assert told == {1: 30, 17: 14, 24: 7, 28: 3, 30: 1, 31: EXPIRED}

    async def test_extending_it_starts_anew(self, world: World) -> None:
        world.owns(ANA, token("ci", 5))
        assert await world.run() == [(ANA.address, "ci", 7)]
        world.owns(ANA, token("ci", 29))
        assert await world.run() == [(ANA.address, "ci", 30)]

    async def test_extended_and_shortened_again_it_is_not_told_twice(self, world: World) -> None:
        for days, expected in ((5, 1), (29, 1), (5, 0)):
            world.owns(ANA, token("ci", days))
            assert len(await world.run()) == expected

    async def test_a_missed_fortnight_brings_one_notice(self, world: World) -> None:
        world.owns(ANA, token("ci", 29))
        await world.run()
        world.time.now += timedelta(days=27)
        assert await world.run() == [(ANA.address, "ci", 3)]

    async def test_a_revoked_token_is_recorded_and_never_notified(self, world: World) -> None:
        world.owns(ANA, token("ci", 5, is_valid=False))
        assert await world.run() == []
        assert await world.keys(OWNERS, ANA.partition) == ["token|ci"]


class TestDropsOut:
    @pytest.mark.parametrize(
        "after",
        [[], [token("ci", 5, is_valid=False)], [token("ci", 80)]],
        ids=["gone", "revoked", "extended"],
    )
    async def test_what_changed_before_sending_is_not_sent(
        self, world: World, after: list[Token]
    ) -> None:
        world.owns(ANA, token("ci", 5))
        await world.scan()
        world.owns(ANA, *after)
        await world.scan()
        assert await world.send() == Delivered()
        assert await world.keys(OUTBOX, BY_URGENCY) == []

    async def test_a_tighter_window_takes_the_place_of_one_that_waited(self, world: World) -> None:
        world.owns(ANA, token("ci", 5))
        await world.scan()
        world.time.now += timedelta(days=3)
        assert await world.run() == [(ANA.address, "ci", 3)]


class TestDigest:
    async def test_one_recipient_gets_one_whichever_organization(self, world: World) -> None:
        there = replace(ANA, organization="fabrikam")
        world.owns(ANA, token("ci", 5))
        await world.scan()
        world.azure_devops = FakeAzureDevOps([there], {there.subject_descriptor: [token("cd", 2)]})
        await world.scan(organization=FABRIKAM)
        assert (await world.send()).sent == 1
        assert world.channel.told() == [(ANA.address, "cd", 3), (ANA.address, "ci", 7)]

    async def test_the_most_urgent_goes_first(self, world: World) -> None:
        world.owns(ANA, token("later", 20))
        world.owns(BO, token("sooner", 2))
        assert [told[0] for told in await world.run()] == [BO.address, ANA.address]

    async def test_an_owner_of_many_tokens_is_told_of_all(self, world: World) -> None:
        world.owns(ANA, *(token(f"ci{number:03d}", 5) for number in range(230)))
        assert len(await world.run()) == 230
        assert len(world.channel.sent) == 1
        assert await world.run() == []


class TestUnreachable:
    async def test_without_address_it_is_counted_and_sent_once_there_is_one(
        self, world: World
    ) -> None:
        world.owns(MUTE, token("ci", 5))
        report = await world.scan()
        assert (report.coverage.unreachable, report.coverage.notices) == (1, {})
        world.azure_devops.users[:] = [replace(MUTE, address="found@contoso.example")]
        assert await world.run() == [("found@contoso.example", "ci", 7)]
        assert await world.run() == []

    async def test_a_disabled_owner_is_not_told(self, world: World) -> None:
        world.owns(ANA, token("ci", 5))
        world.azure_devops.inactive.add(ANA.subject_descriptor)
        assert (await world.scan()).coverage.unreachable == 1
        assert await world.run() == []


class TestCoverage:
    async def test_it_counts_what_was_seen(self, world: World) -> None:
        world.owns(ANA, token("a", 5), token("b", 5), token("c", 200), token("d", -2))
        world.owns(BO)
        report = await world.scan()
        seen = report.coverage
        assert report.complete
        assert (seen.users, seen.tokens) == (2, 4)
        assert seen.windows == seen.notices == {7: 2, EXPIRED: 1}

    async def test_one_user_who_fails_stops_nobody(self, world: World) -> None:
        world.owns(ANA, token("a", 5))
        world.owns(BO)
        world.azure_devops.owned[BO.subject_descriptor] = Unavailable("contoso: no answer.")
        report = await world.scan()
        assert not report.complete
        assert (report.coverage.users, report.coverage.failed) == (2, 1)
        assert report.coverage.faults == ("contoso: no answer.",)
        assert (await world.send()).sent == 1

    async def test_a_user_who_left_is_gone_and_not_failed(self, world: World) -> None:
        world.owns(ANA)
        world.azure_devops.owned[ANA.subject_descriptor] = OwnerGone("gone")
        report = await world.scan()
        assert report.complete
        assert (report.coverage.gone, report.coverage.failed) == (1, 0)

    async def test_an_unreadable_token_keeps_the_others_and_forgets_none(
        self, world: World
    ) -> None:
        world.owns(ANA, token("a", 50), token("b", 5))
        await world.scan()
        world.owns(ANA, token("b", 2))
        world.azure_devops.faults = ("token 1: validTo is missing",)
        report = await world.scan()
        assert not report.complete
        assert "Ana: token 1: validTo is missing" in report.coverage.faults[0]
        rows = {row.key: row async for row in world.store.rows(OWNERS, ANA.partition)}
        assert "gone_at" not in rows["token|a"].values
        assert report.coverage.notices == {3: 1}

    async def test_a_listing_that_breaks_off_is_incomplete_and_keeps_what_it_has(
        self, world: World
    ) -> None:
        world.owns(ANA, token("a", 5))
        world.azure_devops.listing_fails = BrokenReply("contoso: cut short.")
        report = await world.scan()
        assert not report.complete
        assert report.coverage.notices == {7: 1}
        assert str(report.error) == "contoso: cut short."

    async def test_where_everyone_is_refused_the_run_stops(self, world: World) -> None:
        for number in range(50 * BATCH):
            owner = Owner("contoso", f"aad.{number}", "", "")
            world.azure_devops.users.append(owner)
            world.azure_devops.owned[owner.subject_descriptor] = NotPermitted("contoso: no.")
        report = await world.scan()
        assert isinstance(report.error, NotPermitted)
        assert report.coverage.users == 0

    async def test_the_ledger_keeps_the_run(self, world: World) -> None:
        world.owns(ANA, token("a", 5))
        report = await world.scan()
        (row,) = [row async for row in world.store.rows(RUNS, "contoso")]
        assert row.key == report.run_id
        assert (row.values["complete"], row.values["users"]) == (True, 1)

    async def test_a_user_without_tokens_costs_no_write(self, world: World) -> None:
        world.owns(ANA)
        await world.scan()
        assert await world.keys(OWNERS, ANA.partition) == []


class TestListBatches:
    async def test_every_user_is_in_one_batch_of_a_hundred_at_most(self) -> None:
        users = [Owner("contoso", f"aad.{number}") for number in range(1234)]
        directory = FakeAzureDevOps(users, page=333)
        batches = [batch async for batch in list_batches(directory, CONTOSO)]
        assert [owner for batch in batches for owner in batch.owners] == users
        assert max(len(batch.owners) for batch in batches) == BATCH
        assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))


class Crash(Exception):
    """The program dies here."""


@dataclass
class DyingStore:
    """A store at whose n-th write the program dies, before or after it took effect."""

    inner: SqliteStore
    dies_at: int
    after: bool
    writes: int = 0

    def rows(self, table: str, partition: str, *, after: str = ""):  # type: ignore[no-untyped-def]  # noqa: ANN201 - as inner
        return self.inner.rows(table, partition, after=after)

    async def write(self, table, changes):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - as inner
        self.writes += 1
        if self.writes == self.dies_at and not self.after:
            raise Crash
        versions = await self.inner.write(table, changes)
        if self.writes == self.dies_at:
            raise Crash
        return versions


class TestCrash:
    TOLD: ClassVar = {
        ("ana@contoso.example", "a", 7),
        ("ana@contoso.example", "b", 1),
        ("bo@contoso.example", "c", 30),
    }

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    async def test_at_any_write_nothing_is_lost_and_nothing_sent_twice(
        self, world: World, after: bool, tmp_path: Path
    ) -> None:
        world.owns(ANA, token("a", 5), token("b", 0.5))
        world.owns(BO, token("c", 20))
        for dies_at in range(1, 100):
            ledger = SqliteStore(tmp_path / f"{dies_at}.sqlite")
            attempt = World(ledger, FakeTime(), world.azure_devops)
            dying = DyingStore(ledger, dies_at, after)
            try:
                await attempt.scan(dying)
                await attempt.send(dying)
            except* Crash:
                pass
            attempt.time.now += LEASE_FOR
            await attempt.scan()
            await attempt.send()
            told = attempt.channel.told()
            assert set(told) == self.TOLD, f"write {dies_at}"
            assert len(told) == len(set(told)), f"write {dies_at}"
            assert await attempt.keys(OUTBOX, BY_URGENCY) == [], f"write {dies_at}"
            ledger.close()
            if dying.writes < dies_at:
                assert dies_at > 15
                return
        pytest.fail("the run never came to its end")

    async def test_between_send_and_settle_the_same_digest_goes_again(self, world: World) -> None:
        world.owns(ANA, token("a", 5))
        await world.scan()
        world.channel.after_sending = Crash()
        with pytest.raises(Crash):
            await world.send()
        world.channel.after_sending = None
        world.owns(ANA, token("a", 5), token("new", 2))
        await world.scan()
        assert (await world.send()).held == 2
        world.time.now += LEASE_FOR
        await world.send()
        first, again, other = world.channel.calls
        assert first == again
        assert other[1] != first[1]
        assert world.channel.told() == [(ANA.address, "a", 7), (ANA.address, "new", 3)]


class TestChannelFails:
    async def test_what_could_not_be_sent_waits(self, world: World) -> None:
        world.owns(ANA, token("a", 5))
        await world.scan()
        world.channel.fails = ChannelError("The disk is full.", remedy="Make room.")
        assert await world.send() == Delivered(failed=1, failures=("The disk is full. Make room.",))
        world.channel.fails = None
        assert await world.send() == Delivered(sent=1)
        assert await world.send() == Delivered()

    async def test_one_recipient_who_fails_stops_nobody(self, world: World) -> None:
        world.owns(ANA, token("a", 5))
        await world.scan()
        error: PatWardenError = ChannelError("no")
        world.channel.fails = error
        world.owns(BO, token("b", 9))
        await world.scan()
        assert (await world.send()).failed == 2


class TestTwoSenders:
    async def test_one_holds_a_recipient_at_a_time(self, world: World) -> None:
        world.owns(ANA, token("a", 5))
        await world.scan()
        other = FakeChannel(world.time.clock)

        @dataclass
        class Meanwhile(FakeChannel):
            """Lets another sender try while this one is sending."""

            async def send(self, digest, *, operation_id: str, claimed_at: datetime) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - as inner
                outcome = await Sender(world.store, other, world.time.clock).send_due()
                assert outcome == Delivered(held=1)
                await super().send(digest, operation_id=operation_id, claimed_at=claimed_at)

        channel = Meanwhile(world.time.clock)
        outcome = await Sender(world.store, channel, world.time.clock).send_due()
        assert outcome == Delivered(sent=1)
        assert other.calls == []
