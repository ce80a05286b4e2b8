"""The embedded world: a simulated organization that is scanned over real HTTP."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from azure.storage.queue.aio import QueueServiceClient
from pydantic import SecretStr
from starlette.applications import Starlette

from pat_core.bootstrap import Services, clock_from, sharing, system_clock
from pat_core.channels.render import Renderer
from pat_core.delivery import Outlet
from pat_core.errors import SettingsError
from pat_core.local.azurite import DEVELOPMENT, AzuriteQueues, check_azurite
from pat_core.local.estate import Estate, serving_estate
from pat_core.local.host import Host, Source
from pat_core.local.memory_queues import MemoryQueues
from pat_core.local.outbox import OPS_ADDRESS, OutboxChannel
from pat_core.local.outbox_page import outbox_routes
from pat_core.local.policies import Policies
from pat_core.local.serving import serving
from pat_core.local.world_file import load_world
from pat_core.ports import Clock
from pat_core.routes import ROUTED, Route
from pat_core.settings import Settings
from pat_core.survey import Progress, Survey, survey
from pat_core.web.sign_in import CALLBACK, Application

THROTTLE_EVERY: Final = 150
"""A demo of 200 users is asked to wait once or twice, as a real scan is."""
PORT: Final = 7071
"""Where `serve` shows the pages unless it is told otherwise: mails of the demo lead there."""
SERVICE_ACCOUNTS: Final = Route(owner="svc-*", teams=SecretStr("https://teams.invalid/outbox"))
"""Nobody reads their mailboxes, so their team gets a card; here it lands in the outbox too."""
_IN_AZURE: Final = "WEBSITE_INSTANCE_ID"


def refuse_in_azure() -> None:
    """Raise SettingsError where this program runs in Azure: the embedded world is for a desk."""
    if _IN_AZURE in os.environ:
        raise SettingsError(["The embedded world does not run in Azure."])


def outbox_channel(settings: Settings, clock: Clock = system_clock) -> OutboxChannel:
    """The channel that writes mails as files."""
    folder, renderer = settings.local_dir / "outbox", Renderer(settings.public_url)
    return OutboxChannel(folder, renderer, clock, ops_address=settings.ops_address or OPS_ADDRESS)


async def run_demo(
    settings: Settings,
    *,
    users: int,
    now: datetime | None,
    told: Callable[[str, Progress], None],
) -> tuple[Survey, datetime]:
    """What a scan of the embedded organization came to, and the time it was made at.

    `users` of 0 means as many as there were; `now` moves the clock. Raises SettingsError.
    """
    clock = clock_from(now) if now else system_clock
    async with embedded_organization(settings, clock, users, PORT) as (embedded, _):
        channel = outbox_channel(embedded, clock)
        return await survey(embedded, clock, channel, told=told), clock()


async def serve(
    settings: Settings, port: int, *, azurite: bool, ready: Callable[[str, str], None]
) -> None:
    """Serve the functions, the pages and the outbox, and run the timers, until it is stopped.

    `ready` hears its address and that of the organization. Raises SettingsError.
    """
    from function_app import app  # noqa: PLC0415 - who scans a real organization need not wait
    from pat_core.local.key_vault import VaultService, key_vault  # noqa: PLC0415 - as above
    from pat_core.vault import KeyVault  # noqa: PLC0415 - as above

    async with (
        embedded_organization(settings, system_clock, 0, port, azurite=azurite) as (embedded, it),
        key_vault(VaultService(system_clock)) as vault,
        _source(embedded) as source,
    ):
        channel = outbox_channel(embedded)
        outlet = Outlet(channel)
        shared = Services(
            embedded,
            given={"outbox": outlet, ROUTED: outlet},
            application=lambda: entra_application(it),
            entra=it.address,
        )
        shared.queues, shared.ops, shared.vault = source, [channel], KeyVault(vault)
        async with sharing(shared):
            host = Host(app, source, system_clock, schedules_of(settings))
            routes = [*outbox_routes(settings.local_dir / "outbox"), *host.routes()]
            async with serving(Starlette(routes=routes), port=port) as address:
                ready(address, it.organization.base_url)
                if not await shared.watch.has_run():
                    # So that there is something to look at.
                    for name in ("plan_scan", "send_digests"):
                        await host.fire(name)
                        await host.drain()
                await host.tick()


@asynccontextmanager
async def embedded_organization(
    settings: Settings, clock: Clock, users: int, port: int, *, azurite: bool = False
) -> AsyncIterator[tuple[Settings, Estate]]:
    """The settings that lead to an embedded organization, and what is served there.

    The pages are to be served at `port`. Raises SettingsError.
    """
    refuse_in_azure()
    world = load_world(settings.local_dir / "world.json", users=users, now=clock())
    pages = f"http://127.0.0.1:{port}"
    async with serving_estate(
        world,
        clock,
        redirects=lambda where: where == f"{pages}{CALLBACK}",
        changes_path=settings.local_dir / "changes.json",
        throttle_every=THROTTLE_EVERY,
        # So that a refusal can be met: tokens with full access can be made no more.
        policies=Policies(blocks_full_scope=True),
    ) as estate:
        given = settings.storage_connection_string or SecretStr(DEVELOPMENT)
        changed = {
            "organizations": (estate.organization,),
            "routes": settings.routes or (SERVICE_ACCOUNTS,),
            "admin_token": estate.secret,
            "storage_account": "",
            "storage_connection_string": given if azurite else None,
            "public_url": pages,
            "tenant_id": estate.tenant,
            "client_id": estate.client_id,
            "key_vault_url": "https://kv-pat-warden.vault.azure.net",
        }
        yield settings.model_copy(update=changed), estate


def entra_application(estate: Estate) -> Application:
    """MSAL as it signs in at the embedded Entra."""
    import msal  # noqa: PLC0415 - only who signs in waits for it

    from pat_core.web.sign_in import forgetful  # noqa: PLC0415 - as above

    made: Application = msal.ConfidentialClientApplication(
        estate.client_id,
        authority=estate.authority,
        client_credential={"client_assertion": estate.client_assertion.get_secret_value},
        http_client=estate.msal_http,
        exclude_scopes=["offline_access"],
        token_cache=forgetful(msal.TokenCache()),
    )
    return made


@asynccontextmanager
async def _source(settings: Settings) -> AsyncIterator[Source]:
    if settings.storage_connection_string is None:
        yield MemoryQueues()
        return
    text = settings.storage_connection_string.get_secret_value()
    if text == DEVELOPMENT:
        check_azurite()
    async with QueueServiceClient.from_connection_string(text) as service:
        yield AzuriteQueues(service)


def schedules_of(settings: Settings) -> dict[str, str]:
    """What fills the schedules of the timer functions."""
    return {
        "PAT_SCAN_SCHEDULE": settings.scan_schedule,
        "PAT_SEND_SCHEDULE": settings.send_schedule,
        "PAT_SUMMARY_SCHEDULE": settings.summary_schedule,
        "PAT_FINISH_SCHEDULE": settings.finish_schedule,
    }
