"""A token's page: from a cold process against importing everything, and warm against its calls."""

from __future__ import annotations

import asyncio
import json
import os
import pkgutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import aiohttp
from azure.data.tables.aio import TableServiceClient
from pydantic import SecretStr

import pat_core
from pat_core.azure_devops.lifecycle import connection_data, read_my_token
from pat_core.bootstrap import Services, system_clock
from pat_core.local.estate import serving_estate
from pat_core.local.world import World
from pat_core.rows import OWNERS
from pat_core.settings import load_settings
from pat_core.web.http import WebRequest
from tests.azurite import azurite

NOT_DEPLOYED: Final = (
    "local",
    "__main__",
    "arguments",
    "cli",
    "console",
    "ops_",
    "owner_c",
    "report_cli",
    "survey",
)
SDKS: Final = (
    "azure.communication.email.aio",
    "azure.data.tables.aio",
    "azure.identity.aio",
    "azure.keyvault.secrets.aio",
    "azure.storage.queue.aio",
    "httpx",
    "msal",
)
ASK: Final = """\
import asyncio, os, sys
# The deployed package lacks these; httpx would load them for its own command line.
sys.modules.update(dict.fromkeys(("click", "rich")))
import function_app
from pat_core.bootstrap import services
from pat_core.web.http import WebRequest

async def answer():
    organization, token = os.environ["BENCH_TOKEN"].split("/")
    headers = HEADERS
    request = WebRequest("GET", f"/tokens/{organization}/{token}", headers)
    async with services() as shared:
        answer = await shared.front.token(request, organization, token)
    assert answer.status == STATUS, answer

asyncio.run(answer())
"""
FOLLOWED: Final = ASK.replace("HEADERS", "{}").replace("STATUS", "303")
SIGNED_IN: Final = ASK.replace(
    "HEADERS", '{"authorization": "Bearer " + os.environ["BENCH_BEARER"]}'
).replace("STATUS", "200")


def everything() -> str:
    """A script that imports what is deployed, and what that imports when it is needed."""
    found = (each.name for each in pkgutil.walk_packages(pat_core.__path__, "pat_core."))
    ours = (name for name in found if not name.split(".")[1].startswith(NOT_DEPLOYED))
    hidden = ASK[: ASK.index("import function_app")]
    return f"{hidden}import function_app, {', '.join([*ours, *SDKS])}"


async def _answer(shared: Services) -> None:
    # The function hands over exactly this; a caller's bearer takes the place of the session, so
    # that the sign-in before it is not measured.
    organization, token = os.environ["BENCH_TOKEN"].split("/")
    path = f"/tokens/{organization}/{token}"
    headers = {"authorization": f"Bearer {os.environ['BENCH_BEARER']}"}
    answer = await shared.front.token(WebRequest("GET", path, headers), organization, token)
    if answer.status != 200:
        raise AssertionError(answer)


async def serve_estate() -> None:
    """Serve an organization until the input ends; print what leads to one token of it."""
    world = World(system_clock(), users=60)
    async with serving_estate(world, system_clock, redirects=lambda _: False) as estate:
        people = (world.person(number) for number in range(world.users))
        person = next(each for each in people if estate.changes.tokens(each))
        token = estate.changes.tokens(person)[0]
        place = {"name": world.organization, "base_url": estate.organization.base_url}
        found = {
            "PAT_ORGANIZATIONS": json.dumps([place]),
            "BENCH_TOKEN": f"{world.organization}/{token.authorization_id}",
            "BENCH_BEARER": estate.entra.token_for(person),
        }
        print(json.dumps(found), flush=True)
        await asyncio.to_thread(sys.stdin.read)


@contextmanager
def _estate() -> Iterator[dict[str, str]]:
    script = "import asyncio\nfrom tests.bench.pages import serve_estate\n"
    command = [sys.executable, "-c", script + "asyncio.run(serve_estate())"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        if server.stdout is None:
            raise AssertionError(command)
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.terminate()


def _seconds(script: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], check=True)
    return time.perf_counter() - start


def _median(samples: list[float]) -> float:
    return sorted(samples)[len(samples) // 2]


async def _warm(rounds: int) -> tuple[float, float, float]:
    """The median seconds of a page, of its calls alone, and of the CPU that a page costs here."""
    walls, alone, cpus = [], [], []
    async with Services(load_settings()) as shared, aiohttp.ClientSession() as session:
        bare = await _bare_calls(shared, session)
        for _ in range(rounds + 20):
            wall, cpu = time.perf_counter(), time.process_time()
            await _answer(shared)
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
            wall = time.perf_counter()
            await bare()
            alone.append(time.perf_counter() - wall)
    return _median(walls[20:]), _median(alone[20:]), _median(cpus[20:])


async def _bare_calls(
    shared: Services, session: aiohttp.ClientSession
) -> Callable[[], Awaitable[None]]:
    """What asks the same as a page, with the least that can ask it."""
    place, bearer = shared.settings.organizations[0], os.environ["BENCH_BEARER"]
    token = os.environ["BENCH_TOKEN"].partition("/")[2]
    owner = await shared.hands(SecretStr(bearer)).caller(place)
    urls = [connection_data(place).url, read_my_token(place, token).url]
    service = shared._connected(TableServiceClient, "table")
    table = await service.create_table_if_not_exists(OWNERS)
    given = {"partition": owner.partition}

    async def get(url: str) -> None:
        async with session.get(url, headers={"Authorization": f"Bearer {bearer}"}) as reply:
            await reply.read()

    async def ask() -> None:
        await asyncio.gather(*(get(url) for url in urls))
        async for _ in table.query_entities("PartitionKey eq @partition", parameters=given):
            pass

    return ask


def pages(rounds: int) -> Iterator[str]:
    """Both tables."""
    with (
        TemporaryDirectory() as folder,
        azurite(Path(folder)) as storage,
        _estate() as found,
    ):
        os.environ |= found | {"PAT_STORAGE_CONNECTION_STRING": storage, "PYTHONWARNINGS": "ignore"}
        yield from _cold(rounds)
        yield ""
        page, calls, cpu = asyncio.run(_warm(rounds * 30))
        yield "| one page, warm | median |"
        yield "|---|--:|"
        yield f"| the whole answer | {page * 1000:.1f} ms |"
        yield f"| the same calls alone, by bare aiohttp and the SDK | {calls * 1000:.1f} ms |"
        yield f"| our own share, the difference | {(page - calls) * 1000:.1f} ms |"
        yield f"| CPU of this process for a page, clients and SDK in it | {cpu * 1000:.1f} ms |"


def _cold(rounds: int) -> Iterator[str]:
    ways = {
        "a mail's link is answered: it leads to the sign-in": FOLLOWED,
        "a token's page is answered, signed in": SIGNED_IN,
        "everything is imported": everything(),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, script in ways.items():
            taken[name].append(_seconds(script))
    # The first of each only warms the file cache.
    medians = {name: _median(samples[1:]) for name, samples in taken.items()}
    whole = medians["everything is imported"]
    yield "| cold process until | time | to everything |"
    yield "|---|--:|--:|"
    for name, seconds in medians.items():
        yield f"| {name} | {seconds * 1000:,.0f} ms | {seconds / whole:.2f} |"
