"""Scan, record and send together, over the real SQLite ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pat_core.acts import Acts
from pat_core.book import Book, Entry
from pat_core.coverage import LONGEST_FAULT
from pat_core.delivered import Delivered
from pat_core.delivery import LEASE_FOR, Outlet, Sender
from pat_core.errors import (
    BrokenReply,
    ChannelError,
    ChannelMisconfigured,
    NotPermitted,
    NotSignedIn,
    OwnerGone,
    PatWardenError,
    Throttled,
    Unavailable,
)
from pat_core.expiry import DEFAULT_WINDOWS_DAYS
from pat_core.ledger.sqlite import SqliteStore
from pat_core.local.host import PARALLEL
from pat_core.local.memory_queues import MemoryQueues
from pat_core.messages import BATCH, ORGANIZATIONS, POISON, USERS
from pat_core.model import EXPIRED, Deed, Organization, Owner, Token, TokenReading, UserPage
from pat_core.outbox import BY_URGENCY
from pat_core.rotation import Rotator, Wish
from pat_core.rows import OUTBOX, OWNERS, RUNS
from pat_core.signals import Event
from tests.fakes import NOW, FakeAzureDevOps, FakeChannel, FakeTime
from tests.hands import Azure
from tests.service import CONTOSO, Service

pytestmark = pytest.mark.anyio
FABRIKAM = Organization("fabrikam")
ANA = Owner("contoso", "aad.ana", "Ana", "ana@contoso.example")
BO = Owner("contoso", "aad.bo", "Bo", "bo@contoso.example")
MUTE = Owner("contoso", "aad.mute", "No address", "")


def token(name: str, days: float, *, lifetime: float = 90, is_valid: bool = True) -> Token:
    end = NOW + timedelta(days=days)
    return Token(name, name, "vso.code", end - timedelta(days=lifetime), end, is_valid)


@pytest.fixture
def service(tmp_path: Path, time: FakeTime) -> Iterator[Service]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    yield Service(store, time)
    store.close()


class TestTheLifeOfOneToken:
    async def test_its_owner_is_told_once_in_each_window(self, service: Service) -> None:
        service.owns(ANA, token("ci", 31))
        told = {}
        for day in range(45):
            service.time.now = NOW + timedelta(days=day)
            for _, _, window in [*await service.run(), *await service.run()]:
                told[day] = window
        assert told == {1: 30, 17: 14, 24: 7, 28: 3, 30: 1, 31: EXPIRED}

    async def test_extending_it_starts_anew(self, service: Service) -> None:
        service.owns(ANA, token("ci", 5))
        assert await service.run() == [(ANA.address, "ci", 7)]
        service.owns(ANA, token("ci", 29))
        assert await service.run() == [(ANA.address, "ci", 30)]

    async def test_extended_and_shortened_again_it_is_not_told_twice(
        self, service: Service
    ) -> None:
        for days, expected in ((5, 1), (29, 1), (5, 0)):
            service.owns(ANA, token("ci", days))
            assert len(await service.run()) == expected

    async def test_a_missed_fortnight_brings_one_notice(self, service: Service) -> None:
        service.owns(ANA, token("ci", 29))
        await service.run()
        service.time.now += timedelta(days=27)
        assert await service.run() == [(ANA.address, "ci", 3)]

    async def test_a_clock_that_is_an_hour_off_tells_nothing_twice(self, service: Service) -> None:
        service.owns(ANA, token("ci", 30 - 0.5 / 24))
        assert await service.run() == [(ANA.address, "ci", 30)]
        for hours in (-1, 2, -1, 1):
            service.time.now += timedelta(hours=hours)
            assert await service.run() == []

    async def test_a_revoked_token_is_recorded_and_never_notified(self, service: Service) -> None:
        service.owns(ANA, token("ci", 5, is_valid=False))
        assert await service.run() == []
        assert await service.keys(OWNERS, ANA.partition) == ["owner", "token|ci"]

    async def test_one_whose_end_was_ordered_is_over_though_it_is_shown_for_an_hour(
        self, service: Service
    ) -> None:
        ours, book = token("ci", 5), Book(service.store, service.time.clock)
        service.owns(ANA, ours)
        await service.scan()
        await book.write(ANA, Entry(replace(ours, is_valid=False), deed=Deed.TAKEN))
        service.time.now += timedelta(hours=1)
        await service.scan()
        assert not (await book.account(ANA)).tokens["ci"].token.is_valid
        # Whatever became of the order: a token that works is not left out of sight.
        service.time.now += timedelta(hours=1)
        await service.scan()
        assert (await book.account(ANA)).tokens["ci"].token.is_valid


class TestDropsOut:
    @pytest.mark.parametrize(
        "after",
        [[], [token("ci", 5, is_valid=False)], [token("ci", 80)]],
        ids=["gone", "revoked", "extended"],
    )
    async def test_what_changed_before_sending_is_not_sent(
        self, service: Service, after: list[Token]
    ) -> None:
        service.owns(ANA, token("ci", 5))
        await service.scan()
        service.owns(ANA, *after)
        await service.scan()
        assert await service.send() == Delivered()
        assert await service.keys(OUTBOX, BY_URGENCY) == []

    async def test_a_tighter_window_takes_the_place_of_one_that_waited(
        self, service: Service
    ) -> None:
        service.owns(ANA, token("ci", 5))
        await service.scan()
        service.time.now += timedelta(days=3)
        assert await service.run() == [(ANA.address, "ci", 3)]


class TestDigest:
    async def test_one_recipient_gets_one_whichever_organization(self, service: Service) -> None:
        there = replace(ANA, organization="fabrikam")
        service.owns(ANA, token("ci", 5))
        await service.scan()
        service.azure_devops = FakeAzureDevOps(
            [there], {there.subject_descriptor: [token("cd", 2)]}
        )
        await service.scan(organization=FABRIKAM)
        assert (await service.send()).sent == 1
        assert service.channel.told() == [(ANA.address, "cd", 3), (ANA.address, "ci", 7)]

    async def test_the_most_urgent_goes_first(self, service: Service) -> None:
        service.owns(ANA, token("later", 20))
        service.owns(BO, token("sooner", 2))
        assert [told[0] for told in await service.run()] == [BO.address, ANA.address]

    async def test_an_owner_of_many_tokens_is_told_of_all(self, service: Service) -> None:
        service.owns(ANA, *(token(f"ci{number:03d}", 5) for number in range(230)))
        assert len(await service.run()) == 230
        assert len(service.channel.sent) == 1
        assert await service.run() == []


class TestUnreachable:
    async def test_without_address_it_is_counted_and_sent_once_there_is_one(
        self, service: Service
    ) -> None:
        service.owns(MUTE, token("ci", 5))
        report = await service.scan()
        assert (report.coverage.unreachable, report.coverage.notices) == (1, {})
        service.azure_devops.users[:] = [replace(MUTE, address="found@contoso.example")]
        assert await service.run() == [("found@contoso.example", "ci", 7)]
        assert await service.run() == []

    async def test_a_disabled_owner_is_not_told(self, service: Service) -> None:
        service.owns(ANA, token("ci", 5))
        service.azure_devops.inactive.add(ANA.subject_descriptor)
        assert (await service.scan()).coverage.unreachable == 1
        assert await service.run() == []


class TestCoverage:
    async def test_it_counts_what_was_seen(self, service: Service) -> None:
        service.owns(ANA, token("a", 5), token("b", 5), token("c", 200), token("d", -2))
        service.owns(BO)
        report = await service.scan()
        seen = report.coverage
        assert report.complete
        assert (seen.users, seen.tokens) == (2, 4)
        assert seen.windows == seen.notices == {7: 2, EXPIRED: 1}

    async def test_one_user_who_fails_stops_nobody(self, service: Service) -> None:
        service.owns(ANA, token("a", 5))
        service.owns(BO)
        service.azure_devops.owned[BO.subject_descriptor] = Unavailable("contoso: no answer.")
        report = await service.scan()
        assert not report.complete
        assert (report.coverage.users, report.coverage.failed) == (2, 1)
        assert report.coverage.faults == ("contoso: no answer.",)
        assert (await service.send()).sent == 1

    async def test_a_user_who_left_is_gone_and_not_failed(self, service: Service) -> None:
        service.owns(ANA)
        service.owns(BO)
        service.azure_devops.owned[ANA.subject_descriptor] = OwnerGone("gone")
        report = await service.scan()
        assert report.complete
        assert (report.coverage.gone, report.coverage.failed) == (1, 0)

    @pytest.mark.parametrize("count", [0, 1, 250])
    async def test_where_everybody_seems_to_have_left_or_nobody_is_there_it_is_incomplete(
        self, service: Service, count: int
    ) -> None:
        for number in range(count):
            owner = Owner("contoso", f"aad.{number}", "", "")
            service.azure_devops.users.append(owner)
            service.azure_devops.owned[owner.subject_descriptor] = OwnerGone("gone")
        report = await service.scan()
        assert (report.finished, report.complete, report.coverage.gone) == (True, False, count)
        says = f"all users listed ({count}) seem to have left" if count else "no user is"
        summary = await service.summary()
        assert summary.troubles[0].startswith(f"contoso: {says}")
        assert summary.subject.startswith("[PAT Warden] Incomplete: contoso")

    async def test_an_unreadable_token_keeps_the_others_and_forgets_none(
        self, service: Service
    ) -> None:
        service.owns(ANA, token("a", 50), token("b", 5))
        await service.scan()
        service.owns(ANA, token("b", 2))
        service.azure_devops.faults = ("token 1: validTo is missing",)
        report = await service.scan()
        assert not report.complete
        assert "Ana: token 1: validTo is missing" in report.coverage.faults[0]
        rows = {row.key: row async for row in service.store.rows(OWNERS, ANA.partition)}
        assert "gone_at" not in rows["token|a"].values
        assert report.coverage.notices == {3: 1}

    async def test_of_many_unreadable_tokens_the_first_are_named_and_the_others_counted(
        self, service: Service
    ) -> None:
        service.owns(replace(ANA, display_name="x" * 300))
        service.azure_devops.faults = tuple(
            f"token {number}: validTo is missing" for number in range(1, 2001)
        )
        (fault,) = (await service.scan()).coverage.faults
        assert "xxx: token 1: validTo is missing; token 2: validTo is missing; " in fault
        named = fault.count("validTo is missing")
        assert fault.endswith(f"; and {2000 - named:,} more")
        assert len(fault) <= LONGEST_FAULT

    async def test_a_listing_that_breaks_off_is_incomplete_and_keeps_what_it_has(
        self, service: Service
    ) -> None:
        service.owns(ANA, token("a", 5))
        service.azure_devops.listing_fails = BrokenReply("contoso: cut short.")
        report = await service.scan()
        assert not report.complete
        assert report.coverage.notices == {7: 1}
        assert str(report.error) == "contoso: cut short."

    async def test_where_everyone_is_refused_the_run_stops(self, service: Service) -> None:
        for number in range(50 * BATCH):
            owner = Owner("contoso", f"aad.{number}", "", "")
            service.azure_devops.users.append(owner)
            service.azure_devops.owned[owner.subject_descriptor] = NotPermitted("contoso: no.")
        report = await service.scan()
        assert isinstance(report.error, NotPermitted)
        assert report.coverage.failed == report.coverage.users == 50 * BATCH
        assert len(service.azure_devops.read) <= PARALLEL * BATCH

    async def test_the_ledger_keeps_the_run(self, service: Service) -> None:
        service.owns(ANA, token("a", 5))
        report = await service.scan()
        (row,) = [row async for row in service.store.rows(RUNS, "contoso")]
        assert row.key == report.run_id
        assert (row.values["complete"], row.values["users"]) == (True, 1)

    async def test_a_user_without_tokens_costs_no_write(self, service: Service) -> None:
        service.owns(ANA)
        await service.scan()
        assert await service.keys(OWNERS, ANA.partition) == []


@dataclass
class RefusesFor(FakeAzureDevOps):
    """Accepts nobody's sign-in for so many calls to list users, and so many to read tokens."""

    pages: int = 0
    readings: int = 0

    async def user_page(self, organization: Organization, continuation_token: str = "") -> UserPage:
        if self.pages:
            self.pages -= 1
            raise NotSignedIn("contoso: not signed in.")
        return await super().user_page(organization, continuation_token)

    async def tokens(self, organization: Organization, subject_descriptor: str) -> TokenReading:
        if self.readings:
            self.readings -= 1
            raise NotSignedIn("contoso: not signed in.")
        return await super().tokens(organization, subject_descriptor)


