"""The copy that administrators read: it follows the truth, whatever happened in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pat_core.delivered import DELIVERIES
from pat_core.errors import (
    AzureDevOpsError,
    LedgerUnavailable,
    NotPermitted,
    OwnerGone,
    Unavailable,
)
from pat_core.expiry import DEFAULT_WINDOWS_DAYS
from pat_core.fleet import Query
from pat_core.fleet_keeping import FleetKeeping
from pat_core.fleet_report import FleetReport
from pat_core.forgetting import Forgetting
from pat_core.inventory import Inventory
from pat_core.ledger.sqlite import SqliteStore
from pat_core.listing import Flag, Listing, Order
from pat_core.model import EXPIRED, Owner
from pat_core.outbox import BY_TIME, trace
from pat_core.recording import Recorder
from pat_core.records import NoticeState
from pat_core.risk import Risk
from pat_core.routes import Route, Routes
from pat_core.rows import INVENTORY, OUTBOX, OWNERS, RUNS, Change
from tests.builders import ANA, BO, MUTE, a_token
from tests.fakes import NOW, FakeTime
from tests.service import CONTOSO, Service

pytestmark = pytest.mark.anyio


@pytest.fixture
def service(tmp_path: Path, time: FakeTime) -> Iterator[Service]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    yield Service(store, time)
    store.close()


def fleet(service: Service) -> FleetReport:
    return FleetReport(service.store, service.time.clock, [CONTOSO])


def keeping(service: Service, days: int = 90) -> FleetKeeping:
    inventory = Inventory(service.store, service.time.clock)
    routes = Routes(service.routes)
    recorder = Recorder(inventory, DEFAULT_WINDOWS_DAYS, routes, timedelta(days=days))
    return FleetKeeping(fleet(service), recorder, Forgetting(inventory))


async def listed(service: Service, **asked: object) -> list[str]:
    query = Query(**asked)  # type: ignore[arg-type] # as the test names them
    return [each.token.display_name async for each in fleet(service).stream(query)]


async def one(service: Service, name: str) -> Listing:
    (found,) = [
        each async for each in fleet(service).stream(Query()) if each.token.display_name == name
    ]
    return found


async def rows_of(service: Service) -> set[str]:
    return set(await service.keys(INVENTORY, "contoso"))


class TestScan:
    async def test_each_token_stands_in_each_order(self, service: Service) -> None:
        service.owns(BO, a_token("late", 40, lifetime=50), a_token("soon", 2, lifetime=300))
        service.owns(ANA, a_token("middle", 20, lifetime=30))
        await service.scan()
        assert await listed(service) == ["soon", "middle", "late"]
        assert await listed(service, order=Order.OWNER) == ["middle", "soon", "late"]
        assert await listed(service, order=Order.CREATED) == ["middle", "late", "soon"]

    async def test_a_second_scan_writes_nothing_for_what_stayed(self, service: Service) -> None:
        service.owns(ANA, a_token("a", 100), a_token("b", 101))
        await service.scan()
        written: list[str] = []

        class Watched:
            def __getattr__(self, name: str) -> object:
                return getattr(service.store, name)

            async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
                written.extend(f"{table} {change.row.key}" for change in changes)
                return await service.store.write(table, changes)

        await service.scan(Watched())  # type: ignore[arg-type] # as the store behind it
        assert [each for each in written if not each.startswith("runs")] == ["inventory aad.ana"]

    async def test_an_extended_token_moves(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 5), a_token("other", 50))
        await service.scan()
        before = await rows_of(service)
        service.owns(ANA, replace(a_token("ci", 5), valid_to=NOW + timedelta(days=200)))
        service.azure_devops.owned[ANA.subject_descriptor].append(a_token("other", 50))  # type: ignore[union-attr] # a list here
        await service.scan()
        assert await listed(service) == ["other", "ci"]
        assert len(await rows_of(service)) == len(before) + 1  # it is now one of long life

    @pytest.mark.parametrize("gone", ["revoked", "not listed"])
    async def test_what_is_over_is_taken_out(self, service: Service, gone: str) -> None:
        service.owns(ANA, a_token("ci", 5), a_token("stays", 50))
        await service.scan()
        rest = [a_token("stays", 50)]
        if gone == "revoked":
            rest.append(a_token("ci", 5, is_valid=False))
        service.owns(ANA, *rest)
        await service.scan()
        assert await listed(service) == ["stays"]
        assert not [key for key in await rows_of(service) if "ci" in key.rpartition(".")[2]]

    async def test_flags(self, service: Service) -> None:
        service.owns(
            ANA,
            a_token("all", 100, scope="app_token", lifetime=365),
            replace(a_token("everywhere", 3), is_global=True),
            a_token("plain", 60, lifetime=80),
        )
        service.owns(MUTE, a_token("unheard", 5))
        await service.scan()
        flags = {
            name: (await one(service, name)).flags
            for name in ("all", "everywhere", "plain", "unheard")
        }
        assert flags == {
            "all": {Flag.FULL_ACCESS, Flag.LONG_LIFE},
            "everywhere": {Flag.GLOBAL},
            "plain": set(),
            "unheard": {Flag.NOT_TOLD},
        }
        assert await listed(service, flag=Flag.FULL_ACCESS) == ["all"]
        assert await listed(service, risk=Risk.FULL_ACCESS) == ["all"]
        assert await listed(service, flag=Flag.NOT_TOLD) == ["unheard"]

    async def test_a_notice_is_followed_to_its_end(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 5))
        await service.scan()
        waiting = (await one(service, "ci")).notice
        assert waiting
        assert (waiting.window, waiting.state) == (7, NoticeState.PENDING)
        async with service.host() as host:
            await host.fire("send_digests")
        sent = (await one(service, "ci")).notice
        assert sent
        assert sent.state is NoticeState.ACCEPTED

    async def test_who_never_owned_a_token_leaves_no_trace(self, service: Service) -> None:
        service.owns(ANA)
        await service.scan()
        assert await rows_of(service) == set()
        assert await service.keys(INVENTORY, "contoso|seen") == []
        assert await service.keys(OWNERS, ANA.partition) == []

    async def test_a_crash_between_truth_and_copy_is_mended_by_the_next_scan(
        self, service: Service
    ) -> None:
        service.owns(ANA, a_token("ci", 5))

        class Broken:
            def __getattr__(self, name: str) -> object:
                return getattr(service.store, name)

            async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
                if table == INVENTORY:
                    raise LedgerUnavailable("It broke.")
                return await service.store.write(table, changes)

        async with service.host(Broken()) as host:  # type: ignore[arg-type] # as the store behind
            await host.fire("plan_scan")
            await host.drain()
        assert await service.keys(OWNERS, ANA.partition)
        assert await listed(service) == []
        await service.scan()
        assert await listed(service) == ["ci"]


class TestWindow:
    async def test_bounds(self, service: Service) -> None:
        days = {"old": -8.0, "expired": -1.0, "hour": 0.04, "week": 6.0, "month": 29.0, "far": 90.0}
        service.owns(ANA, *(a_token(name, each) for name, each in days.items()))
        await service.scan()
        assert await listed(service) == ["expired", "hour", "week", "month", "far"]
        assert await listed(service, window=EXPIRED) == ["expired"]
        assert await listed(service, window=1) == ["hour"]
        assert await listed(service, window=7) == ["hour", "week"]
        assert await listed(service, window=30, order=Order.OWNER) == ["hour", "week", "month"]

    async def test_search_knows_owner_address_and_token(self, service: Service) -> None:
        service.owns(ANA, a_token("ci-build", 50))
        service.owns(BO, a_token("laptop", 60))
        await service.scan()
        for search, found in (
            ("ALMEIDA", ["ci-build"]),
            ("bo@contoso", ["laptop"]),
            ("i-bu", ["ci-build"]),
            ("100%", []),
        ):
            assert await listed(service, search=search) == found


class TestPage:
    async def test_pages_meet_each_token_once(self, service: Service) -> None:
        service.owns(ANA, *(a_token(f"a{number}", 40 + number % 3) for number in range(7)))
        service.owns(BO, *(a_token(f"b{number}", 41) for number in range(6)))
        await service.scan()
        for order in Order:
            seen: list[str] = []
            query = Query(order=order)
            while True:
                page = await fleet(service).page(query, size=5)
                seen += [each.id for each in page.listings]
                if not page.following:
                    break
                query = replace(query, after=page.following)
            assert len(seen) == len(set(seen)) == 13

    async def test_a_rare_search_stops_and_goes_on(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pat_core.fleet_report.MOST_EXAMINED", 3)
        service.owns(ANA, *(a_token(f"t{number}", 40 + number) for number in range(8)))
        await service.scan()
        first = await fleet(service).page(Query(search="t7"))
        assert (first.listings, first.was_cut) == ((), True)
        second = await fleet(service).page(Query(search="t7", after=first.following))
        third = await fleet(service).page(Query(search="t7", after=second.following))
        assert [each.token.display_name for each in third.listings] == ["t7"]
        assert not third.following


class TestKeeping:
    async def test_who_left_is_flagged_and_later_forgotten(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 80, lifetime=365))
        service.owns(BO, a_token("other", 300))
        await service.scan()
        service.azure_devops.users.remove(ANA)
        service.time.now += timedelta(days=1)
        await service.scan()
        await keeping(service).keep()
        assert Flag.OWNER_GONE in (await one(service, "ci")).flags
        assert Flag.OWNER_GONE not in (await one(service, "other")).flags
        service.time.now += timedelta(days=91)
        await service.scan()
        await keeping(service).keep()
        assert await listed(service) == ["other"]
        assert await service.keys(OWNERS, ANA.partition) == []
        assert await service.keys(INVENTORY, "contoso|seen") == [BO.subject_descriptor]

    async def test_ops_and_teams_are_told_of_the_tokens_of_who_left(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 200, lifetime=365), a_token("cd", 200, lifetime=365))
        service.owns(BO, a_token("other", 300))
        service.routes = [Route(token="cd", to=("team@contoso.example",))]
        await service.scan()
        service.azure_devops.users.remove(ANA)
        untold = list[str]()
        for _ in range(18):
            service.time.now += timedelta(days=11)
            await service.scan()
            await keeping(service).keep()
            await service.send()
            untold.append(" ".join((await service.summary()).unsent))
        told = service.channel.told()
        assert told == [("team@contoso.example", "cd", window) for window in (30, 14, 3)]
        assert untold[:15] == [""] * 15
        assert all("Ana Almeida" in each for each in untold[15:])
        assert all("no longer an active member" in each for each in untold[15:])
        assert (await one(service, "ci")).notice

    async def test_one_unreadable_token_silences_nobody_who_left(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 5))
        service.owns(BO, a_token("other", 300))
        await service.scan()
        service.azure_devops.users.remove(ANA)
        service.azure_devops.faults = ("token 1: valid_to is missing",)
        service.time.now += timedelta(days=3)
        assert not (await service.scan()).complete
        await keeping(service).keep()
        assert Flag.OWNER_GONE in (await one(service, "ci")).flags
        (said,) = (await service.summary()).unsent
        assert "Ana Almeida" in said

    async def test_the_end_of_a_token_is_told_however_long_ago_its_owner_left(
        self, service: Service
    ) -> None:
        service.owns(ANA, a_token("ci", 100, lifetime=365))
        service.owns(BO, a_token("other", 300))
        await service.scan()
        service.azure_devops.users.remove(ANA)
        untold = []
        for days in (1, 100, 7):
            service.time.now += timedelta(days=days)
            await service.scan()
            await keeping(service).keep()
            untold.append((await service.summary()).unsent)
        assert [len(each) for each in untold] == [0, 1, 0]
        assert await listed(service) == ["other"]

    async def test_who_comes_back_is_no_longer_gone(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 300, lifetime=365))
        await service.scan()
        service.azure_devops.users.remove(ANA)
        service.time.now += timedelta(days=1)
        await service.scan()
        await keeping(service).keep()
        service.azure_devops.users.append(ANA)
        service.time.now += timedelta(days=1)
        await service.scan()
        await keeping(service).keep()
        assert Flag.OWNER_GONE not in (await one(service, "ci")).flags

    async def test_who_could_not_be_read_has_not_left(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 300))
        await service.scan()
        service.time.now += timedelta(days=1)
        service.azure_devops.owned[ANA.subject_descriptor] = Unavailable("No.")
        await service.scan()
        await keeping(service).keep()
        assert Flag.OWNER_GONE not in (await one(service, "ci")).flags

    @pytest.mark.parametrize("fault", [Unavailable("No."), NotPermitted("No.")])
    async def test_after_a_scan_that_missed_somebody_nobody_is_gone(
        self, service: Service, fault: AzureDevOpsError
    ) -> None:
        service.owns(ANA, a_token("ci", 300, lifetime=365))
        service.owns(BO, a_token("other", 300))
        await service.scan()
        service.azure_devops.users.remove(ANA)
        service.azure_devops.owned[BO.subject_descriptor] = fault
        service.time.now += timedelta(days=100)
        assert not (await service.scan()).complete
        await keeping(service).keep()
        assert Flag.OWNER_GONE not in (await one(service, "ci")).flags
        assert await service.keys(OWNERS, ANA.partition)

    @pytest.mark.parametrize("are_listed", [True, False])
    async def test_where_everybody_seems_to_have_left_nobody_is_gone(
        self, service: Service, are_listed: bool
    ) -> None:
        service.owns(ANA, a_token("ci", 300))
        service.owns(BO, a_token("other", 300))
        await service.scan()
        if are_listed:
            gone = dict.fromkeys(service.azure_devops.owned, OwnerGone("gone"))
            service.azure_devops.owned |= gone
        else:
            service.azure_devops.users.clear()
        service.time.now += timedelta(days=100)
        await service.scan()
        await keeping(service).keep()
        for name in ("ci", "other"):
            assert Flag.OWNER_GONE not in (await one(service, name)).flags

    async def test_the_count_is_kept_for_an_hour(self, service: Service) -> None:
        service.owns(ANA, a_token("a", 5), a_token("b", 50, scope="app_token"))
        await service.scan()
        keeper = keeping(service)
        await keeper.keep()
        kept = await keeper.report.kept("contoso")
        assert kept
        assert (kept.tokens, kept.windows[7], kept.flags[Flag.FULL_ACCESS]) == (2, 1, 1)
        assert sum(sum(risks.values()) for risks in kept.weeks.values()) == 2
        service.time.now += timedelta(minutes=59)
        await keeper.keep()
        assert await keeper.report.kept("contoso") == kept
        service.time.now += timedelta(minutes=1)
        await keeper.keep()
        newer = await keeper.report.kept("contoso")
        assert newer
        assert newer.counted_at == service.time.now

    async def test_large_organizations_answer_from_the_count_that_is_kept(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pat_core.fleet_report.COUNTED_ANEW", 1)
        service.owns(ANA, a_token("a", 5), a_token("b", 50))
        await service.scan()
        await keeping(service).keep()
        service.owns(ANA, a_token("a", 5))
        service.time.now += timedelta(minutes=1)
        await service.scan()
        assert (await fleet(service).tally()).tokens == 2
        await keeping(service).keep()
        assert (await fleet(service).tally()).tokens == 1

    async def test_runs_older_than_40_days_are_forgotten(self, service: Service) -> None:
        service.owns(ANA, a_token("a", 300))
        old = await service.scan()
        service.time.now += timedelta(days=41)
        await service.scan()
        await keeping(service).keep()
        assert len(await service.keys(RUNS, "contoso")) == 1
        assert await service.keys(RUNS, f"contoso|{old.run_id}") == []

    async def test_what_was_sent_more_than_40_days_ago_is_forgotten(self, service: Service) -> None:
        service.owns(ANA, a_token("a", 5))
        await service.run()
        ((_, operation),) = [each.split("|") for each in await service.keys(OUTBOX, BY_TIME)]
        for days, is_kept in ((39, True), (2, False)):
            service.time.now += timedelta(days=days)
            await service.scan()
            await keeping(service).keep()
            assert bool(await service.keys(OUTBOX, BY_TIME)) is is_kept
            assert bool(await service.keys(OUTBOX, trace(operation))) is is_kept
            assert bool(await service.keys(RUNS, DELIVERIES)) is is_kept


class TestRetention:
    async def test_a_token_that_is_gone_is_forgotten_with_all_about_it(
        self, service: Service
    ) -> None:
        service.owns(ANA, a_token("ci", 5), a_token("stays", 300))
        await service.run()
        service.owns(ANA, a_token("stays", 300))
        service.time.now += timedelta(days=1)
        await service.scan()
        assert "token|ci" in await service.keys(OWNERS, ANA.partition)
        service.time.now += timedelta(days=91)
        await service.scan()
        assert await service.keys(OWNERS, ANA.partition) == ["owner", "token|stays"]

    async def test_one_that_comes_back_as_it_would_be_forgotten_is_kept(
        self, service: Service
    ) -> None:
        service.owns(ANA, a_token("ci", 300), a_token("stays", 300))
        await service.scan()
        service.owns(ANA, a_token("stays", 300))
        await service.scan()
        service.owns(ANA, a_token("ci", 300), a_token("stays", 300))
        service.time.now += timedelta(days=91)
        assert (await service.scan()).complete
        assert await listed(service) == ["ci", "stays"]


class TestForget:
    async def test_nothing_is_left_of_an_owner(self, service: Service) -> None:
        for owner in (ANA, BO, MUTE):
            service.owns(owner, a_token("ci", 5), a_token("full", 100, scope="app_token"))
        await service.scan()
        inventory = Inventory(service.store, service.time.clock)
        for owner in (ANA, MUTE):
            await Forgetting(inventory).forget(owner)
        assert {each.owner async for each in fleet(service).stream(Query())} == {BO}
        assert {key.partition("|")[0] for key in await service.keys(OUTBOX, "unsent")} == set()
        assert isinstance(service.store, SqliteStore)
        left = "\n".join(service.store._db.iterdump())
        for each in ("aad.ana", "Almeida", "ana@contoso", "aad.mute", "No Address"):
            assert each not in left

    async def test_an_owner_is_found_by_address_name_or_descriptor(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 5))
        await service.scan()
        forgetting = Forgetting(Inventory(service.store, service.time.clock))
        for wanted in ("ANA@contoso.example", "ana almeida", "aad.ana"):
            assert await forgetting.find("contoso", wanted) == [ANA]
        assert await forgetting.find("contoso", "ana") == []

    async def test_forgetting_twice_is_no_fault(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 5))
        await service.scan()
        forgetting = Forgetting(Inventory(service.store, service.time.clock))
        await forgetting.forget(ANA)
        assert await forgetting.forget(Owner("contoso", "aad.ana")) == 0
