"""The whole service on Azurite, through the local host: ledger, queues, sending."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.storage.queue.aio import QueueServiceClient
from pydantic import SecretStr

from function_app import app
from pat_core.bootstrap import Services, sharing, system_clock
from pat_core.delivery import Outlet
from pat_core.local.azurite import AzuriteQueues
from pat_core.local.demo import outbox_channel
from pat_core.local.host import Host
from pat_core.local.outbox import stored_names
from pat_core.local.serving import serving
from pat_core.local.simulator import Simulator, create_app
from pat_core.local.world import World
from pat_core.model import Organization
from pat_core.settings import Settings

pytestmark = pytest.mark.anyio
SECRET = "hush"


async def test_a_second_run_on_it_sends_no_second_mail(
    connection_string: str, tmp_path: Path
) -> None:
    world = World(system_clock(), users=150, organization="contoso-azurite")
    outbox = tmp_path / "outbox"
    async with (
        serving(create_app(Simulator(world, secret=SECRET, throttle_every=200))) as address,
        QueueServiceClient.from_connection_string(connection_string) as service,
    ):
        settings = Settings(
            organizations=(Organization(world.organization, f"{address}/{world.organization}"),),
            admin_token=SecretStr(SECRET),
            storage_connection_string=SecretStr(connection_string),
            local_dir=tmp_path,
        )
        shared = Services(settings, given={"outbox": Outlet(outbox_channel(settings))})
        shared.queues = queues = AzuriteQueues(service)
        sent = []
        async with sharing(shared):
            host = Host(app, queues, shared.clock)
            for _ in range(2):
                await host.fire("plan_scan")
                await host.drain()
                await host.fire("send_digests")
                sent.append(len(stored_names(outbox)))
            summary = await shared.watch.summarize(queues)
    assert host.failures == []
    assert sent[0] == sent[1] > 15
    assert summary.subject.startswith("[PAT Warden] To do: ")
    assert summary.troubles == (f"{len(summary.unsent)} owners could not be told.",)
    assert summary.delivered.sent == sent[0]
    assert summary.waiting == 0
    (organization,) = summary.organizations
    assert organization.run
    assert organization.run.coverage.users == 150
    assert organization.run.batches == 2
