"""The clients of Azure DevOps and Teams before a server whose certificate nobody vouches for."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import trustme
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pat_core.azure_devops.client import Client
from pat_core.azure_devops.credential import PatCredential
from pat_core.azure_devops.pace import Pace
from pat_core.bootstrap import Services, http_transport
from pat_core.digest import compose
from pat_core.errors import ChannelError, Unavailable
from pat_core.local.serving import serving
from pat_core.model import Organization, TokenReading
from pat_core.settings import Settings
from tests.builders import ANA, a_notice
from tests.fakes import NOW, FakeTime

pytestmark = pytest.mark.anyio


@dataclass
class Server:
    """A server with a certificate of an authority of its own, and what it was asked."""

    authority: trustme.CA = field(default_factory=trustme.CA)
    named: str = "127.0.0.1"
    heard: list[str] = field(default_factory=list)

    async def answer(self, request: Request) -> JSONResponse:
        self.heard.append(request.headers.get("authorization", request.method))
        return JSONResponse({"value": []})

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(self.named).configure_cert(tls)
        app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST"])])
        async with serving(app, tls=tls) as address:
            yield address

    @asynccontextmanager
    async def trusted(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
        """Served, and this process takes its authority for one of the known."""
        with self.authority.cert_pem.tempfile() as known:
            monkeypatch.setenv("SSL_CERT_FILE", known)
            async with self.served() as address:
                yield address


async def read(address: str, time: FakeTime) -> TokenReading:
    """The tokens of an owner, by the client as `bootstrap` makes it."""
    async with http_transport(4) as transport:
        client = Client(
            transport,
            PatCredential(SecretStr("hush")),
            Pace(clock=time.clock, sleep=time.sleep, most=4, patience=timedelta(minutes=1)),
            clock=time.clock,
            sleep=time.sleep,
            jitter=lambda: 0.5,
        )
        return await client.tokens(Organization("contoso", base_url=address), "aad.ana")


async def post(address: str, time: FakeTime) -> None:
    """A card to a webhook, by the channel as `bootstrap` makes it."""
    settings = Settings(teams_webhook_url=SecretStr(f"{address}/hook"))
    async with Services(settings, time.clock) as shared:
        assert shared.teams
        digest = compose([a_notice("ci", 5)], ANA.address)
        await shared.teams.send(digest, operation_id="1", claimed_at=NOW)


class TestAzureDevOps:
    async def test_an_unknown_certificate_gets_no_credential(self, time: FakeTime) -> None:
        server = Server()
        async with server.served() as address:
            with pytest.raises(Unavailable):
                await read(address, time)
        assert server.heard == []

    async def test_a_known_one_for_another_name_gets_none_either(
        self, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = Server(named="dev.azure.example")
        async with server.trusted(monkeypatch) as address:
            with pytest.raises(Unavailable):
                await read(address, time)
        assert server.heard == []

    async def test_one_that_is_known_is_asked(
        self, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = Server()
        async with server.trusted(monkeypatch) as address:
            assert (await read(address, time)).tokens == ()
        assert server.heard == ["Basic Omh1c2g="]


class TestTeams:
    async def test_an_unknown_certificate_gets_no_card(self, time: FakeTime) -> None:
        server = Server()
        async with server.served() as address:
            with pytest.raises(ChannelError, match="no answer"):
                await post(address, time)
        assert server.heard == []

    async def test_a_known_one_for_another_name_gets_none_either(
        self, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = Server(named="teams.example")
        async with server.trusted(monkeypatch) as address:
            with pytest.raises(ChannelError, match="no answer"):
                await post(address, time)
        assert server.heard == []

    async def test_one_that_is_known_gets_it(
        self, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = Server()
        async with server.trusted(monkeypatch) as address:
            await post(address, time)
        assert server.heard == ["POST"]
