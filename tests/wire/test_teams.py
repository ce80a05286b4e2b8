"""Cards as a Teams workflow gets them, and as it answers."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft6Validator
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pat_core.bootstrap import Services, http_transport
from pat_core.channels.card import LARGEST, digest_card, summary_card
from pat_core.channels.render import Renderer
from pat_core.channels.teams import TeamsChannel
from pat_core.digest import compose
from pat_core.errors import ChannelBusy, ChannelError, ChannelMisconfigured
from pat_core.local.serving import serving
from pat_core.model import Owner
from pat_core.settings import Settings
from tests.builders import ANA, HOSTILE_NAMES, a_notice
from tests.fakes import NOW, FakeTime
from tests.unit.test_summary import RUN, SEEN, summary

pytestmark = pytest.mark.anyio
SCHEMA = Path(__file__).parents[3] / "shared" / "specs" / "adaptive-card-1.5.json"
DIGEST = compose([a_notice("ci", 5), a_notice("soon", 2), a_notice("now", 0.5)], ANA.address)


def content(message: dict[str, Any]) -> dict[str, Any]:
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    return dict(attachment["content"])


def faults(card: dict[str, Any]) -> list[str]:
    if not SCHEMA.exists():
        pytest.skip("the schema of cards is not beside this checkout (../shared/specs)")
    # Teams' own part is not in the schema.
    plain = {name: value for name, value in card.items() if name != "msteams"}
    validator = Draft6Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    return [fault.message for fault in validator.iter_errors(plain)]


def size(message: dict[str, Any]) -> int:
    return len(json.dumps(message).encode())


class TestDigestCard:
    def test_it_keeps_the_schema(self) -> None:
        card = content(digest_card(DIGEST, Renderer(), NOW))
        assert faults(card) == []
        assert card["version"] == "1.5"

    def test_the_owner_is_mentioned_and_named_for_a_direct_message(self) -> None:
        message = digest_card(DIGEST, Renderer(), NOW)
        card = content(message)
        (entity,) = card["msteams"]["entities"]
        assert entity["mentioned"] == {"id": ANA.address, "name": "Ana Almeida"}
        assert entity["text"] in card["body"][1]["text"]
        assert message["recipient"] == ANA.address

    def test_it_only_opens_a_page(self) -> None:
        card = content(digest_card(DIGEST, Renderer("https://pats.contoso.example"), NOW))
        (action,) = card["actions"]
        assert action["type"] == "Action.OpenUrl"
        assert action["url"].startswith("https://pats.contoso.example/tokens/contoso/")

    def test_many_hostile_tokens_fit_and_the_rest_is_counted(self) -> None:
        notices = [a_notice(f"{name}{number}", 5) for number in range(20) for name in HOSTILE_NAMES]
        message = digest_card(compose(notices, ANA.address), Renderer(), NOW)
        assert size(message) <= LARGEST
        card = content(message)
        assert faults(card) == []
        shown = sum(item["type"] == "Container" for item in card["body"])
        assert shown > 20
        assert card["body"][-1]["text"] == f"+{len(notices) - shown} more"

    @pytest.mark.parametrize("name", [*HOSTILE_NAMES, "Ana_(dev)*", "</at><at>Bo</at>"])
    def test_a_hostile_owner_is_mentioned_as_one(self, name: str) -> None:
        owner = Owner("contoso", "aad.x", name, "x@contoso.example")
        notices = [a_notice("ci", 5, owner=owner)]
        card = content(digest_card(compose(notices, owner.address), Renderer(), NOW))
        (entity,) = card["msteams"]["entities"]
        text = card["body"][1]["text"]
        assert text.startswith(entity["text"])
        assert text.count("<at>") == text.count("</at>") == 1

    def test_signs_of_markdown_are_shown_as_they_are(self) -> None:
        card = content(
            digest_card(compose([a_notice("[x](http://y)")], ANA.address), Renderer(), NOW)
        )
        (token,) = (item for item in card["body"] if item["type"] == "Container")
        assert token["items"][0]["text"] == "\\[x\\]\\(http://y\\)"


class TestSummaryCard:
    def test_it_keeps_the_schema_and_says_the_trouble_first(self) -> None:
        message = summary_card(summary(replace(RUN, done=1, coverage=SEEN)))
        card = content(message)
        assert faults(card) == []
        assert card["body"][0]["text"].startswith("Incomplete: contoso")

    def test_a_hundred_organizations_fit(self) -> None:
        made = summary()
        many = replace(made, organizations=[*made.organizations] * 100)
        message = summary_card(many)
        assert size(message) <= LARGEST
        assert "more organizations" in content(message)["body"][-1]["text"]


@dataclass
class Workflow:
    """A webhook that keeps what it was given."""

    reply: Response = field(default_factory=lambda: Response(status_code=202))
    given: list[Any] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        self.given.append(await request.json())
        return self.reply


@asynccontextmanager
async def channel_to(flow: Workflow, time: FakeTime) -> AsyncIterator[TeamsChannel]:
    app = Starlette(routes=[Route("/hook", flow.take, methods=["POST"])])
    async with serving(app) as address:
        async with httpx.AsyncClient(transport=http_transport(1)) as http:
            webhook = SecretStr(f"{address}/hook?sig=s3cret")
            yield TeamsChannel(http, Renderer(), time.clock, time.sleep, webhook=webhook)


class TestTeamsChannel:
    async def test_the_card_arrives(self, time: FakeTime) -> None:
        flow = Workflow()
        async with channel_to(flow, time) as channel:
            await channel.send(DIGEST, operation_id="x", claimed_at=NOW)
            await channel.report(summary())
        assert flow.given == [digest_card(DIGEST, Renderer(), NOW), summary_card(summary())]

    async def test_no_library_logs_the_address(
        self, time: FakeTime, caplog: pytest.LogCaptureFixture
    ) -> None:
        webhook = SecretStr("https://prod-1.westeurope.logic.azure.com/workflows/x?sig=s3cret")
        async with Services(Settings(teams_webhook_url=webhook), time.clock) as services:
            assert services.teams
            with caplog.at_level(logging.INFO):
                async with channel_to(Workflow(), time) as channel:
                    await channel.send(DIGEST, operation_id="x", claimed_at=NOW)
        assert "s3cret" not in caplog.text

    async def test_at_most_one_a_second(self, time: FakeTime) -> None:
        flow = Workflow()
        start = time.now
        async with channel_to(flow, time) as channel:
            for _ in range(5):
                await channel.send(DIGEST, operation_id="x", claimed_at=NOW)
        assert time.now - start == timedelta(seconds=4)

    @pytest.mark.parametrize(
        ("reply", "kind"),
        [
            (JSONResponse({}, 400), ChannelMisconfigured),
            (JSONResponse({}, 404), ChannelMisconfigured),
            (HTMLResponse("<html>Sign in</html>"), ChannelMisconfigured),
            (JSONResponse({}, 429, {"Retry-After": "9"}), ChannelBusy),
            (JSONResponse({}, 429), ChannelBusy),
            (JSONResponse({}, 500), ChannelError),
            (HTMLResponse("<html>", 502), ChannelError),
        ],
        ids=["400", "404", "a page", "429 with a wait", "429", "500", "502"],
    )
    async def test_each_reply_has_its_meaning_and_none_tells_the_address(
        self, time: FakeTime, reply: Response, kind: type[Exception]
    ) -> None:
        async with channel_to(Workflow(reply), time) as channel:
            with pytest.raises(ChannelError) as caught:
                await channel.send(DIGEST, operation_id="x", claimed_at=NOW)
        assert type(caught.value) is kind
        assert "s3cret" not in str(caught.value)

    async def test_where_nobody_answers_the_address_stays_secret(self, time: FakeTime) -> None:
        async with httpx.AsyncClient(transport=http_transport(1)) as http:
            webhook = SecretStr("http://127.0.0.1:9/hook?sig=s3cret")
            channel = TeamsChannel(http, Renderer(), time.clock, time.sleep, webhook=webhook)
            with pytest.raises(ChannelError) as caught:
                await channel.send(DIGEST, operation_id="x", claimed_at=NOW)
        assert "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None
