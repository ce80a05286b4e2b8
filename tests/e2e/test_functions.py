"""The HTTP functions as a caller meets them, over the local host."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from function_app import app
from pat_core import __version__, bootstrap
from pat_core.errors import QueueUnavailable
from pat_core.ledger.sqlite import SqliteStore
from pat_core.local.host import Host
from pat_core.local.memory_queues import MemoryQueues
from pat_core.messages import ORGANIZATIONS
from pat_core.ports import Waiting
from tests.builders import ANA, a_token
from tests.fakes import FakeTime
from tests.service import Service, reached
from tests.unit.test_nothing_is_lost import Away

pytestmark = pytest.mark.anyio


@pytest.fixture
def service(tmp_path: Path, time: FakeTime) -> Iterator[Service]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    made = Service(store, time)
    made.owns(ANA, a_token("ci", 5))
    yield made
    store.close()


class TestScanNow:
    @pytest.mark.parametrize("body", [b"", b"{}", b'{"organizations": ["CONTOSO"]}'])
    async def test_it_orders_a_run_that_can_be_followed(
        self, service: Service, body: bytes
    ) -> None:
        async with service.host() as host, reached(host) as http:
            ordered = await http.post("/runs", content=body)
            assert ordered.status_code == 202
            where = ordered.headers["location"]
            assert where == f"/runs/{ordered.json()['run_id']}"
            (before,) = (await http.get(where)).json()["organizations"]
            assert (before["finished"], before["users_done"]) == (False, 0)
            await host.drain()
            (after,) = (await http.get(where)).json()["organizations"]
        assert (after["name"], after["complete"], after["users_done"]) == ("contoso", True, 1)
        assert (after["tokens"], after["batches"], after["error"]) == (1, 1, None)

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (b"{", "The body cannot be read."),
            (b" " * 20_001, "The body is larger than 20,000 bytes."),
            (b'{"organization": "contoso"}', "The body cannot be read."),
            (b'{"organizations": ["nobody"]}', "'nobody' is none of the organizations"),
        ],
    )
    async def test_a_wrong_body_orders_nothing(
        self, service: Service, body: bytes, says: str
    ) -> None:
        async with service.host() as host, reached(host) as http:
            answer = await http.post("/runs", content=body)
        assert answer.status_code == 400
        assert says in answer.json()["error"]
        assert "Example:" in answer.json()["error"]
        assert (await service.memory.waiting(ORGANIZATIONS)).count == 0

    async def test_an_organization_that_is_named_twice_is_scanned_once(
        self, service: Service
    ) -> None:
        async with service.host() as host, reached(host) as http:
            await http.post("/runs", json={"organizations": ["contoso", "Contoso"]})
        assert (await service.memory.waiting(ORGANIZATIONS)).count == 1

    async def test_a_ledger_that_is_away_is_said(self, service: Service) -> None:
        async with service.host(Away(service.store, 9)) as host, reached(host) as http:
            answers = [await http.post("/runs"), await http.get("/runs/x")]
        assert [each.status_code for each in answers] == [503, 503]
        assert {each.json()["error"] for each in answers} == {"The ledger is away."}

    async def test_a_run_that_never_was_is_not_found(self, service: Service) -> None:
        async with service.host() as host, reached(host) as http:
            assert (await http.get("/runs/none")).status_code == 404


class TestHealth:
    async def test_it_is_well_while_the_last_complete_scan_is_of_late(
        self, service: Service, time: FakeTime
    ) -> None:
        async with service.host() as host, reached(host) as http:
            never = await http.get("/health")
            await host.fire("plan_scan")
            await host.drain()
            just = await http.get("/health")
            time.now += timedelta(hours=26)
            well = await http.get("/health")
            assert well.headers["x-content-type-options"] == "nosniff"
            time.now += timedelta(seconds=1)
            late = await http.get("/health")
        assert [each.status_code for each in (never, well, late)] == [503, 200, 503]
        assert just.json()["last_complete_scan_seconds"] == [0]
        assert never.json()["last_complete_scan_seconds"] == [None]
        assert well.json() == {
            "status": "healthy",
            "version": __version__,
            "last_complete_scan_seconds": [26 * 3600],
            "outbox": 1,
        }

    async def test_an_incomplete_scan_does_not_count(
        self, service: Service, time: FakeTime
    ) -> None:
        async with service.host() as host, reached(host) as http:
            await host.fire("plan_scan")
            await host.drain()
            time.now += timedelta(hours=25)
            service.azure_devops.faults = ("token 1: validTo is missing",)
            await host.fire("plan_scan")
            await host.drain()
            time.now += timedelta(hours=2)
            assert (await http.get("/health")).status_code == 503

    async def test_a_ledger_that_is_away_is_said(self, service: Service) -> None:
        class Gone(Away):
            def rows(self, table, partition, **bounds):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202 - as inner
                self._answer()

        async with service.host(Gone(service.store, 9)) as host, reached(host) as http:
            answer = await http.get("/health")
        assert answer.status_code == 503
        assert answer.json() == {"status": "unhealthy", "ledger": "unavailable"}

    async def test_wrong_settings_are_named_without_their_values(
        self, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAT_WINDOWS_DAYS", "s3cret")
        monkeypatch.setenv("PAT_MAX_CONCURRENCY", "s3cret")
        async with reached(Host(app, MemoryQueues(), time.clock)) as http:
            answer = await http.get("/health")
        assert answer.status_code == 503
        assert sorted(answer.json()["wrong_settings"]) == [
            "PAT_MAX_CONCURRENCY",
            "PAT_WINDOWS_DAYS",
        ]
        assert "s3cret" not in answer.text

    async def test_missing_settings_are_named(self, time: FakeTime) -> None:
        async with reached(Host(app, MemoryQueues(), time.clock)) as http:
            answer = await http.get("/health")
        assert answer.json()["wrong_settings"] == ["PAT_ORGANIZATIONS", "PAT_STORAGE_ACCOUNT"]


class TestSendDigests:
    async def test_without_a_channel_it_says_so_and_what_is_due_waits(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        await service.scan()
        async with service.host() as host:
            bootstrap.services().given = {}
            with caplog.at_level(logging.WARNING):
                await host.fire("send_digests")
        assert "digest.not_sent" in caplog.messages
        assert (await service.send()).sent == 1


class TestDeliveryReport:
    async def test_a_bounce_reopens_what_was_sent(self, service: Service) -> None:
        await service.run()
        ((_, operation, _),) = service.channel.calls
        event = {"input": {"messageId": operation, "status": "Bounced"}}
        async with service.host() as host, reached(host) as http:
            answer = await http.post("/admin/functions/delivery_report", json=event)
        assert answer.status_code == 202
        assert (await service.summary()).unsent == (
            "Ana Almeida (contoso, ana@contoso.example): The mail did not arrive: Bounced.",
        )


class TestSummarize:
    async def test_ops_are_told(self, service: Service) -> None:
        told = []

        class Ops:
            async def report(self, summary: object) -> None:
                told.append(summary)

        await service.scan()
        async with service.host() as host:
            bootstrap.services().ops = [Ops()]
            await host.fire("summarize")
        (summary,) = told
        assert summary == await service.summary()

    async def test_queues_that_are_away_are_said_and_the_rest_is_told(
        self, service: Service
    ) -> None:
        class Silent(MemoryQueues):
            async def waiting(self, queue: str) -> Waiting:
                raise QueueUnavailable("The queue is away.", remedy="Check it.")

        await service.scan()
        service.memory = Silent()
        summary = await service.summary()
        assert summary.troubles == ("The queue is away. Check it.",)
        assert summary.organizations[0].complete_at
