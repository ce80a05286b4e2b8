"""The real SDK against a mail service on loopback, as it answers and as it fails."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from azure.communication.email.aio import EmailClient
from azure.core.credentials import AzureKeyCredential
from icalendar import Calendar
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from pat_core.allowance import Allowance
from pat_core.channels.email import EmailChannel
from pat_core.channels.render import Renderer
from pat_core.delivery import LEASE_FOR, Outlet, Sender
from pat_core.digest import compose
from pat_core.errors import AddressRefused, ChannelBusy, ChannelError, ChannelMisconfigured
from pat_core.ledger.sqlite import SqliteStore
from pat_core.local.acs import Accepted, MailService, mail_app
from pat_core.local.serving import serving
from pat_core.model import Owner
from pat_core.outbox import BY_URGENCY
from pat_core.ports import Outcome
from pat_core.rows import OUTBOX
from tests.builders import ANA, HOSTILE_NAMES, a_notice, a_token
from tests.fakes import NOW, FakeAzureDevOps, FakeChannel, FakeTime
from tests.service import Service

pytestmark = pytest.mark.anyio
SPECS = Path(__file__).parents[3] / "shared" / "specs"
DIGEST = compose([a_notice("ci", 5), a_notice("dead", -1)], ANA.address)
OPERATION = "6f0c1c1e-6a55-4c3c-9d2b-6b8a3f1f1d55"


@pytest.fixture
def mails() -> MailService:
    return MailService()


@asynccontextmanager
async def channel_to(
    mails: MailService, time: FakeTime, *, reply_to: str = "", with_calendar: bool = True
) -> AsyncIterator[EmailChannel]:
    async with (
        serving(mail_app(mails)) as address,
        # A connection string always leads to https.
        EmailClient(address, AzureKeyCredential("aHVzaA==")) as client,
    ):
        yield EmailChannel(
            client,
            Renderer(),
            time.clock,
            sender="warden@contoso.example",
            reply_to=reply_to,
            with_calendar=with_calendar,
        )


async def post(
    mails: MailService, time: FakeTime, *, reply_to: str = "", with_calendar: bool = True
) -> Accepted:
    async with channel_to(mails, time, reply_to=reply_to, with_calendar=with_calendar) as channel:
        await channel.send(DIGEST, operation_id=OPERATION, claimed_at=NOW)
    return mails.accepted[OPERATION]


def error(status: int, code: str = "", **headers: str) -> Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse({"error": {"code": code, "message": "no"}}, status, given)


class TestSend:
    async def test_the_mail_has_both_parts_and_tracks_nobody(
        self, mails: MailService, time: FakeTime
    ) -> None:
        message = (await post(mails, time, reply_to="devops@contoso.example")).message
        assert message["recipients"] == {"to": [{"address": ANA.address}]}
        assert message["replyTo"] == [{"address": "devops@contoso.example"}]
        assert message["userEngagementTrackingDisabled"] is True
        rendered = Renderer().render(DIGEST, NOW)
        content = {"subject": rendered.subject, "html": rendered.html, "plainText": rendered.text}
        assert message["content"] == content

    async def test_it_goes_under_its_id_and_asks_nothing_more(
        self, mails: MailService, time: FakeTime
    ) -> None:
        headers = (await post(mails, time)).headers
        assert headers["operation-id"] == headers["repeatability-request-id"] == OPERATION
        assert headers["repeatability-first-sent"] == "Mon, 23 Nov 2026 08:00:00 GMT"
        assert mails.posts == 1

    async def test_two_in_a_row_share_nothing(self, mails: MailService, time: FakeTime) -> None:
        async with channel_to(mails, time) as channel:
            for number in range(2):
                digest = compose([a_notice(f"t{number}")], f"user{number}@contoso.example")
                await channel.send(digest, operation_id=str(number), claimed_at=NOW)
        first, second = (json.dumps(each.message) for each in mails.accepted.values())
        assert "user0" in first
        assert "user1" not in first
        assert "user0" not in second
        assert "t0" not in second

    async def test_the_request_keeps_microsofts_contract(
        self, mails: MailService, time: FakeTime
    ) -> None:
        if not SPECS.exists():
            pytest.skip("Microsoft's contracts are not beside this checkout (../shared/specs)")
        spec = json.loads((SPECS / "acs-email-2025-09-01.json").read_text(encoding="utf-8"))
        message = (await post(mails, time, reply_to="devops@contoso.example")).message
        resource: Resource[Any] = DRAFT4.create_resource(spec)
        registry = Registry().with_resource("spec", resource)
        schema = {"$ref": "spec#/definitions/EmailMessage"}
        faults = Draft4Validator(schema, registry=registry).iter_errors(message)
        assert [fault.message for fault in faults] == []
        known = spec["definitions"]["EmailMessage"]["properties"].keys()
        assert message.keys() <= known


class TestCalendar:
    async def test_it_has_each_token_that_is_still_to_expire(
        self, mails: MailService, time: FakeTime
    ) -> None:
        (attached,) = (await post(mails, time)).message["attachments"]
        assert (attached["name"], attached["contentType"]) == ("tokens.ics", "text/calendar")
        (entry,) = Calendar.from_ical(b64decode(attached["contentInBase64"])).events
        assert entry.start == NOW + timedelta(days=5)
        assert entry["summary"] == 'Token "ci" expires (contoso)'

    async def test_it_can_be_switched_off(self, mails: MailService, time: FakeTime) -> None:
        assert "attachments" not in (await post(mails, time, with_calendar=False)).message

    async def test_where_all_have_expired_there_is_none(
        self, mails: MailService, time: FakeTime
    ) -> None:
        time.now += timedelta(days=6)
        assert "attachments" not in (await post(mails, time)).message

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    async def test_a_hostile_name_makes_no_entry_of_its_own(
        self, mails: MailService, time: FakeTime, name: str
    ) -> None:
        async with channel_to(mails, time) as channel:
            digest = compose([a_notice(f"{name}\nEND:VEVENT")], ANA.address)
            await channel.send(digest, operation_id=OPERATION, claimed_at=NOW)
        (attached,) = mails.accepted[OPERATION].message["attachments"]
        (entry,) = Calendar.from_ical(b64decode(attached["contentInBase64"])).events
        assert str(entry["summary"]).startswith('Token "')


class TestRefused:
    @pytest.mark.parametrize(
        ("reply", "kind", "says"),
        [
            (error(400, "InvalidRecipientEmailAddress"), AddressRefused, "400"),
            (error(400, "EmailDroppedAllRecipientsSuppressed"), AddressRefused, "Suppressed"),
            (error(400, "InvalidEmailAddress"), AddressRefused, "400"),
            (error(400, "WhatNobodyListed"), ChannelError, "WhatNobodyListed"),
            (error(400, "InvalidSenderUserName"), ChannelMisconfigured, "PAT_EMAIL_SENDER"),
            (error(401, "Denied"), ChannelMisconfigured, "401"),
            (error(403, "Forbidden"), ChannelMisconfigured, "Owner"),
            (error(404, "DomainNotLinked"), ChannelMisconfigured, "DomainNotLinked"),
            (error(429, "TooManyRequests", Retry_After="7"), ChannelBusy, "429"),
            (error(429, "TooManyRequests"), ChannelBusy, "429"),
            (error(500, "x"), ChannelError, "500"),
            (error(503, "x", Retry_After="1"), ChannelError, "503"),
            (HTMLResponse("<html>", 502), ChannelError, "502"),
            (error(408, "x"), ChannelError, "408"),
        ],
        ids=lambda each: each if isinstance(each, str) else "",
    )
    async def test_each_reply_has_its_meaning(
        self, mails: MailService, time: FakeTime, reply: Response, kind: type[Exception], says: str
    ) -> None:
        mails.before = lambda _: reply
        with pytest.raises(ChannelError, match=says) as caught:
            await post(mails, time)
        assert type(caught.value) is kind
        assert mails.posts == (2 if reply.status_code == 401 else 1)
        if isinstance(caught.value, ChannelBusy):
            assert caught.value.seconds == (7 if "retry-after" in reply.headers else 60)

    async def test_a_401_now_and_then_is_overcome(self, mails: MailService, time: FakeTime) -> None:
        replies = iter([error(401), None])
        mails.before = lambda _: next(replies)
        await post(mails, time)
        assert mails.posts == 2


class TestOutcome:
    @pytest.mark.parametrize(
        ("status", "outcome"),
        [
            ("Running", Outcome.ACCEPTED),
            ("Succeeded", Outcome.ACCEPTED),
            ("Failed", Outcome.REFUSED),
        ],
    )
    async def test_what_was_taken_is_known(
        self, mails: MailService, time: FakeTime, status: str, outcome: Outcome
    ) -> None:
        mails.statuses[OPERATION] = status
        async with channel_to(mails, time) as channel:
            assert await channel.outcome(OPERATION) is Outcome.UNKNOWN
            await channel.send(DIGEST, operation_id=OPERATION, claimed_at=NOW)
            assert await channel.outcome(OPERATION) is outcome

    async def test_an_answer_that_is_none_is_a_fault(
        self, mails: MailService, time: FakeTime
    ) -> None:
        mails.before = lambda _: HTMLResponse("<html>")
        async with channel_to(mails, time) as channel:
            with pytest.raises(ChannelError):
                await channel.outcome(OPERATION)


class TestReach:
    async def test_it_is_let_in_and_nothing_is_sent(
        self, mails: MailService, time: FakeTime
    ) -> None:
        async with channel_to(mails, time) as channel:
            assert await channel.reach()
        assert mails.posts == 0

    @pytest.mark.parametrize(
        ("status", "kind"), [(403, ChannelMisconfigured), (429, ChannelBusy), (503, ChannelError)]
    )
    async def test_who_is_not_let_in_is_told_why(
        self, mails: MailService, time: FakeTime, status: int, kind: type[ChannelError]
    ) -> None:
        mails.before = lambda _: error(status, "Denied")
        async with channel_to(mails, time) as channel:
            with pytest.raises(ChannelError, match=r"could not be asked.*answered") as raised:
                await channel.reach()
        assert raised.type is kind


class Cut(Response):
    """Begins a reply and ends the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"100"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": False})


