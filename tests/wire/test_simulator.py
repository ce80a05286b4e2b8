"""The real client against the simulator, over loopback HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr

from pat_core.azure_devops.client import Client
from pat_core.bootstrap import Services
from pat_core.errors import NotPermitted, NotSignedIn, OrganizationNotFound, OwnerGone
from pat_core.local.serving import serving
from pat_core.local.simulator import Simulator, create_app
from pat_core.local.world import Trait, World, people
from pat_core.model import Organization
from pat_core.settings import Settings
from tests.fakes import NOW, FakeTime

pytestmark = pytest.mark.anyio
SECRET = "hush"


@asynccontextmanager
async def served(
    world: World, *, throttle_every: int = 0
) -> AsyncIterator[tuple[Simulator, Organization]]:
    simulator = Simulator(world, secret=SECRET, throttle_every=throttle_every)
    async with serving(create_app(simulator)) as address:
        yield simulator, Organization(world.organization, f"{address}/{world.organization}")


@asynccontextmanager
async def signed_in(time: FakeTime, password: str = SECRET) -> AsyncIterator[Client]:
    async with Services(Settings(admin_token=SecretStr(password)), time.clock) as services:
        yield services.azure_devops


def with_trait(world: World, trait: Trait) -> str:
    return next(each.descriptor for each in people(world, 0, 200) if each.trait is trait)


class TestUsers:
    async def test_everyone_is_listed_over_all_pages(self, time: FakeTime) -> None:
        world = World(NOW, users=1234)
        async with served(world) as (_, there), signed_in(time) as client:
            pages = [page async for page in client.user_pages(there)]
        assert [len(page.owners) for page in pages] == [500, 500, 234]
        found = [owner.subject_descriptor for page in pages for owner in page.owners]
        assert found == [person.descriptor for person in people(world, 0, 1234)]

    async def test_addresses_come_from_wherever_there_is_one(self, time: FakeTime) -> None:
        world = World(NOW)
        async with served(world) as (_, there), signed_in(time) as client:
            (page,) = [page async for page in client.user_pages(there)]
        has = {owner.subject_descriptor: bool(owner.address) for owner in page.owners}
        assert has[with_trait(world, Trait.PRINCIPAL_ONLY)]
        assert not has[with_trait(world, Trait.NO_ADDRESS)]


class TestTokens:
    async def test_every_token_comes_as_it_is_over_all_pages_and_no_ssh_key(
        self, time: FakeTime
    ) -> None:
        world = World(NOW)
        async with served(world) as (_, there), signed_in(time) as client:
            for person in people(world, 0, 60):
                if person.trait is Trait.LEFT:
                    continue
                reading = await client.tokens(there, person.descriptor)
                # This API does not tell which are global.
                plain = [replace(each, is_global=False) for each in world.tokens(person)]
                assert list(reading.tokens) == plain

    async def test_who_left_is_gone(self, time: FakeTime) -> None:
        world = World(NOW)
        async with served(world) as (_, there), signed_in(time) as client:
            with pytest.raises(OwnerGone):
                await client.tokens(there, with_trait(world, Trait.LEFT))

    async def test_who_is_disabled_is_not_active(self, time: FakeTime) -> None:
        world = World(NOW)
        async with served(world) as (_, there), signed_in(time) as client:
            assert not await client.is_active(there, with_trait(world, Trait.DISABLED))
            assert await client.is_active(there, world.person(0).descriptor)


class TestRefusals:
    async def test_a_wrong_secret_is_not_signed_in(self, time: FakeTime) -> None:
        async with served(World(NOW)) as (_, there):
            async with signed_in(time, "wrong") as client:
                with pytest.raises(NotSignedIn, match="PAT_ADMIN_TOKEN is wrong"):
                    await client.tokens(there, "aad.x")

    async def test_without_suppress_one_is_sent_to_sign_in(self) -> None:
        async with served(World(NOW)) as (_, there), httpx.AsyncClient() as http:
            reply = await http.get(f"{there.base_url}/_apis/graph/users?api-version=7.1")
        assert (reply.status_code, reply.headers["location"]) == (302, "/_signin")

    async def test_another_organization_is_not_there(self, time: FakeTime) -> None:
        async with served(World(NOW)) as (_, there):
            other = Organization("fabrikam", there.base_url.replace("contoso-demo", "fabrikam"))
            async with signed_in(time) as client:
                with pytest.raises(OrganizationNotFound):
                    [page async for page in client.user_pages(other)]

    async def test_the_lifecycle_api_refuses_a_pat(self, time: FakeTime) -> None:
        async with served(World(NOW)) as (_, there):
            async with signed_in(time) as client:
                with pytest.raises(NotPermitted, match="needs a Microsoft Entra token"):
                    await client.my_tokens(there)

    @pytest.mark.parametrize(
        "query", ["", "?api-version=7.1&continuationToken=500 /=="], ids=["no version", "unquoted"]
    )
    async def test_a_wrong_request_is_a_400(self, query: str) -> None:
        async with served(World(NOW)) as (_, there), httpx.AsyncClient(auth=("", SECRET)) as http:
            reply = await http.get(f"{there.base_url}/_apis/graph/users{query}")
        assert reply.status_code == 400


class TestThrottling:
    async def test_now_and_then_a_200_asks_for_a_pause(self) -> None:
        async with served(World(NOW), throttle_every=3) as (_, there):
            async with httpx.AsyncClient(auth=("", SECRET)) as http:
                url = f"{there.base_url}/_apis/graph/users?api-version=7.1"
                replies = [await http.get(url) for _ in range(6)]
        assert {reply.status_code for reply in replies} == {200}
        asked = [reply.headers.get("retry-after") for reply in replies]
        assert asked == [None, None, "1", None, None, "1"]


class TestTime:
    async def test_a_token_keeps_its_end_when_the_clock_moves_on(self, time: FakeTime) -> None:
        world = World(NOW)
        person = world.person(3)
        async with served(world) as (_, there), signed_in(time) as client:
            before = await client.tokens(there, person.descriptor)
            time.now += timedelta(days=30)
            assert await client.tokens(there, person.descriptor) == before
