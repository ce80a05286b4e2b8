"""Channels, allowances, failures: what becomes of what is due."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from pat_core.allowance import Allowance
from pat_core.delivered import Delivered
from pat_core.delivery import LEASE_FOR, Outlet, Sender
from pat_core.desk import Desk
from pat_core.errors import (
    AddressRefused,
    ChannelBusy,
    ChannelError,
    ChannelMisconfigured,
    Conflict,
)
from pat_core.ledger.sqlite import SqliteStore
from pat_core.model import Digest, Owner
from pat_core.outbox import BY_URGENCY, UNSENT, read_trace, trace_rows
from pat_core.ports import Outcome, Store
from pat_core.records import MOST_ATTEMPTS, NoticeState, read_account
from pat_core.reports import LOST, Reports
from pat_core.routes import Route
from pat_core.rows import OUTBOX, OWNERS, Change
from tests.builders import ANA, BO, a_token
from tests.fakes import FakeChannel, FakeTime
from tests.service import Service

pytestmark = pytest.mark.anyio


@dataclass
class Office:
    """A service with two channels, and what was said through each."""

    service: Service
    email: FakeChannel
    teams: FakeChannel
    allowance: Allowance = field(default_factory=Allowance)
    most_a_day: int = 100

    async def send(self) -> Delivered:
        outlets = {"email": Outlet(self.email, self.allowance), "teams": Outlet(self.teams)}
        clock = self.service.time.clock
        return await Sender(self.service.store, outlets, clock, self.most_a_day).send_due()

    async def due(self, *owners: Owner, days: float = 5) -> None:
        for owner in owners:
            self.service.owns(owner, a_token(f"of {owner.display_name}", days))
        await self.service.scan()

    async def states(self, owner: Owner = ANA) -> list[tuple[NoticeState, str]]:
        rows = [row async for row in self.service.store.rows(OWNERS, owner.partition)]
        return [(each.state, each.channel) for each in read_account(rows).notices.values()]

    def later(self, **span: float) -> None:
        self.service.time.now += timedelta(**span)


@pytest.fixture
def office(tmp_path: Path, time: FakeTime) -> Iterator[Office]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    yield Office(Service(store, time), FakeChannel(time.clock), FakeChannel(time.clock))
    store.close()


def people(count: int) -> list[Owner]:
    return [
        Owner("contoso", f"aad.{number:03d}", f"{number:03d}", f"user{number}@contoso.example")
        for number in range(count)
    ]


class TestAllowance:
    async def test_what_is_over_it_waits_and_the_most_urgent_goes_first(
        self, office: Office
    ) -> None:
        office.allowance = Allowance(5, 10)
        owners = people(23)
        for number, owner in enumerate(owners):
            # The last one is the most urgent.
            office.service.owns(owner, a_token("ci", 29 - number))
        await office.service.scan()
        sent = []
        for _ in range(60):
            sent.append((await office.send()).sent)
            office.later(minutes=5)
        assert [each for each in sent if each] == [5, 5, 5, 5, 3]
        told = [recipient for recipient, _, _ in office.email.told()]
        assert told == [owner.address for owner in reversed(owners)]
        assert office.teams.calls == []

    async def test_it_outlives_a_restart(self, office: Office) -> None:
        office.allowance = Allowance(2, 10)
        await office.due(*people(5))
        assert (await office.send()).sent == 2
        assert (await office.send()).sent == 0

    async def test_two_instances_share_it(self, office: Office) -> None:
        office.allowance = Allowance(3, 10)
        await office.due(*people(9))

        @dataclass
        class Meanwhile(FakeChannel):
            """Lets another instance send while this one is sending."""

            async def send(
                self, digest: Digest, *, operation_id: str, claimed_at: datetime
            ) -> None:
                office.email = other
                await office.send()
                await super().send(digest, operation_id=operation_id, claimed_at=claimed_at)

        other = FakeChannel(office.service.time.clock)
        office.email = mine = Meanwhile(office.service.time.clock)
        await office.send()
        assert len(other.calls) + len(mine.calls) == 3

    async def test_a_429_closes_the_tap_for_everybody_until_then(self, office: Office) -> None:
        await office.due(*people(3))
        office.email.fails = ChannelBusy("Wait.", seconds=600)
        assert await office.send() == Delivered(waiting=1)
        office.email.fails = None
        office.later(seconds=599)
        assert (await office.send()).sent == 0
        office.later(seconds=1)
        assert (await office.send()).sent == 3
        assert len(office.email.calls) == 4


class TestAddress:
    async def test_nobody_gets_more_than_so_many_a_day(self, office: Office) -> None:
        office.most_a_day = 2
        sent = []
        for number in range(4):
            office.service.owns(ANA, *(a_token(f"t{each}", 5) for each in range(number + 1)))
            await office.service.scan()
            sent.append((await office.send()).sent)
            office.later(hours=1)
        assert sent == [1, 1, 0, 0]
        office.later(hours=24)
        await office.send()
        # What waited comes in one mail.
        assert len(office.email.calls) == 3
        assert len(office.email.told()) == 4

    async def test_what_was_not_sent_is_not_counted(self, office: Office) -> None:
        office.most_a_day = 1
        await office.due(ANA)
        for fault in (ChannelMisconfigured("x"), ChannelBusy("y", seconds=1), ChannelError("z")):
            office.email.fails = fault
            for _ in range(3):
                await office.send()
                office.later(minutes=6)
        office.email.fails = None
        office.later(hours=1)
        assert (await office.send()).sent == 1


class TestFailures:
    async def test_an_address_that_is_refused_is_told_by_the_next_channel(
        self, office: Office
    ) -> None:
        await office.due(ANA)
        office.email.fails = AddressRefused("Suppressed.")
        assert (await office.send()).failed == 1
        assert await office.states() == [(NoticeState.PENDING, "teams")]
        assert (await office.send()).sent == 1
        assert [told[0] for told in office.teams.told()] == [ANA.address]
        assert await office.states() == [(NoticeState.ACCEPTED, "teams")]
        assert await office.send() == Delivered()
        assert await office.service.keys(OUTBOX, BY_URGENCY) == []

    async def test_where_no_channel_is_left_ops_are_told_why(self, office: Office) -> None:
        await office.due(ANA)
        office.email.fails = office.teams.fails = AddressRefused("Suppressed.")
        for _ in range(3):
            await office.send()
        assert await office.states() == [(NoticeState.UNSENT, "teams")]
        assert await office.service.keys(OUTBOX, BY_URGENCY) == []
        said = "Ana Almeida (contoso, ana@contoso.example): Suppressed."
        assert (await office.service.summary()).unsent == (said,)
        assert "1 owner could not be told." in (await office.service.summary()).troubles

    async def test_ops_hear_of_it_until_it_is_mended(self, office: Office) -> None:
        await office.due(ANA)
        office.email.fails = office.teams.fails = AddressRefused("Suppressed.")
        for _ in range(3):
            await office.send()
        assert (await office.service.summary()).unsent
        office.service.owns(ANA)
        await office.service.scan()
        assert (await office.service.summary()).unsent == ()
        assert await office.service.keys(OUTBOX, UNSENT) == []

    async def test_what_may_help_is_tried_again_with_growing_rests_and_then_elsewhere(
        self, office: Office
    ) -> None:
        await office.due(ANA)
        office.email.fails = ChannelError("500")
        tries, minutes = [], 0
        while not office.teams.calls and minutes < 60 * 24:
            before = len(office.email.calls)
            await office.send()
            if len(office.email.calls) > before:
                tries.append(minutes)
            office.later(minutes=5)
            minutes += 5
        assert tries == [0, 5, 15, 35, 75, 155]
        assert len(tries) == MOST_ATTEMPTS
        assert len({operation for _, operation, _ in office.email.calls}) == 1

    async def test_a_channel_that_has_to_be_mended_loses_nothing(self, office: Office) -> None:
        await office.due(ANA, BO)
        office.email.fails = ChannelMisconfigured("No such domain.", remedy="Link it.")
        outcome = await office.send()
        (said,) = outcome.failures
        assert said.endswith("@contoso.example: No such domain. Link it.")
        assert len(office.email.calls) == 1
        office.email.fails = None
        office.service.owns(ANA, a_token("of Ana Almeida", 5), a_token("new", 2))
        await office.service.scan()
        assert (await office.send()).sent == 2
        assert len(office.email.told()) == 3


class TestBroken:
    async def test_a_digest_that_cannot_be_made_holds_up_nobody_and_is_said(
        self, office: Office, caplog: pytest.LogCaptureFixture
    ) -> None:
        office.service.owns(ANA, a_token("broken", 1))
        await office.due(BO)

        @dataclass
        class Broken(FakeChannel):
            async def send(
                self, digest: Digest, *, operation_id: str, claimed_at: datetime
            ) -> None:
                if digest.recipient == ANA.address:
                    raise ZeroDivisionError
                await super().send(digest, operation_id=operation_id, claimed_at=claimed_at)

        office.email = Broken(office.service.time.clock)
        outcome = await office.send()
        assert (outcome.sent, outcome.failed) == (1, 1)
        assert "cannot be made (ZeroDivisionError)" in outcome.failures[0]
        assert "digest.broken" in caplog.messages

    async def test_notices_that_somebody_else_changes_are_looked_at_again(
        self, office: Office
    ) -> None:
        await office.due(ANA, BO)
        store = office.service.store

        class Contended:
            """A ledger in which somebody else is always first."""

            rows, row = store.rows, store.row

            async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
                if table == OWNERS:
                    raise Conflict("Somebody was first.")
                return await store.write(table, changes)

        outlets = {"email": Outlet(office.email)}
        clock = office.service.time.clock
        assert (await Sender(Contended(), outlets, clock).send_due()).held == 2
        office.later(minutes=5)
        assert (await office.send()).sent == 2


class Crash(BaseException):
    """The program dies here."""


class TestOutcome:
    async def claim(self, office: Office) -> None:
        """Leave a digest claimed of which nobody knows whether it was taken."""
        await office.due(ANA)
        office.email.after_sending = Crash()
        with pytest.raises(Crash):
            await office.send()
        office.email.after_sending = None
        office.later(seconds=LEASE_FOR.total_seconds())

    async def test_what_the_provider_has_taken_is_not_sent_again(self, office: Office) -> None:
        await self.claim(office)
        office.email.knows = Outcome.ACCEPTED
        assert await office.send() == Delivered(sent=1, notices=1)
        assert len(office.email.calls) == 1
        assert await office.states() == [(NoticeState.ACCEPTED, "")]

    async def test_what_it_dropped_goes_to_the_next_channel(self, office: Office) -> None:
        await self.claim(office)
        office.email.knows = Outcome.REFUSED
        await office.send()
        await office.send()
        assert len(office.teams.calls) == 1

    async def test_what_it_does_not_know_goes_again_under_the_same_id(self, office: Office) -> None:
        await self.claim(office)
        assert (await office.send()).sent == 1
        first, again = office.email.calls
        assert first == again
        assert office.email.asked == [first[1]]

    @pytest.mark.parametrize(
        "fault",
        [ChannelBusy("Wait.", seconds=60), ChannelMisconfigured("401"), ChannelError("500")],
        ids=["busy", "misconfigured", "away"],
    )
    async def test_where_it_cannot_be_asked_the_claim_stays(
        self, office: Office, fault: ChannelError
    ) -> None:
        await self.claim(office)
        office.email.knows = fault
        await office.send()
        assert await office.states() == [(NoticeState.CLAIMED, "")]
        office.email.knows = Outcome.UNKNOWN
        office.later(minutes=10)
        await office.send()
        first, again = office.email.calls
        assert first == again

    @pytest.mark.parametrize("fault", [ChannelBusy("Wait.", seconds=60), ChannelMisconfigured("x")])
    async def test_a_second_try_that_is_refused_for_now_keeps_the_id(
        self, office: Office, fault: ChannelError
    ) -> None:
        await self.claim(office)
        office.email.fails = fault
        await office.send()
        office.email.fails = None
        office.service.owns(ANA, a_token("of Ana Almeida", 5), a_token("new", 2))
        await office.service.scan()
        office.later(minutes=2)
        await office.send()
        assert len({operation for _, operation, _ in office.email.calls[:3]}) == 1
        assert len(office.email.told()) == len(set(office.email.told())) == 2


class TestReports:
    async def sent(self, office: Office) -> str:
        """The id of a mail that was accepted."""
        await office.due(ANA)
        await office.send()
        ((_, operation, _),) = office.email.calls
        return operation

    async def hear(self, office: Office, operation: str, status: str) -> None:
        service = office.service
        desk = Desk(service.store, service.time.clock, ("email", "teams"))
        event = {"messageId": operation, "status": status, "recipient": ANA.address}
        await Reports(desk).hear(event | {"deliveryStatusDetails": {}})

    async def test_what_arrived_is_marked(self, office: Office) -> None:
        operation = await self.sent(office)
        await self.hear(office, operation, "Delivered")
        assert await office.states() == [(NoticeState.DELIVERED, "")]
        assert await office.send() == Delivered()

    @pytest.mark.parametrize("status", LOST)
    async def test_what_did_not_arrive_is_told_by_the_next_channel_once(
        self, office: Office, status: str
    ) -> None:
        operation = await self.sent(office)
        for _ in range(2):
            await self.hear(office, operation, status)
        await office.send()
        await self.hear(office, operation, status)
        await office.send()
        assert [told[0] for told in office.teams.told()] == [ANA.address]
        assert len(office.email.calls) == 1
        assert await office.states() == [(NoticeState.ACCEPTED, "teams")]

    async def test_where_no_channel_is_left_ops_are_told(self, office: Office) -> None:
        operation = await self.sent(office)
        await self.hear(office, operation, "Bounced")
        office.teams.fails = AddressRefused("Nobody.")
        await office.send()
        assert await office.states() == [(NoticeState.UNSENT, "teams")]

    async def test_a_token_that_was_revoked_meanwhile_is_not_told_again(
        self, office: Office
    ) -> None:
        operation = await self.sent(office)
        office.service.owns(ANA)
        await office.service.scan()
        await self.hear(office, operation, "Bounced")
        assert await office.states() == [(NoticeState.NOT_NEEDED, "")]
        assert await office.send() == Delivered()

    @pytest.mark.parametrize("status", ["Bounced", "OutForDelivery"])
    async def test_what_is_none_of_ours_is_logged_once_and_ignored(
        self, office: Office, caplog: pytest.LogCaptureFixture, status: str
    ) -> None:
        await self.sent(office)
        await self.hear(office, "11111111-1111-1111-1111-111111111111", status)
        assert caplog.messages == ["report.ignored"]
        assert await office.states() == [(NoticeState.ACCEPTED, "")]

    @pytest.mark.parametrize("data", [None, [], {}, {"messageId": 7}, {"messageId": "x" * 1000}])
    async def test_an_event_that_cannot_be_read_is_refused(
        self, office: Office, caplog: pytest.LogCaptureFixture, data: object
    ) -> None:
        desk = Desk(office.service.store, office.service.time.clock, ("email",))
        await Reports(desk).hear(data)
        assert caplog.messages == ["report.refused"]


class TestManyOwners:
    """A team that gets a copy for everybody."""

    TEAM = "team@contoso.example"

    async def test_no_row_is_larger_than_a_table_takes(self) -> None:
        name = "\U0001f600" * 256
        owners = [Owner("o" * 50, f"{number:0100}", name, self.TEAM) for number in range(350)]
        rows = list(trace_rows("operation", self.TEAM, "email", owners))
        assert max(len(str(row.values["owners"]).encode("utf-16-le")) for row in rows) < 64 * 1024
        assert [owner for row in rows for owner in read_trace(row)[1]] == owners
        assert len({row.key for row in rows}) == len(rows)

    async def test_a_bounce_is_heard_for_each(self, office: Office) -> None:
        office.service.routes = [Route(to=(self.TEAM,))]
        owners = people(90)
        await office.due(*owners)
        await office.send()
        (operation,) = (
            operation
            for operation, digest in office.email.sent.items()
            if digest.recipient == self.TEAM
        )
        desk = Desk(office.service.store, office.service.time.clock, ("email", "teams"))
        report = {"messageId": operation, "recipient": self.TEAM, "status": "Bounced"}
        await Reports(desk).hear(report)
        await office.send()
        (digest,) = office.teams.sent.values()
        assert (digest.recipient, len(digest.notices)) == (self.TEAM, len(owners))

    async def test_while_its_mails_of_today_are_used_up_it_is_looked_at_once(
        self, office: Office
    ) -> None:
        office.service.routes = [Route(to=(self.TEAM,))]
        office.most_a_day = 0
        await office.due(*people(9))
        assert await office.send() == Delivered(waiting=10)


class TestTooEarly:
    async def test_a_sender_who_follows_a_hint_before_there_is_a_notice_loses_none(
        self, office: Office
    ) -> None:
        class Slow:
            """Lets a sender look before each write of an owner's rows."""

            def __getattr__(self, name: str) -> object:
                return getattr(office.service.store, name)

            async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
                if table == OWNERS:
                    await office.send()
                return await office.service.store.write(table, changes)

        office.service.owns(ANA, a_token("ci", 5))
        await office.service.scan(cast("Store", Slow()))
        await office.send()
        assert office.email.told() == [(ANA.address, "ci", 7)]