class TestExactlyOnce:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SqliteStore]:
        found = SqliteStore(tmp_path / "ledger.sqlite")
        yield found
        found.close()

    @pytest.mark.parametrize("where", ["before", "after"])
    @pytest.mark.parametrize(
        "fault",
        [
            error(500),
            error(503, Retry_After="5"),
            error(429, Retry_After="90"),
            error(429),
            error(401),
            HTMLResponse("<html>", 502),
            error(404, "DomainNotLinked"),
        ],
        ids=["500", "503", "429 with a wait", "429", "401", "HTML", "404"],
    )
    async def test_each_notice_is_taken_once_whatever_the_service_answers(
        self, store: SqliteStore, time: FakeTime, mails: MailService, fault: Response, where: str
    ) -> None:
        service = Service(store, time)
        owners = [
            Owner("contoso", f"aad.{number}", str(number), f"user{number}@contoso.example")
            for number in range(4)
        ]
        for owner in owners:
            service.owns(owner, a_token("ci", 5))
        await service.scan()
        turns = cycle([fault, None, fault, fault, None])
        setattr(mails, where, lambda request: next(turns))
        async with channel_to(mails, time) as email:
            teams = FakeChannel(time.clock)
            outlets = {"email": Outlet(email, Allowance(30, 100)), "teams": Outlet(teams)}
            for _ in range(60):
                await Sender(store, outlets, time.clock).send_due()
                time.now += LEASE_FOR
        found = [each.message["recipients"]["to"][0]["address"] for each in mails.accepted.values()]
        told = [recipient for recipient, _, _ in teams.told()]
        assert {*found, *told} == {owner.address for owner in owners}
        assert len(found) == len(set(found))
        assert len(told) == len(set(told))
        # What the service took before it failed is known to be taken, and told nowhere else.
        assert where == "before" or not told
        assert await service.keys(OUTBOX, BY_URGENCY) == []

    async def test_a_connection_that_is_cut_after_the_mail_was_taken_brings_no_second(
        self, store: SqliteStore, time: FakeTime, mails: MailService
    ) -> None:
        service = Service(store, time, FakeAzureDevOps())
        service.owns(ANA, a_token("ci", 5))
        await service.scan()
        async with channel_to(mails, time) as email:
            sender = Sender(store, {"email": Outlet(email)}, time.clock)
            mails.after = lambda _: Cut()
            assert (await sender.send_due()).failed == 1
            mails.after = lambda _: None
            time.now += LEASE_FOR
            assert (await sender.send_due()).sent == 1
        assert (mails.posts, len(mails.accepted)) == (1, 1)
