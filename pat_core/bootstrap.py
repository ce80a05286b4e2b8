"""The only place that chooses adapters, and the only one that knows the time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from urllib.request import getproxies

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from pat_core.azure_devops.client import Client
from pat_core.azure_devops.credential import Credential, EntraCredential, PatCredential
from pat_core.azure_devops.pace import Pace
from pat_core.ports import Clock
from pat_core.settings import Settings


def system_clock() -> datetime:
    """The time now, aware UTC."""
    return datetime.now(UTC)


def clock_from(start: datetime) -> Clock:
    """A clock that shows `start` now and goes on from there: for the embedded world only."""
    ahead = start - system_clock()
    return lambda: system_clock() + ahead


@asynccontextmanager
async def azure_devops(settings: Settings, clock: Clock) -> AsyncIterator[Client]:
    """A client for Azure DevOps, signed in as the settings say, closed at the end."""
    async with AsyncExitStack() as stack:
        yield Client(
            await stack.enter_async_context(http_transport(settings.max_concurrency)),
            await _credential(settings, clock, stack),
            Pace(clock=clock, sleep=asyncio.sleep, most=settings.max_concurrency),
            clock=clock,
            sleep=asyncio.sleep,
            jitter=random.random,
            null_means_global=settings.null_targets_are_global,
        )


def http_transport(connections: int) -> httpx.AsyncBaseTransport:
    """An httpx transport over aiohttp: httpx' own slows down above 16 connections."""

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=transport.ssl_context),
            # A cookie of one organization has no business with the next.
            cookie_jar=aiohttp.DummyCookieJar(),
            # To look for a proxy costs more than the rest of a call, so only where there is one.
            trust_env=bool(getproxies()),
        )

    transport = AiohttpTransport(client=session)
    return transport


async def _credential(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Credential:
    if settings.admin_token:
        return PatCredential(settings.admin_token)
    # Not imported where a PAT is used: it takes as long as everything else together.
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - said above

    source = await stack.enter_async_context(DefaultAzureCredential())
    return EntraCredential(source, clock)
