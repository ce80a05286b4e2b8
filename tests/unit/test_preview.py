"""What a dry run shows: all that would be sent, and nothing is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pat_core.channels.render import Renderer
from pat_core.expiry import DEFAULT_WINDOWS_DAYS
from pat_core.ledger.sqlite import SqliteStore
from pat_core.outbox import BY_URGENCY
from pat_core.preview import preview
from pat_core.rows import OUTBOX
from pat_core.summarize import Watch
from tests.builders import ANA, BO, a_token
from tests.fakes import FakeTime
from tests.service import Service

pytestmark = pytest.mark.anyio


@pytest.fixture
def service(tmp_path: Path, time: FakeTime) -> Iterator[Service]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    yield Service(store, time)
    store.close()


class TestPreview:
    async def test_the_most_urgent_comes_first_and_nothing_leaves(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 5), a_token("cd", 29))
        service.owns(BO, a_token("now", 0.5))
        await service.scan()
        waiting = await service.keys(OUTBOX, BY_URGENCY)
        for _ in range(2):
            found = await preview(service.store, service.time.clock)
            assert [each.recipient for each in found] == [BO.address, ANA.address]
            assert [notice.token.display_name for notice in found[1].notices] == ["ci", "cd"]
        assert await service.keys(OUTBOX, BY_URGENCY) == waiting
        assert (await service.send()).sent == 2
        assert await preview(service.store, service.time.clock) == []

    async def test_it_shows_as_many_as_it_is_asked_for(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 5))
        service.owns(BO, a_token("now", 0.5))
        await service.scan()
        (first,) = await preview(service.store, service.time.clock, 1)
        assert first.recipient == BO.address

    async def test_what_was_revoked_meanwhile_is_not_in_it(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 5))
        await service.scan()
        service.owns(ANA)
        await service.scan()
        assert await preview(service.store, service.time.clock) == []


class TestDryRun:
    async def test_the_summary_shows_what_would_have_been_sent(self, service: Service) -> None:
        service.owns(ANA, a_token("ci", 5))
        service.dry_run = True
        async with service.host() as host:
            await host.fire("plan_scan")
            await host.drain()
            await host.fire("send_digests")
        assert service.channel.calls == []
        watch = Watch(
            service.store,
            service.time.clock,
            service.organizations,
            DEFAULT_WINDOWS_DAYS,
            dry_run=True,
        )
        summary = await watch.summarize(service.memory)
        assert summary.troubles == ("Dry run, nothing is sent: 1 owner would be told.",)
        assert summary.rehearsed == (f'{ANA.address}: "ci" expires in 5 days',)
        mail = Renderer().summary(summary)
        assert '"ci" expires in 5 days' in mail.html
        assert '* ana@contoso.example: "ci" expires in 5 days' in mail.text
