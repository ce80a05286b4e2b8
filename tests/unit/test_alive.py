"""What the service tells of itself: figures and events, by which alerts know that it lives."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from function_app import MOST_TRIES
from pat_core.allowance import Allowance
from pat_core.delivery import Outlet, Sender
from pat_core.errors import (
    AddressRefused,
    AzureDevOpsError,
    NotPermitted,
    NotSignedIn,
    OwnerGone,
    Unavailable,
)
from pat_core.ledger.sqlite import SqliteStore
from pat_core.model import Owner
from pat_core.signals import (
    DIGEST_DELAY,
    DIGEST_SENT,
    INVENTORY_TOKENS,
    OUTBOX_AT_CAPACITY,
    OUTBOX_DEPTH,
    SCAN_AGE,
    SCAN_DURATION,
    SCAN_USERS,
    Event,
)
from tests.builders import ANA, a_token
from tests.fakes import FakeChannel, FakeTime
from tests.service import Service

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
BO, CY, DI = (
    Owner("contoso", f"aad.{name}", name, f"{name}@contoso.example") for name in ("bo", "cy", "di")
)


@pytest.fixture
def service(tmp_path: Path, time: FakeTime) -> Iterator[Service]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    yield Service(store, time)
    store.close()


async def measure(service: Service) -> None:
    async with service.host() as host:
        await host.fire("send_digests")


class TestScan:
    async def test_a_finished_run_is_told_once(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 5))
        service.owns(BO)
        service.azure_devops.users += [CY, DI]
        service.azure_devops.owned |= {
            CY.subject_descriptor: OwnerGone("contoso: gone."),
            DI.subject_descriptor: Unavailable("contoso: no answer."),
        }
        async with service.host() as host:
            await host.fire("plan_scan")
            await host.drain()
            for _ in range(3):
                await host.fire("send_digests")
        assert service.meter.of(SCAN_USERS) == [
            (2, "contoso read"),
            (1, "contoso failed"),
            (1, "contoso gone"),
        ]
        ((seconds, about),) = service.meter.of(SCAN_DURATION)
        assert (about, seconds >= 0) == ("contoso incomplete", True)

    async def test_its_age_grows_until_the_next_complete_one(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 50))
        await measure(service)
        await service.scan()
        await measure(service)
        service.time.now += timedelta(hours=27)
        await measure(service)
        ages = [value for value, _ in service.meter.of(SCAN_AGE)]
        assert [ages[0], ages[-1] - ages[-2]] == [timedelta(days=365).total_seconds(), 27 * 3600]

    async def test_tokens_are_counted_by_window(self, service: Service) -> None:
        service.owns(ANA, a_token("a", 5), a_token("b", 13), a_token("c", 90), a_token("d", -1))
        await service.scan()
        await measure(service)
        found = {about: value for value, about in service.meter.of(INVENTORY_TOKENS)}
        assert found == {
            "contoso 30": 0,
            "contoso 14": 1,
            "contoso 7": 1,
            "contoso 3": 0,
            "contoso 1": 0,
            "contoso 0": 1,
            "contoso all": 4,
        }

    @pytest.mark.parametrize("error", [NotSignedIn("contoso: no."), NotPermitted("contoso: no.")])
    async def test_a_refusal_of_the_service_is_an_event(
        self, service: Service, caplog: pytest.LogCaptureFixture, error: AzureDevOpsError
    ) -> None:
        service.azure_devops.listing_fails = error
        await service.scan()
        (line,) = [each for each in caplog.records if each.msg == Event.SCAN_REFUSED]
        assert line.levelno == logging.ERROR
        assert (line.__dict__["kind"], line.__dict__["organization"]) == (
            type(error).__name__,
            "contoso",
        )

    async def test_each_batch_is_an_event_without_a_name(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        service.owns(ANA, a_token("secret project", 5))
        report = await service.scan()
        (line,) = [each for each in caplog.records if each.msg == Event.SCAN_BATCH_DONE]
        assert line.__dict__["run_id"] == report.run_id
        for each in caplog.records:
            told = f"{each.__dict__}"
            assert "secret project" not in told
            assert ANA.address not in told


class TestDelivery:
    async def test_what_left_what_failed_and_how_late(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 5))
        await service.scan()
        service.time.now += timedelta(minutes=7)
        await measure(service)
        assert service.meter.of(OUTBOX_DEPTH)[-1] == (0, "")
        assert service.meter.of(DIGEST_SENT) == [(1, "outbox sent")]
        assert service.meter.of(DIGEST_DELAY) == [(7 * 60, "outbox")]
        service.owns(BO, a_token("ci", 5))
        service.channel.fails = AddressRefused("No.")
        await service.scan()
        await measure(service)
        assert service.meter.of(DIGEST_SENT)[1:] == [(1, "outbox failed")]
        assert service.meter.of(OUTBOX_DEPTH)[-1] == (1, "")

    async def test_a_channel_is_at_capacity_while_somebody_waits_for_it(
        self, service: Service
    ) -> None:
        for owner in (ANA, BO):
            service.owns(owner, a_token(f"of {owner.display_name}", 5))
        await service.scan()
        outlets = {
            "email": Outlet(FakeChannel(service.time.clock), Allowance(1, 1)),
            "teams": Outlet(FakeChannel(service.time.clock)),
        }
        sender = Sender(service.store, outlets, service.time.clock, meter=service.meter)
        await sender.send_due()
        service.time.now += timedelta(hours=2)
        await sender.send_due()
        assert service.meter.of(OUTBOX_AT_CAPACITY) == [
            (1, "email"),
            (0, "teams"),
            (0, "email"),
            (0, "teams"),
        ]


class TestPoison:
    def test_the_last_try_is_the_one_that_the_host_counts_to(self) -> None:
        settings = json.loads((ROOT / "host.json").read_text())
        assert settings["extensions"]["queues"]["maxDequeueCount"] == MOST_TRIES

    async def test_the_last_failure_alone_is_an_event(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.azure_devops.listing_fails = Unavailable("contoso: no answer.")
        await service.scan()
        lines = [each for each in caplog.records if each.msg == Event.MESSAGE_GIVEN_UP]
        assert [each.__dict__["queue"] for each in lines] == ["pat-organizations"]
