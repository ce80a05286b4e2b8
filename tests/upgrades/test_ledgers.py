"""The ledgers that earlier versions left are opened, migrated and used; so are their messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from pat_core.bootstrap import Services
from pat_core.fleet import Query
from pat_core.fleet_report import FleetReport
from pat_core.ledger.sqlite import SqliteStore
from pat_core.ledger_version import FOR_FILE, LEDGER_VERSION, VERSION_KEY, read_version
from pat_core.listing import RECOMMENDED_DAYS, listings
from pat_core.messages import MESSAGE_VERSION, ORGANIZATIONS, POISON, USERS
from pat_core.model import Organization, VaultSecret
from pat_core.ports import Outcome, Store
from pat_core.records import Account, NoticeState, read_account
from pat_core.rotations import RotationState
from pat_core.rows import LEDGER, OWNERS
from pat_core.run_log import RunLog
from pat_core.run_records import RunReport
from pat_core.settings import Settings
from pat_core.trail import Trail
from tests.builders import ANA, BO, MUTE, a_token
from tests.fakes import FakeAzureDevOps, FakeTime
from tests.service import Service
from tests.turns import CONTOSO, OLD, Bench
from tests.upgrades.keep import CLAIMED, GIVEN_UP, NEW, VAULTED
from tests.upgrades.kept import FOLDER, KEPT, kept_at, messages_of, places, unpacked

pytestmark = pytest.mark.anyio
DEMO = Organization("contoso-demo")
FIRST = 1


@dataclass
class Kept:
    """A kept ledger as this program opens it, at the time when it was left."""

    version: int
    file: SqliteStore
    store: Store
    service: Service

    async def ledger_version(self) -> int:
        return read_version(await self.file.row(LEDGER, LEDGER, VERSION_KEY))

    async def account(self, partition: str) -> Account:
        return read_account([row async for row in self.store.rows(OWNERS, partition)])

    async def runs(self) -> list[RunReport]:
        log = RunLog(self.store, self.service.time.clock)
        return [await log._look(row) async for row in self.store.rows("runs", "contoso")]


@pytest.fixture(params=KEPT)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    version: int = request.param
    time = FakeTime(kept_at(version))
    file = SqliteStore(unpacked(version, tmp_path))
    settings = Settings(organizations=(CONTOSO, DEMO), local_dir=tmp_path)
    store = Services(settings, time.clock).current(file, FOR_FILE)
    service = Service(store, time, FakeAzureDevOps(page=2), (CONTOSO, DEMO))
    service.owns(ANA, OLD, VAULTED, GIVEN_UP, NEW)
    service.owns(BO, CLAIMED)
    service.owns(MUTE, a_token("mute", 5))
    yield Kept(version, file, store, service)
    file.close()


def test_a_ledger_of_every_version_is_kept() -> None:
    # `make keep` makes the one of this version; those of earlier ones cannot be made any more.
    assert list(range(FIRST, LEDGER_VERSION + 1)) == KEPT
    sizes = [(FOLDER / str(each) / "ledger.sqlite.gz").stat().st_size for each in KEPT]
    assert max(sizes) < 200_000


class TestLedger:
    async def test_what_stands_in_it_is_read_as_it_was(self, kept: Kept) -> None:
        ana, bo, mute = [await kept.account(each.partition) for each in (ANA, BO, MUTE)]
        assert set(ana.tokens) == {"old", "vaulted", "given up", "new"}
        states = {each.authorization_id: each.state for each in ana.rotations.values()}
        assert states == {
            "old": RotationState.HANDED_OVER,
            "vaulted": RotationState.SUPERSEDED,
            "given up": RotationState.ISSUED,
        }
        notices = [*ana.notices.values(), *bo.notices.values(), *mute.notices.values()]
        assert sorted((each.authorization_id, each.state.value) for each in notices) == [
            ("claimed", NoticeState.CLAIMED),
            ("given up", NoticeState.ACCEPTED),
            ("mute", NoticeState.UNREACHABLE),
            ("new", NoticeState.PENDING),
            ("old", NoticeState.ACCEPTED),
            ("vaulted", NoticeState.ACCEPTED),
            ("vaulted", NoticeState.ACCEPTED),
        ]
        since = kept.service.time.now - timedelta(days=1)
        trail = Trail(kept.store, kept.service.time.clock)
        asked = [(each.action, each.result) async for each in trail.entries("contoso", since)]
        assert asked == [("rotate", "asked"), ("rotate", "done")]

    async def test_what_administrators_ask_for_is_all_there(self, kept: Kept) -> None:
        fleet = FleetReport(kept.store, kept.service.time.clock, (CONTOSO, DEMO))
        listed = [each async for each in fleet.stream(Query())]
        names = {
            each.token.authorization_id for each in listed if each.owner.organization == "contoso"
        }
        assert names == {"old", "vaulted", "given up", "new", "claimed", "mute"}
        owners = [part for table, part in places(kept.file.path) if table == OWNERS]
        accounts = [await kept.account(each) for each in owners]
        known = [each for account in accounts for each in listings(account, RECOMMENDED_DAYS)]
        recent = [each.id for each in known if Query().asks_for(each, kept.service.time.now)]
        assert sorted(each.id for each in listed) == sorted(recent)

    async def test_runs_are_as_they_ended(self, kept: Kept) -> None:
        *ended, last = await kept.runs()
        found = [(each.finished, each.complete, each.coverage.failed) for each in ended]
        assert found == [(True, True, 0), (True, True, 0), (True, False, 1)]
        assert [each.coverage.users for each in ended] == [3, 3, 3]
        assert not last.listed

    async def test_reading_leaves_it_as_it_is_and_writing_migrates(self, kept: Kept) -> None:
        await kept.runs()
        assert await kept.ledger_version() == kept.version
        await kept.service.scan(kept.store)
        assert await kept.ledger_version() == LEDGER_VERSION
        (version,) = kept.file._db.execute("PRAGMA user_version").fetchone()
        assert version == LEDGER_VERSION


class TestMessages:
    def test_a_message_of_each_kind_is_kept(self) -> None:
        for version in KEPT:
            found = messages_of(version)
            assert [len(found[queue]) for queue in (ORGANIZATIONS, USERS)] == [1, 1]
        newest = messages_of(LEDGER_VERSION)
        assert f'"version":{MESSAGE_VERSION},' in newest[USERS][0]

    async def test_orders_in_flight_are_carried_out(self, kept: Kept) -> None:
        service = kept.service
        async with service.host() as host:
            for queue, messages in messages_of(kept.version).items():
                for message in messages:
                    await service.memory.send(queue, message)
                    # Some messages come twice.
                    await service.memory.send(queue, message)
            await host.drain()
            assert host.failures == []
            for queue in (ORGANIZATIONS, USERS):
                assert (await service.memory.waiting(queue + POISON)).count == 0
        assert set(service.azure_devops.read) == {"aad.ana", "aad.bo", "aad.mute"}
        run = (await kept.runs())[-1]
        # Which page followed which the first version did not keep: nobody may call that complete.
        assert run.complete is (kept.version > FIRST)
        troubles = (await service.summary()).troubles
        assert ("contoso: the users are not all listed." in troubles) is (kept.version == FIRST)


class TestNotices:
    async def test_nobody_is_told_twice_and_no_notice_is_lost(self, kept: Kept) -> None:
        service = kept.service
        # What left just before the program died: the provider knows it.
        service.channel.knows = Outcome.ACCEPTED
        assert await service.run() == [(ANA.address, "new", 3)]
        (asked,) = service.channel.asked
        states = {each.state for each in (await kept.account(BO.partition)).notices.values()}
        assert states == {NoticeState.ACCEPTED}
        service.time.now += timedelta(minutes=10)
        assert await service.run() == []
        assert service.channel.asked == [asked]
        assert (await service.newest()).complete

    async def test_who_cannot_be_told_is_still_told_of(self, kept: Kept) -> None:
        (untold,) = (await kept.service.summary()).unsent
        assert untold == "No Address (contoso): no usable address"


class TestRotations:
    async def test_each_comes_to_its_end(self, kept: Kept) -> None:
        time = kept.service.time
        bench = Bench(kept.store, time)  # type: ignore[arg-type] # any home will do
        made = [a_token(f"new-{number}", 90) for number in (1, 2, 3)]
        bench.azure.owns(VAULTED, GIVEN_UP, *made)
        rotation = (await kept.account(ANA.partition)).rotations["vaulted"]
        secret = VaultSecret(rotation.vault_name, "1", ANA.subject_descriptor, "new-2", "contoso")
        bench.vault.secrets[rotation.vault_name] = [(secret, "s3cret")]
        time.now += timedelta(hours=25)
        await bench.finish()
        # What was only shown lives on beside the old one; what nobody has is revoked.
        assert bench.azure.alive() == {"old", "new-1", "new-2", "given up"}
        account = await kept.account(ANA.partition)
        states = {each.authorization_id: each.state for each in account.rotations.values()}
        assert states["vaulted"] in (RotationState.SUPERSEDED, RotationState.DONE)
        assert states["given up"] is RotationState.GIVEN_UP
