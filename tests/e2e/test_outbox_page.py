from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from pat_core.channels.render import Renderer
from pat_core.digest import compose
from pat_core.local.outbox import OutboxChannel, stored_names
from pat_core.local.outbox_page import MOST_LISTED, outbox_routes
from pat_core.local.serving import serving
from pat_core.routes import webhook_recipient
from tests.builders import ANA, a_notice
from tests.fakes import NOW, FakeTime

pytestmark = pytest.mark.anyio


async def get(folder: Path, path: str) -> httpx.Response:
    async with serving(Starlette(routes=outbox_routes(folder))) as address:
        async with httpx.AsyncClient(base_url=address) as http:
            return await http.get(path)


async def fill(folder: Path, time: FakeTime, *names: str) -> list[str]:
    channel = OutboxChannel(folder, Renderer(), time.clock)
    for number, name in enumerate(names):
        digest = compose([a_notice(name)], ANA.address)
        at = NOW.replace(microsecond=number)
        await channel.send(digest, operation_id=str(number), claimed_at=at)
    return stored_names(folder)


class TestOutbox:
    async def test_an_empty_one_says_how_to_fill_it(self, tmp_path: Path) -> None:
        assert "make demo" in (await get(tmp_path / "none", "/outbox")).text

    async def test_it_lists_the_newest_first(self, tmp_path: Path, time: FakeTime) -> None:
        await fill(tmp_path, time, "older", "newer")
        page = (await get(tmp_path, "/outbox")).text
        assert page.index("newer") < page.index("older")
        assert "ana@contoso.example" in page

    async def test_of_very_many_it_shows_the_newest(self, tmp_path: Path, time: FakeTime) -> None:
        await fill(tmp_path, time, *(f"token {number}" for number in range(MOST_LISTED + 5)))
        page = (await get(tmp_path, "/outbox")).text
        assert "205 messages" in page
        assert page.count("<li>") == MOST_LISTED

    async def test_a_hostile_name_is_only_text(self, tmp_path: Path, time: FakeTime) -> None:
        (name,) = await fill(tmp_path, time, "<script>alert(1)</script>")
        for path in ("/outbox", f"/outbox/{name}"):
            assert "<script>" not in (await get(tmp_path, path)).text


class TestMail:
    async def test_it_is_shown_as_html_text_and_source(
        self, tmp_path: Path, time: FakeTime
    ) -> None:
        (name,) = await fill(tmp_path, time, "ci")
        page = (await get(tmp_path, f"/outbox/{name}")).text
        assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
        html = await get(tmp_path, f"/outbox/{name}/html")
        assert html.text.startswith("<!DOCTYPE html>")
        assert html.headers["content-security-policy"].startswith("sandbox ")
        assert (await get(tmp_path, f"/outbox/{name}/text")).text.startswith('"ci" expires')
        source = await get(tmp_path, f"/outbox/{name}/source")
        assert "Message-ID: <0@pat-warden.localhost>" in source.text
        assert source.headers["content-type"].startswith("text/plain")

    @pytest.mark.parametrize(
        "path", ["x", "..%2f..%2fetc%2fpasswd", "x/html", "..%2fsecret/source", "x/y/z"]
    )
    async def test_any_other_path_is_not_found(
        self, tmp_path: Path, time: FakeTime, path: str
    ) -> None:
        (tmp_path / "secret.eml").write_text("secret")
        await fill(tmp_path / "outbox", time, "ci")
        assert (await get(tmp_path / "outbox", f"/outbox/{path}")).status_code == 404

    async def test_an_unknown_part_is_not_found(self, tmp_path: Path, time: FakeTime) -> None:
        (name,) = await fill(tmp_path, time, "ci")
        assert (await get(tmp_path, f"/outbox/{name}/secret")).status_code == 404


class TestCard:
    async def test_it_is_shown_and_its_source_too(self, tmp_path: Path, time: FakeTime) -> None:
        recipient = webhook_recipient(SecretStr("https://contoso.logic.azure.com/s3cret"))
        digest = compose([a_notice("<script>alert(1)</script>")], recipient)
        channel = OutboxChannel(tmp_path, Renderer(), time.clock)
        await channel.send(digest, operation_id="op", claimed_at=NOW)
        (name,) = stored_names(tmp_path)
        page = (await get(tmp_path, f"/outbox/{name}")).text
        assert "card to a Teams channel" in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "<script>" not in page
        assert (await get(tmp_path, f"/outbox/{name}/source")).json()["type"] == "message"
        assert (await get(tmp_path, f"/outbox/{name}/html")).status_code == 404
