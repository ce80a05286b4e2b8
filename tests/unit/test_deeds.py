"""What was done in an owner's name is told once, apart from what expires."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from pat_core.channels.calendar import calendar
from pat_core.channels.card import digest_card
from pat_core.channels.render import Renderer
from pat_core.delivery import LEASE_FOR, Outlet, Sender
from pat_core.digest import compose, subject
from pat_core.errors import AddressRefused
from pat_core.ledger.sqlite import SqliteStore
from pat_core.model import Deed, Digest, Notice
from pat_core.outbox import hints
from pat_core.records import TokenRecord, deed_record, notice_of, notice_row, token_row
from pat_core.rows import OUTBOX, OWNERS, write
from tests.builders import ANA, HOSTILE_NAMES, a_token
from tests.fakes import NOW, FakeChannel, FakeTime
from tests.service import Service
from tests.unit.test_render import Page

pytestmark = pytest.mark.anyio
DETAIL = "The new one lives until Mon 22 Feb 2027."


@dataclass
class Deeds:
    """A service in whose ledger something was done to a token of Ana's."""

    service: Service

    async def note(self, deed: Deed = Deed.ROTATED, name: str = "ci") -> Notice:
        token = a_token(name, 5)
        record = deed_record(ANA, token, deed, DETAIL, self.service.time.now)
        notice = notice_of(ANA, record, token)
        for hint in hints(ANA, [notice]):
            await self.service.store.write(OUTBOX, [hint])
        known = await self.service.store.row(OWNERS, ANA.partition, f"token|{name}")
        changes = [write(notice_row(ANA.partition, record))]
        if known is None:
            changes.append(write(token_row(ANA.partition, TokenRecord(token))))
        await self.service.store.write(OWNERS, changes)
        return notice

    async def send(self, most_a_day: int = 1, **outlets: FakeChannel) -> list[Digest]:
        channel = self.service.channel
        given = {name: Outlet(each) for name, each in (outlets or {"email": channel}).items()}
        before = len(channel.sent)
        await Sender(self.service.store, given, self.service.time.clock, most_a_day).send_due()
        return list(channel.sent.values())[before:]


@pytest.fixture
def deeds(tmp_path: Path, time: FakeTime) -> Iterator[Deeds]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    yield Deeds(Service(store, time))
    store.close()


class TestSending:
    async def test_it_is_told_once(self, deeds: Deeds) -> None:
        notice = await deeds.note()
        (digest,) = await deeds.send()
        assert digest.notices == (notice,)
        assert await deeds.send() == []

    async def test_the_same_deed_later_is_another(self, deeds: Deeds) -> None:
        await deeds.note(Deed.EXTENDED)
        assert len(await deeds.send()) == 1
        deeds.service.time.now += timedelta(minutes=1)
        await deeds.note(Deed.EXTENDED)
        assert len(await deeds.send()) == 1

    async def test_it_goes_apart_from_what_expires_whatever_went_before(self, deeds: Deeds) -> None:
        deeds.service.owns(ANA, a_token("cd", 5))
        await deeds.service.scan()
        await deeds.note()
        expiring, done = sorted(await deeds.send(most_a_day=1), key=lambda each: each.is_of_deeds)
        assert [each.token.display_name for each in expiring.notices] == ["cd"]
        assert [each.token.display_name for each in done.notices] == ["ci"]

    async def test_a_token_that_is_gone_meanwhile_does_not_make_it_untrue(
        self, deeds: Deeds
    ) -> None:
        await deeds.note(Deed.REVOKED)
        deeds.service.owns(ANA)
        await deeds.service.scan()
        assert len(await deeds.send()) == 1

    async def test_after_a_crash_it_goes_again_under_the_same_id(self, deeds: Deeds) -> None:
        await deeds.note()
        deeds.service.channel.after_sending = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            await deeds.send()
        deeds.service.channel.after_sending = None
        deeds.service.time.now += LEASE_FOR + timedelta(seconds=1)
        await deeds.send()
        first, second = deeds.service.channel.calls
        assert first == second
        assert len(deeds.service.channel.sent) == 1

    async def test_where_no_mail_arrives_the_next_channel_tells(self, deeds: Deeds) -> None:
        await deeds.note()
        mail, card = FakeChannel(deeds.service.time.clock), deeds.service.channel
        mail.fails = AddressRefused("No such mailbox.")
        for _ in range(2):
            await deeds.send(email=mail, teams=card)
        assert len(card.sent) == 1


class TestWords:
    def digest(self, *names: str, deed: Deed = Deed.ROTATED) -> Digest:
        tokens = [a_token(name, 5) for name in names]
        records = [deed_record(ANA, token, deed, DETAIL, NOW) for token in tokens]
        pairs = zip(records, tokens, strict=True)
        return compose([notice_of(ANA, record, token) for record, token in pairs], ANA.address)

    @pytest.mark.parametrize(
        ("deed", "said"),
        [
            (Deed.ROTATED, '"ci" was rotated'),
            (Deed.EXTENDED, '"ci" was extended'),
            (Deed.REVOKED, '"ci" was revoked'),
            (Deed.GIVEN_UP, '"ci" was not rotated'),
        ],
    )
    def test_the_subject_says_what_was_done(self, deed: Deed, said: str) -> None:
        assert subject(self.digest("ci", deed=deed), NOW) == f"[Azure DevOps] {said}"

    def test_several_are_counted(self) -> None:
        counted = "[Azure DevOps] 2 tokens changed in your name"
        assert subject(self.digest("ci", "cd"), NOW) == counted

    def test_html_and_text_say_the_same(self) -> None:
        mail = Renderer().render(self.digest("ci"), NOW + timedelta(hours=1))
        for text in (mail.html, mail.text):
            for fact in ("Hello Ana Almeida,", "contoso", "Mon 23 Nov 2026, 08:00 UTC", DETAIL):
                assert fact in text
            assert "expire" not in text

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_a_hostile_name_is_only_text(self, name: str) -> None:
        digest = self.digest(name)
        page = Page(Renderer().render(digest, NOW).html)
        assert page.all("script") == page.all("img") == []
        card = digest_card(digest, Renderer(), NOW)
        assert "were changed" in str(card)

    def test_it_has_no_place_in_a_calendar(self) -> None:
        assert calendar(self.digest("ci"), NOW - timedelta(days=1)) == b""