class TestChannelGone:
    async def test_what_waits_for_one_that_is_no_longer_set_up_goes_by_the_first(
        self, office: Office
    ) -> None:
        await office.due(replace(ANA))
        office.email.fails = AddressRefused("Suppressed.")
        await office.send()
        office.email.fails = None
        clock = office.service.time.clock
        outlets = {"email": Outlet(office.email)}
        assert (await Sender(office.service.store, outlets, clock, 100).send_due()).sent == 1


class TestFirstRun:
    """A first run finds many owners due, and the provider's allowance is small."""

    OWNERS = 400

    async def test_it_drains_by_urgency_and_ten_kills_send_nothing_twice(
        self, office: Office
    ) -> None:
        office.allowance = Allowance(5, 10)
        owners = people(self.OWNERS)
        for number, owner in enumerate(owners):
            # From 20 to 29 days away, so that none comes into another window on the way.
            days = 29 - 9 * number / self.OWNERS
            office.service.owns(owner, a_token("ci", days))
        await office.service.scan()
        kills = iter(range(10))
        office.email = killed = Killed(office.service.time.clock, every=37, kills=kills)
        sent_at: list[datetime] = []
        while len(killed.sent) < self.OWNERS or await office.service.keys(OUTBOX, BY_URGENCY):
            with suppress(Crash):
                await office.send()
            sent_at += [office.service.time.now] * (len(killed.sent) - len(sent_at))
            office.later(minutes=6)
        assert next(kills, None) is None
        told = [recipient for recipient, _, _ in killed.told()]
        assert len(told) == len(set(told)) == self.OWNERS
        # Whoever was being told when the program died comes after the lease, the others in order.
        place = {owner.address: self.OWNERS - number for number, owner in enumerate(owners)}
        assert max(abs(place[each] - at) for at, each in enumerate(told)) < 10
        for start in sent_at:
            within = sum(start <= each < start + timedelta(hours=1) for each in sent_at)
            assert within <= 10


@dataclass
class Killed(FakeChannel):
    """The program dies at every so many-th mail, before or after it was taken."""

    every: int = 0
    kills: Iterator[int] = field(default_factory=lambda: iter(()))

    async def send(self, digest: Digest, *, operation_id: str, claimed_at: datetime) -> None:
        dies = (len(self.calls) + 1) % self.every == 0 and next(self.kills, None) is not None
        self.fails = Crash() if dies and len(self.calls) % 2 else None
        self.after_sending = Crash() if dies else None
        await super().send(digest, operation_id=operation_id, claimed_at=claimed_at)