@dataclass
class Busy(FakeAzureDevOps):
    """Asks everybody whom it does not refuse to wait, once."""

    async def tokens(self, organization: Organization, subject_descriptor: str) -> TokenReading:
        if subject_descriptor not in (*self.owned, *self.read):
            self.read.append(subject_descriptor)
            raise Throttled("contoso: busy.", seconds=0)
        return await super().tokens(organization, subject_descriptor)


def people(count: int) -> list[Owner]:
    return [Owner("contoso", f"aad.{number}", f"{number}", "") for number in range(count)]


class TestRefused:
    REFUSED = NotPermitted("contoso: no.", remedy="Ask an administrator.")

    async def test_one_alone_stops_nobody_and_is_told_with_what_helps(
        self, service: Service
    ) -> None:
        # The last one is a batch of one.
        service.azure_devops.users = people(BATCH + 1)
        service.azure_devops.owned[f"aad.{BATCH}"] = self.REFUSED
        report = await service.scan()
        assert report.error is None
        assert (report.finished, report.complete, report.coverage.failed) == (True, False, 1)
        assert report.coverage.faults == (str(self.REFUSED),)

    async def test_beside_who_waits_for_a_turn_it_stops_nobody(self, service: Service) -> None:
        service.azure_devops = Busy(people(10), {"aad.8": self.REFUSED, "aad.9": self.REFUSED})
        report = await service.scan()
        assert report.error is None
        assert (report.finished, report.coverage.users, report.coverage.failed) == (True, 10, 2)

    @pytest.mark.parametrize(("pages", "readings"), [(4, 0), (0, 4 * 6)], ids=["pages", "tokens"])
    async def test_a_sign_in_that_fails_for_a_while_stops_nothing(
        self, service: Service, pages: int, readings: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.azure_devops = RefusesFor(people(6), pages=pages, readings=readings)
        report = await service.scan()
        assert (report.complete, report.coverage.users, report.error) == (True, 6, None)
        assert Event.SCAN_REFUSED not in [each.msg for each in caplog.records]

    @pytest.mark.parametrize(("readings", "failed"), [(4, 0), (5, 1)])
    async def test_so_it_is_where_a_batch_holds_one_user(
        self, service: Service, readings: int, failed: int
    ) -> None:
        service.azure_devops = RefusesFor(people(1), readings=readings)
        report = await service.scan()
        assert (report.finished, report.error, report.coverage.failed) == (True, None, failed)

    async def test_where_each_order_is_tried_once_the_first_refusal_stops_the_run(
        self, service: Service
    ) -> None:
        service.memory = MemoryQueues(tries=1)
        count = 50 * BATCH
        service.azure_devops = RefusesFor(people(count), readings=count)
        report = await service.scan()
        assert isinstance(report.error, NotSignedIn)
        assert service.azure_devops.readings >= count - PARALLEL * BATCH

    @pytest.mark.parametrize(("pages", "readings"), [(5, 0), (0, 5 * 6)], ids=["pages", "tokens"])
    async def test_one_that_fails_at_every_try_stops_the_run_and_is_an_alarm(
        self, service: Service, pages: int, readings: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.azure_devops = RefusesFor(people(6), pages=pages, readings=readings)
        report = await service.scan()
        assert isinstance(report.error, NotSignedIn)
        assert not report.complete
        assert [each.msg for each in caplog.records].count(Event.SCAN_REFUSED) == 1
        assert (await service.memory.waiting(USERS + POISON)).count == 0
        assert (await service.memory.waiting(ORGANIZATIONS + POISON)).count == 0


class TestDecided:
    @pytest.mark.parametrize("decided", ["let expire", "snooze"])
    async def test_a_token_with_another_end_starts_anew_wherever_it_was_given(
        self, service: Service, decided: str
    ) -> None:
        own = Azure(service.time.clock)
        own.owns(token("a", 20))
        acts = Acts(Book(service.store, service.time.clock), DEFAULT_WINDOWS_DAYS)
        if decided == "snooze":
            await acts.snooze(own, CONTOSO, "a", 7)
        else:
            await acts.let_expire(own, CONTOSO, "a")
        service.owns(ANA, token("a", 20))
        assert await service.run() == []
        service.owns(ANA, token("a", 21))
        assert await service.run() == [(ANA.address, "a", 30)]

    async def test_so_does_one_whose_new_token_nobody_has_stored(self, service: Service) -> None:
        own = Azure(service.time.clock)
        own.owns(token("a", 20))
        book = Book(service.store, service.time.clock)
        await Acts(book, DEFAULT_WINDOWS_DAYS).let_expire(own, CONTOSO, "a")
        await Rotator(book).rotate(own, CONTOSO, "a", Wish(timedelta(days=90)))
        service.owns(ANA, token("a", 21), own.tokens["new-1"])
        assert await service.run() == [(ANA.address, "a", 30)]

    async def test_one_that_is_being_replaced_stays_quiet(self, service: Service) -> None:
        own = Azure(service.time.clock)
        own.owns(token("a", 20))
        rotator = Rotator(Book(service.store, service.time.clock))
        await rotator.rotate(own, CONTOSO, "a", Wish(timedelta(days=90)))
        await rotator.confirm(own, CONTOSO, "a")
        service.owns(ANA, token("a", 21), own.tokens["new-1"])
        await service.run()
        told = [each for digest in service.channel.sent.values() for each in digest.notices]
        assert [notice.deed for notice in told] == [Deed.ROTATED]


class Crash(BaseException):
    """The program dies here."""


class TestCrash:
    async def test_between_send_and_settle_the_same_digest_goes_again(
        self, service: Service
    ) -> None:
        service.owns(ANA, token("a", 5))
        await service.scan()
        service.channel.after_sending = Crash()
        with pytest.raises(Crash):
            await service.send()
        service.channel.after_sending = None
        service.owns(ANA, token("a", 5), token("new", 2))
        await service.scan()
        assert (await service.send()).held == 1
        service.time.now += LEASE_FOR
        await service.send()
        first, again, other = service.channel.calls
        assert first == again
        assert other[1] != first[1]
        assert service.channel.told() == [(ANA.address, "a", 7), (ANA.address, "new", 3)]


class TestChannelFails:
    async def test_what_could_not_be_sent_waits(self, service: Service) -> None:
        service.owns(ANA, token("a", 5))
        await service.scan()
        full = ChannelMisconfigured("The disk is full.", remedy="Make room.")
        service.channel.fails = full
        said = f"ana@contoso.example: {full}"
        assert await service.send() == Delivered(failed=1, failures=(said,))
        service.channel.fails = None
        assert await service.send() == Delivered(sent=1, notices=1)
        assert await service.send() == Delivered()

    async def test_one_recipient_who_fails_stops_nobody(self, service: Service) -> None:
        service.owns(ANA, token("a", 5))
        await service.scan()
        error: PatWardenError = ChannelError("no")
        service.channel.fails = error
        service.owns(BO, token("b", 9))
        await service.scan()
        assert (await service.send()).failed == 2


def sender(service: Service, channel: FakeChannel) -> Sender:
    return Sender(service.store, {"outbox": Outlet(channel)}, service.time.clock)


class TestTwoSenders:
    async def test_one_holds_a_recipient_at_a_time(self, service: Service) -> None:
        service.owns(ANA, token("a", 5))
        await service.scan()
        other = FakeChannel(service.time.clock)

        @dataclass
        class Meanwhile(FakeChannel):
            """Lets another sender try while this one is sending."""

            async def send(self, digest, *, operation_id: str, claimed_at: datetime) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - as inner
                outcome = await sender(service, other).send_due()
                assert outcome == Delivered(held=1)
                await super().send(digest, operation_id=operation_id, claimed_at=claimed_at)

        channel = Meanwhile(service.time.clock)
        outcome = await sender(service, channel).send_due()
        assert outcome == Delivered(sent=1, notices=1)
        assert other.calls == []
