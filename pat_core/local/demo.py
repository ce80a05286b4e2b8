"""The embedded world: a simulated organization that is scanned over real HTTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from secrets import token_urlsafe
from typing import Final

from pydantic import SecretStr
from starlette.applications import Starlette

from pat_core.bootstrap import clock_from, system_clock
from pat_core.channels.render import Renderer
from pat_core.errors import SettingsError
from pat_core.local.outbox import OutboxChannel
from pat_core.local.outbox_page import outbox_routes
from pat_core.local.serving import serving
from pat_core.local.simulator import Simulator, create_app
from pat_core.local.world_file import load_world
from pat_core.model import Organization
from pat_core.settings import Settings
from pat_core.survey import Progress, Survey, survey

THROTTLE_EVERY: Final = 150
"""A demo of 200 users is asked to wait once or twice, as a real scan is."""
_IN_AZURE: Final = "WEBSITE_INSTANCE_ID"


def refuse_in_azure() -> None:
    """Raise SettingsError where this program runs in Azure: the embedded world is for a desk."""
    if _IN_AZURE in os.environ:
        raise SettingsError(["The embedded world does not run in Azure."])


def outbox_channel(settings: Settings) -> OutboxChannel:
    """The channel that writes mails as files."""
    return OutboxChannel(settings.local_dir / "outbox", Renderer(settings.public_url), system_clock)


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
    refuse_in_azure()
    clock = clock_from(now) if now else system_clock
    world = load_world(settings.local_dir / "world.json", users=users, now=clock())
    secret = SecretStr(token_urlsafe())
    simulator = Simulator(world, secret=secret.get_secret_value(), throttle_every=THROTTLE_EVERY)
    async with serving(create_app(simulator)) as address:
        organization = Organization(world.organization, f"{address}/{world.organization}")
        embedded = settings.model_copy(
            update={"organizations": (organization,), "admin_token": secret}
        )
        channel = OutboxChannel(settings.local_dir / "outbox", Renderer(settings.public_url), clock)
        return await survey(embedded, clock, channel, told=told), clock()


async def serve_outbox(settings: Settings, port: int, ready: Callable[[str], None]) -> None:
    """Serve the outbox's pages until the program is stopped; `ready` hears the address."""
    refuse_in_azure()
    app = Starlette(routes=outbox_routes(settings.local_dir / "outbox"))
    async with serving(app, port=port) as address:
        ready(f"{address}/outbox")
        await asyncio.Event().wait()
