"""The whole service with its pages over the embedded estate, and a browser made of httpx."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx
from starlette.applications import Starlette

from function_app import app
from pat_core.bootstrap import Services, sharing
from pat_core.local.demo import entra_application
from pat_core.local.estate import Estate, serving_estate
from pat_core.local.host import Host
from pat_core.local.key_vault import VaultService, key_vault
from pat_core.local.memory_queues import MemoryQueues
from pat_core.local.policies import Policies
from pat_core.local.serving import serving
from pat_core.local.simulator import Fault
from pat_core.local.world import Person, World
from pat_core.model import Organization, Token
from pat_core.settings import Settings
from pat_core.vault import KeyVault
from pat_core.web.session import COOKIE
from pat_core.web.sign_in import CALLBACK
from tests.azurite import free_ports
from tests.fakes import NOW, FakeTime

PAGE = {"sec-fetch-site": "same-origin"}


@dataclass
class House:
    """What is served: pages at `address`, the estate behind them, and a vault."""

    address: str
    estate: Estate
    shared: Services
    vault: VaultService
    host: Host
    time: FakeTime

    def living(self, person: Person) -> list[Token]:
        """A person's tokens that work for at least another day, the soonest expiry first."""
        now = self.time.now
        found = [
            each
            for each in self.estate.changes.tokens(person)
            if each.is_valid and (each.valid_to - now).days > 1
        ]
        return sorted(found, key=lambda token: token.valid_to)

    def someone(self, number: int = 0) -> Person:
        """A person who owns tokens that work; another one for each number."""
        world = self.estate.simulator.world
        people = (world.person(each) for each in range(world.users))
        return [person for person in people if self.living(person)][number]

    def path(self, token: Token) -> str:
        return f"/tokens/{self.estate.organization.name}/{token.authorization_id}"

    def browser(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.address, headers=headers, timeout=30)

    async def signed_in(self, browser: httpx.AsyncClient, person: Person, path: str = "") -> str:
        """Sign a person in; gives the page where that ends."""
        began = await browser.get(f"/sign-in?next={path}")
        self.keep(browser, began)
        where = f"{began.headers['location']}&login_hint={person.principal_name}"
        async with httpx.AsyncClient() as elsewhere:
            choices = await elsewhere.get(where)
            found = re.findall(r'<a href="([^"]*)">(.*?)</a>', choices.text, re.DOTALL)
            href = next(href for href, text in found if person.principal_name in text)
            picked = await elsewhere.get(urljoin(where, unescape(href)))
        back = await browser.get(picked.headers["location"])
        self.keep(browser, back)
        return str(back.headers.get("location", ""))

    def keep(self, browser: httpx.AsyncClient, response: httpx.Response) -> None:
        """Keep the session's cookie as a browser does, which takes 127.0.0.1 for safe."""
        given = response.headers.get("set-cookie", "").partition(";")[0]
        if given:
            browser.headers["cookie"] = given

    @staticmethod
    def cookie(browser: httpx.AsyncClient) -> str:
        return browser.headers["cookie"].removeprefix(f"{COOKIE}=")


@asynccontextmanager
async def opened(
    folder: Path,
    time: FakeTime,
    *,
    policies: Policies | None = None,
    given: Callable[[Services], None] = lambda _: None,
    fault: Fault = lambda _: None,
    elsewhere: Sequence[str] = (),
) -> AsyncIterator[House]:
    """A house that stands as long as the context.

    `elsewhere` names further organizations, of which only `fault` knows anything.
    """
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    world, service = World(NOW, users=60), VaultService(time.clock)
    async with (
        serving_estate(
            world,
            time.clock,
            redirects=lambda where: where == f"{address}{CALLBACK}",
            policies=policies,
            fault=fault,
        ) as estate,
        key_vault(service) as client,
    ):
        settings = Settings(
            organizations=(
                estate.organization,
                *(Organization(name, f"{estate.address}/{name}") for name in elsewhere),
            ),
            admin_token=estate.secret,
            local_dir=folder,
            public_url=address,
            tenant_id=estate.tenant,
            client_id=estate.client_id,
            key_vault_url="https://kv-contoso.vault.azure.net",
        )
        shared = Services(
            settings,
            time.clock,
            application=lambda: entra_application(estate),
            entra=estate.address,
        )
        shared.vault = KeyVault(client)
        given(shared)
        async with sharing(shared):
            shared.queues = queues = MemoryQueues()
            host = Host(app, queues, time.clock)
            async with serving(Starlette(routes=host.routes()), port=port):
                yield House(address, estate, shared, service, host, time)
