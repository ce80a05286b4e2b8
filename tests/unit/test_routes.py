"""Copies for others than the owner, over the whole service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from pat_core.channels.card import digest_card
from pat_core.channels.render import Renderer
from pat_core.delivery import Outlet, Sender
from pat_core.errors import AddressRefused, ChannelMisconfigured
from pat_core.ledger.sqlite import SqliteStore
from pat_core.model import Digest
from pat_core.outbox import BY_URGENCY
from pat_core.routes import Route, Routes, webhook_recipient
from pat_core.rows import OUTBOX
from tests.builders import ANA, BO, MUTE, a_notice, a_token
from tests.fakes import FakeChannel, FakeTime
from tests.service import Service

pytestmark = pytest.mark.anyio
TEAM, LEAD = "team@contoso.example", "lead@contoso.example"


@pytest.fixture
def service(tmp_path: Path, time: FakeTime) -> Iterator[Service]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    yield Service(store, time)
    store.close()


class TestCopies:
    @pytest.mark.parametrize(
        ("route", "copied"),
        [
            (Route(to=(TEAM,)), True),
            (Route(owner="ANA@*", to=(TEAM,)), True),
            (Route(owner="Ana Alm?ida", to=(TEAM,)), True),
            (Route(owner="aad.ana", to=(TEAM,)), True),
            (Route(owner="bo*", to=(TEAM,)), False),
            (Route(token="ci*", to=(TEAM,)), True),
            (Route(token="cd*", to=(TEAM,)), False),
            (Route(owner="ana*", token="cd*", to=(TEAM,)), False),
            (Route(to=(ANA.address,)), False),
        ],
    )
    def test_patterns_say_who(self, route: Route, copied: bool) -> None:
        assert bool(Routes([route]).copies(a_notice("ci-build", 5))) is copied

    @pytest.mark.parametrize(("days", "told"), [(29, ()), (6, ()), (2, (LEAD,)), (-1, (LEAD,))])
    def test_from_three_days_on_it_is_escalated(self, days: float, told: tuple[str, ...]) -> None:
        assert Routes([Route(escalate_to=(LEAD,))]).copies(a_notice("ci", days)) == told

    def test_each_address_is_named_once(self) -> None:
        routes = Routes([Route(to=(TEAM, LEAD)), Route(to=(TEAM,), escalate_to=(TEAM,))])
        assert routes.copies(a_notice("ci", 1)) == (TEAM, LEAD)


WEBHOOK = SecretStr("https://contoso.logic.azure.com/hook?sig=s3cret")


class TestWebhook:
    @pytest.fixture
    def cards(self, time: FakeTime) -> FakeChannel:
        return FakeChannel(time.clock)

    async def send(self, service: Service, **outlets: FakeChannel) -> None:
        given = {name: Outlet(channel) for name, channel in outlets.items()}
        await Sender(service.store, given, service.time.clock, 100).send_due()

    async def test_a_card_for_all_goes_to_the_routes_own_webhook(
        self, service: Service, cards: FakeChannel
    ) -> None:
        service.routes = [Route(owner="ana*", teams=WEBHOOK)]
        service.owns(ANA, a_token("ci", 5))
        service.owns(BO, a_token("cd", 5))
        await service.scan()
        for _ in range(2):
            await self.send(service, email=service.channel, routed=cards)
        assert cards.told() == [(webhook_recipient(WEBHOOK), "ci", 7)]
        assert {who for who, _, _ in service.channel.told()} == {ANA.address, BO.address}
        (digest,) = cards.sent.values()
        message = json.dumps(digest_card(digest, Renderer(), service.time.now))
        assert "tokens of others" in message
        assert "Ana Almeida" in message
        assert "<at>" not in message

    async def test_its_address_is_nowhere_in_the_ledger(
        self, service: Service, cards: FakeChannel, tmp_path: Path
    ) -> None:
        service.routes = [Route(teams=WEBHOOK)]
        service.owns(ANA, a_token("ci", 5))
        await service.scan()
        await self.send(service, email=service.channel, routed=cards)
        assert isinstance(service.store, SqliteStore)
        service.store.close()
        assert b"s3cret" not in (tmp_path / "ledger.sqlite").read_bytes()

    async def test_a_webhook_that_is_gone_stops_no_other(
        self, service: Service, cards: FakeChannel
    ) -> None:
        other = SecretStr("https://contoso.logic.azure.com/other?sig=s3cret")
        service.routes = [Route(owner="ana*", teams=WEBHOOK), Route(owner="bo*", teams=other)]
        # The one that is gone comes first.
        service.owns(ANA, a_token("ci", 2))
        service.owns(BO, a_token("cd", 5))
        await service.scan()

        @dataclass
        class OneIsGone(FakeChannel):
            async def send(
                self, digest: Digest, *, operation_id: str, claimed_at: datetime
            ) -> None:
                if digest.recipient == webhook_recipient(WEBHOOK):
                    raise ChannelMisconfigured("Teams answered 404.")
                await super().send(digest, operation_id=operation_id, claimed_at=claimed_at)

        gone = OneIsGone(service.time.clock)
        await self.send(service, email=service.channel, routed=gone)
        assert gone.told() == [(webhook_recipient(other), "cd", 7)]
        service.time.now += timedelta(minutes=5)
        await self.send(service, email=service.channel, routed=cards)
        assert cards.told() == [(webhook_recipient(WEBHOOK), "ci", 3)]

    @pytest.mark.parametrize("is_set_up", [True, False])
    async def test_where_it_fails_for_good_no_other_channel_gets_it_and_ops_know(
        self, service: Service, cards: FakeChannel, is_set_up: bool
    ) -> None:
        service.routes = [Route(teams=WEBHOOK)]
        service.owns(ANA, a_token("ci", 5))
        await service.scan()
        cards.fails = AddressRefused("No such flow.")
        outlets = {"email": service.channel, "teams": FakeChannel(service.time.clock)}
        await self.send(service, **outlets, **({"routed": cards} if is_set_up else {}))
        assert [who for who, _, _ in service.channel.told()] == [ANA.address]
        assert outlets["teams"].told() == []
        (said,) = (await service.summary()).unsent
        assert said.endswith(
            "No such flow." if is_set_up else "No route names this webhook any more."
        )


class TestService:
    async def test_owner_and_team_are_told_once_each(self, service: Service) -> None:
        service.routes = [Route(owner="ana*", to=(TEAM,))]
        service.owns(ANA, a_token("ci", 5))
        service.owns(BO, a_token("cd", 5))
        told = {(ANA.address, "ci", 7), (TEAM, "ci", 7), (BO.address, "cd", 7)}
        assert set(await service.run()) == told
        assert await service.run() == []
        assert await service.keys(OUTBOX, BY_URGENCY) == []

    async def test_a_team_gets_one_mail_for_all_its_owners(self, service: Service) -> None:
        service.routes = [Route(to=(TEAM,))]
        service.owns(ANA, a_token("ci", 5))
        service.owns(BO, a_token("cd", 2))
        await service.run()
        (digest,) = (each for each in service.channel.sent.values() if each.recipient == TEAM)
        assert [notice.token.display_name for notice in digest.notices] == ["cd", "ci"]
        mail = Renderer().render(digest, service.time.now)
        for text in (mail.html, mail.text):
            assert "Ana Almeida" in text
            assert "Bo Bakker" in text
            assert "Hello," in text
            assert "Your tokens" not in text

    async def test_an_owner_without_address_is_told_through_a_route(self, service: Service) -> None:
        service.routes = [Route(to=(TEAM,))]
        service.owns(MUTE, a_token("ci", 5))
        assert await service.run() == [(TEAM, "ci", 7)]
        assert await service.run() == []
        (said,) = (await service.summary()).unsent
        assert said.endswith("no usable address")

    async def test_what_is_untouched_is_escalated_in_time(self, service: Service) -> None:
        service.routes = [Route(escalate_to=(LEAD,))]
        service.owns(ANA, a_token("ci", 10))
        told = []
        for _ in range(11):
            told += [recipient for recipient, _, _ in await service.run()]
            service.time.now += timedelta(days=1)
        assert told.count(ANA.address) == 5
        assert told.count(LEAD) == 3

    async def test_a_revoked_token_drops_out_of_copies_too(self, service: Service) -> None:
        service.routes = [Route(to=(TEAM,))]
        service.owns(ANA, a_token("ci", 5))
        await service.scan()
        service.owns(ANA)
        await service.scan()
        assert (await service.send()).sent == 0
        assert await service.keys(OUTBOX, BY_URGENCY) == []
