"""Owners who rotate all at once, each of them twice: tokens minted, and our share of the wait."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import aiohttp

from pat_core.bootstrap import Services, system_clock
from pat_core.local.estate import serving_estate
from pat_core.local.world import World
from pat_core.model import Organization
from pat_core.settings import Settings
from pat_core.web.http import WebRequest

PARTS: Final = (0.5, 0.99)
VERSION: Final = "api-version=7.1-preview.1"
MOST: Final = 50
WISH: Final = b'{"lifetime_days": 30, "to": "page"}'


class Owned(NamedTuple):
    """A token that works, and what signs its owner in."""

    bearer: str
    authorization_id: str


class Came(NamedTuple):
    """What came of all owners at once: seconds of each, and how many tokens were minted."""

    ours: list[float]
    bare: list[float]
    minted: list[int]


def rotating(owners: int, rounds: int) -> Iterator[str]:
    """How long owners wait, and how long the same calls take by themselves."""
    samples = Came([], [], [])
    for number in range(rounds + 1):
        with _estate(owners) as (address, name, owned), TemporaryDirectory() as folder:
            place = Organization(name, f"{address}/{name}")
            came = asyncio.run(_all_at_once(place, Path(folder), owned))
        # The first warms what every process shares.
        if number:
            samples.ours.extend(came.ours)
            samples.bare.extend(came.bare)
            samples.minted.extend(came.minted)
    twice = sum(minted != 1 for minted in samples.minted)
    yield f"{len(samples.minted):,} owners rotated; {twice} got no new token or more than one."
    yield ""
    yield f"| {owners} owners at once | p50 | p99 |"
    yield "|---|--:|--:|"
    ours, bare = ([_part(each, part) for part in PARTS] for each in samples[:2])
    yield _row("both answers to an owner", ours)
    yield _row("the same calls alone, by bare aiohttp", bare)
    yield _row("our own share, the difference", [a - b for a, b in zip(ours, bare, strict=True)])


def _row(words: str, seconds: Sequence[float]) -> str:
    return f"| {words} | {' | '.join(f'{each * 1000:,.0f} ms' for each in seconds)} |"


async def _all_at_once(place: Organization, folder: Path, owned: Sequence[Owned]) -> Came:
    settings = Settings(organizations=(place,), local_dir=folder, public_url="https://pats.example")
    async with Services(settings) as shared, aiohttp.ClientSession() as session:
        bare = await asyncio.gather(*(_timed(_calls(session, place, each)) for each in owned))
        before = await asyncio.gather(*(_count(session, place, each) for each in owned))
        ours = await asyncio.gather(*(_timed(_twice(shared, place, each)) for each in owned))
        after = await asyncio.gather(*(_count(session, place, each) for each in owned))
    return Came(ours, bare, [late - early for early, late in zip(before, after, strict=True)])


async def _twice(shared: Services, place: Organization, owned: Owned) -> None:
    """What the function answers to a click and to the one after it, which makes no second token."""
    path = f"/tokens/{place.name}/{owned.authorization_id}/rotate"
    headers = {"authorization": f"Bearer {owned.bearer}", "content-type": "application/json"}
    request = WebRequest("POST", path, headers, body=WISH)
    both = (
        shared.front.act(request, place.name, owned.authorization_id, "rotate") for _ in range(2)
    )
    answers = await asyncio.gather(*both)
    secrets = [str(each.body).count('"secret": "') for each in answers]
    if {each.status for each in answers} != {200} or sum(secrets) != 1:
        raise AssertionError(answers)


async def _calls(session: aiohttp.ClientSession, place: Organization, owned: Owned) -> None:
    """What two clicks ask of Azure DevOps, with the least that can ask it."""
    bearer = {"Authorization": f"Bearer {owned.bearer}"}
    base = f"{place.base_url}/_apis"
    asked = f"{base}/tokens/pats?authorizationId={owned.authorization_id}&{VERSION}"
    who = f"{base}/connectionData?{VERSION}"
    for urls in ([who, who], [who, asked, who, asked]):
        await asyncio.gather(*(_json(session.get(url, headers=bearer)) for url in urls))
    end = system_clock() + timedelta(days=30)
    wish = {"displayName": "bench", "scope": "vso.code", "validTo": end.isoformat()}
    made = await _json(
        session.post(
            f"{base}/tokens/pats?{VERSION}", headers=bearer, json=wish | {"allOrgs": False}
        )
    )
    auth = aiohttp.BasicAuth("", made["patToken"]["token"])
    await _json(session.get(who, auth=auth))


async def _count(session: aiohttp.ClientSession, place: Organization, owned: Owned) -> int:
    """How many tokens an owner has."""
    url = f"{place.base_url}/_apis/tokens/pats?{VERSION}&displayFilterOption=all"
    found = await _json(session.get(url, headers={"Authorization": f"Bearer {owned.bearer}"}))
    return len(found["patTokens"])


async def _json(reply: Any) -> Any:  # noqa: ANN401 - as aiohttp has it
    async with reply as answered:
        answered.raise_for_status()
        return await answered.json()


async def _timed(work: Awaitable[None]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def _part(samples: list[float], part: float) -> float:
    return sorted(samples)[int(part * (len(samples) - 1))]


async def serve_estate(owners: int) -> None:
    """Serve an organization until the input ends; print what leads to a token of each owner."""
    world = World(system_clock(), users=owners * 8)
    async with serving_estate(world, system_clock, redirects=lambda _: False) as estate:
        owned = list[Owned]()
        later = system_clock() + timedelta(days=1)
        for person in map(world.person, range(world.users)):
            tokens = estate.changes.tokens(person)
            living = [t for t in tokens if t.is_valid and t.valid_to > later]
            # So that all of an owner's tokens are listed on one page, before and after.
            if living and len(tokens) < MOST and len(owned) < owners:
                owned.append(Owned(estate.entra.token_for(person), living[0].authorization_id))
        print(json.dumps([estate.address, world.organization, owned]), flush=True)
        await asyncio.to_thread(sys.stdin.read)


@contextmanager
def _estate(owners: int) -> Iterator[tuple[str, str, list[Owned]]]:
    script = "import asyncio\nfrom tests.bench.rotating import serve_estate\n"
    command = [sys.executable, "-c", f"{script}asyncio.run(serve_estate({owners}))"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        if server.stdout is None:
            raise AssertionError(command)
        try:
            address, name, owned = json.loads(server.stdout.readline())
            yield address, name, [Owned(*each) for each in owned]
        finally:
            server.terminate()
