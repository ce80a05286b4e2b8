"""Every HTTP function there is: the headers that guard its answers, and what it says at a fault."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

import function_app
from pat_core.errors import LedgerUnavailable
from pat_core.local.host import Host
from pat_core.local.memory_queues import MemoryQueues
from pat_core.local.world import ADMINISTRATOR
from pat_core.signals import Event
from pat_core.web.http import HEADERS
from tests.estate import PAGE, House, opened
from tests.fakes import FakeTime
from tests.service import reached

pytestmark = pytest.mark.anyio
ID = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
PARTS = ("chart", "export.csv", "export.jsonl", "forecast", "trail", "trail.jsonl", "none")
FILLED = {
    "{run_id}": ["x"],
    "{organization}": ["contoso-demo", "<script>"],
    "{authorization_id}": [ID],
    "{owner}": ["aad.x"],
    "{action}": ["rotate", "stored", "none"],
    "{part}": [*PARTS],
    "{name}": ["style.css", "copy.js", "icon.svg", "none"],
}
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SECRET = "s3cretS3CRET"
OURS = {name.lower(): value for name, value in HEADERS.items()}


def paths(route: Route) -> Iterator[str]:
    found = [route.path]
    for name, values in FILLED.items():
        found = [path.replace(name, value) for path in found for value in values]
    yield from dict.fromkeys(found)


def calls(host: Host) -> list[tuple[str, str]]:
    """A method and a path for each way into each HTTP function."""
    own = [route for route in host.routes() if not route.path.startswith("/admin/functions")]
    assert len(own) == sum(each.kind == "httpTrigger" for each in host.functions.values())
    asked = [
        (method, path)
        for route in own
        for method in sorted((route.methods or set()) - {"HEAD"})
        for path in paths(route)
    ]
    assert not [path for _, path in asked if "{" in path], "FILLED lacks a part of a route"
    return asked


async def answers(house: House, browser: httpx.AsyncClient) -> AsyncIterator[httpx.Response]:
    # Signing out comes last, and signing in begins a session of its own.
    order = sorted(calls(house.host), key=lambda call: "/sign-" in call[1])
    for method, path in order:
        yield await browser.request(method, path, headers={"origin": "https://evil.example"})
        yield await browser.request(method, path, headers=PAGE)


@pytest.fixture
async def house(tmp_path: Path, time: FakeTime) -> AsyncIterator[House]:
    async with opened(tmp_path, time) as found:
        yield found


class TestHeaders:
    @pytest.mark.parametrize("who", ["nobody", "an owner", "an administrator", "a caller"])
    async def test_no_answer_of_any_function_is_without_its_guards(
        self, house: House, who: str
    ) -> None:
        world, seen = house.estate.simulator.world, set()
        async with house.browser() as browser:
            if who == "a caller":
                bearer = house.estate.entra.token_for(house.someone())
                browser.headers["authorization"] = f"Bearer {bearer}"
            elif who != "nobody":
                is_owner = who == "an owner"
                person = house.someone(2) if is_owner else world.person(ADMINISTRATOR)
                await house.signed_in(browser, person)
            async for answer in answers(house, browser):
                self.check(answer)
                seen.add(answer.status_code)
        assert HTTPStatus.INTERNAL_SERVER_ERROR not in seen
        assert {HTTPStatus.OK, HTTPStatus.SEE_OTHER} <= seen

    def check(self, answer: httpx.Response) -> None:
        where, found = answer.request.url.path, dict(answer.headers)
        policy, caching = found["content-security-policy"], found["cache-control"]
        varied = {"content-security-policy": policy, "cache-control": caching}
        assert {name: found.get(name) for name in OURS} == OURS | varied, where
        is_file = where.startswith("/static/") and answer.status_code == HTTPStatus.OK
        assert caching == ("public, max-age=3600" if is_file else "no-store"), where
        assert policy.startswith("default-src 'none'; "), where
        assert "frame-ancestors 'none'" in policy, where
        if not found.get("content-type", "").startswith("text/html"):
            assert "'self'" not in policy, where
        assert not [name for name in found if name.startswith("access-control-")], where

    async def test_another_origin_is_not_let_in_when_it_asks(self, house: House) -> None:
        asks = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        async with house.browser(**asks) as browser:
            for _, path in calls(house.host):
                answer = await browser.options(path)
                assert answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED
                assert "access-control-allow-origin" not in answer.headers


class TestUnexpected:
    @pytest.fixture
    async def http(
        self, monkeypatch: pytest.MonkeyPatch, time: FakeTime
    ) -> AsyncIterator[tuple[Host, httpx.AsyncClient]]:
        """An app in which whatever a function calls first fails with a secret in its words."""

        def broken(*_: object) -> object:
            raise RuntimeError(f"no answer with Authorization: Basic {SECRET}")

        monkeypatch.setattr(function_app, "services", broken)
        monkeypatch.setattr(function_app, "static", broken)
        host = Host(function_app.app, MemoryQueues(), time.clock)
        async with reached(host) as found:
            yield host, found

    async def test_no_function_says_anything_of_the_inside(
        self, http: tuple[Host, httpx.AsyncClient], caplog: pytest.LogCaptureFixture
    ) -> None:
        host, client = http
        asked = calls(host)
        for method, path in asked:
            for headers in ({}, BROWSER):
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code == 500, path
                assert "Something failed" in answer.text
                for told in (SECRET, "RuntimeError", "Traceback", ".py"):
                    assert told not in answer.text, path
                assert {name: answer.headers.get(name) for name in OURS}.items() >= {
                    name: value for name, value in OURS.items() if name != "content-security-policy"
                }.items()
        lines = [each for each in caplog.records if each.msg == Event.REQUEST_FAILED]
        assert len(lines) == 2 * len(asked)
        functions = {str(vars(each)["function"]) for each in lines}
        assert functions == {
            each.name for each in host.functions.values() if each.kind == "httpTrigger"
        }

    async def test_a_browser_gets_a_page_and_a_caller_a_problem(
        self, http: tuple[Host, httpx.AsyncClient]
    ) -> None:
        _, client = http
        page = await client.get("/tokens", headers=BROWSER)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "ask those who run this service" in page.text
        problem = await client.get("/runs/x")
        assert problem.headers["content-type"].startswith("application/problem+json")
        assert problem.json()["status"] == 500

    async def test_the_log_says_where_it_was_and_repeats_no_words_of_a_library(
        self, http: tuple[Host, httpx.AsyncClient], caplog: pytest.LogCaptureFixture
    ) -> None:
        _, client = http
        await client.get("/health")
        text = caplog.text
        assert "RuntimeError" in text
        assert "function_app.py" in text
        assert SECRET not in text

    async def test_our_own_errors_hold_no_secret_and_are_said_in_the_log(
        self,
        http: tuple[Host, httpx.AsyncClient],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def broken() -> object:
            raise LedgerUnavailable("The ledger is away.")

        monkeypatch.setattr(function_app, "services", broken)
        answer = await http[1].get("/tokens", headers=BROWSER)
        assert answer.status_code == 500
        assert "The ledger is away." not in answer.text
        assert "The ledger is away." in caplog.text
