"""What an owner and an administrator do, over loopback against a server that reads bodies."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from pat_core.azure_devops.client import ATTEMPTS, Client
from pat_core.azure_devops.credential import BearerCredential, PatCredential
from pat_core.azure_devops.pace import Pace
from pat_core.azure_devops.sending import FOR_A_PAGE
from pat_core.bootstrap import http_transport
from pat_core.errors import (
    AzureDevOpsError,
    BrokenReply,
    NotPermitted,
    NotSignedIn,
    OrganizationNotFound,
    RequestRefused,
    Throttled,
    TokenNotFound,
    TokenRefused,
    Unavailable,
)
from pat_core.model import IssuedToken, NewToken, Organization, Owner, Token
from pat_core.ports import AzureDevOps, OwnTokens, TokenAdmin, TokenTrial
from tests.fakes import NOW, FakeTime, reply

pytestmark = pytest.mark.anyio

BEARER = "eyJhbGciOi.bearer-of-ana.c2ln"
SECRET = "n3wS3cr3t" * 8 + "AZDO4242"
ID = "4ab5764f-4193-4f1d-b995-64144880b7d7"
OTHER = "eabb38b2-48ef-440b-959b-b9e6cb37a64e"
GONE = "3d3aca0c-9ad3-4b07-8334-08ec8b1ddc32"
ORGANIZATION_ID = "38aaa865-2c70-4bf7-a308-0c6539c38c1a"
WANTED = NewToken("build", "vso.code vso.build", NOW + timedelta(days=30))
TOKEN = Token(ID, "build", "vso.code", NOW, NOW + timedelta(days=3))


def pat_token(**given: object) -> dict[str, object]:
    return {
        "displayName": "build",
        "validTo": "2026-12-23T08:00:00.32Z",
        "scope": "vso.code",
        "targetAccounts": [ORGANIZATION_ID],
        "validFrom": "2026-11-23T08:00:00.1033333Z",
        "authorizationId": ID,
        "token": None,
    } | given


def result(error: str | None = "none", **given: object) -> bytes:
    return reply(body={"patToken": pat_token(**given), "patTokenError": error})


def listing(*ids: str, after: str | None = "") -> bytes:
    tokens = [pat_token(authorizationId=each) for each in ids]
    return reply(body={"patTokens": tokens, "continuationToken": after})


def identity(**given: object) -> bytes:
    user = {
        "id": "1d1b8eb1-0000-4000-8000-000000000001",
        "descriptor": "Microsoft.IdentityModel.Claims.ClaimsIdentity;x\\ana@contoso.example",
        "subjectDescriptor": "aad.YW5h",
        "providerDisplayName": "Ana Silva",
        "properties": {"Account": {"$type": "System.String", "$value": "Ana@Contoso.example"}},
    }
    return reply(body={"authenticatedUser": user | given, "instanceId": ORGANIZATION_ID})


ANONYMOUS = identity(
    id="aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
    descriptor="System:PublicAccess;aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
    subjectDescriptor="spa.YWFh",
    providerDisplayName="Anonymous",
    properties={},
)
ISSUED = result(token=SECRET)
SIGN_IN_PAGE = b"<!DOCTYPE html><title>Sign in</title>"


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 (what was sent is the test's to know)
        return json.loads(self.body)


@dataclass
class Listener:
    """Reads each request to its end, then gives the next reply; an empty one cuts the line."""

    replies: Sequence[bytes]
    heard: list[Request] = field(default_factory=list)
    base_url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = first.split()
        self.heard.append(Request(method, target, headers, body))
        writer.write(self.replies[min(len(self.heard), len(self.replies)) - 1])
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def listening(*replies: bytes) -> AsyncIterator[tuple[Listener, Organization]]:
    listener = Listener(replies)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/contoso"
    try:
        yield listener, Organization("contoso", base_url)
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def owner_client(time: FakeTime, bearer: str = BEARER) -> AsyncIterator[Client]:
    async with http_transport(4) as transport:
        yield Client.for_owner(
            transport,
            BearerCredential(SecretStr(bearer)),
            clock=time.clock,
            sleep=time.sleep,
            jitter=lambda: 0.5,
        )


@asynccontextmanager
async def admin_client(time: FakeTime) -> AsyncIterator[tuple[Client, Pace]]:
    pace = Pace(clock=time.clock, sleep=time.sleep, most=4, patience=timedelta(hours=1))
    async with http_transport(4) as transport:
        client = Client(
            transport,
            PatCredential(SecretStr("hush")),
            pace,
            clock=time.clock,
            sleep=time.sleep,
            jitter=lambda: 0.5,
        )
        yield client, pace


def as_ports(client: Client) -> tuple[AzureDevOps, OwnTokens, TokenAdmin, TokenTrial]:
    """For mypy: a client is all of these."""
    return client, client, client, client


class TestCaller:
    async def test_the_caller_is_who_the_bearer_says(self, time: FakeTime) -> None:
        async with listening(identity()) as (server, there), owner_client(time) as client:
            owner = await client.caller(there)
        assert owner == Owner("contoso", "aad.YW5h", "Ana Silva", "ana@contoso.example")
        assert server.heard[0].target.startswith("/contoso/_apis/connectionData?")
        assert server.heard[0].headers["authorization"] == f"Bearer {BEARER}"

    @pytest.mark.parametrize(
        "properties",
        [None, {}, [], "x", {"Account": "ana"}, {"Account": {"$value": "CONTOSO\\ana"}}],
    )
    async def test_an_account_that_is_no_address_leaves_none(
        self, time: FakeTime, properties: object
    ) -> None:
        async with listening(identity(properties=properties)) as (_, there):
            async with owner_client(time) as client:
                assert (await client.caller(there)).address == ""

    @pytest.mark.parametrize(
        "nobody",
        [
            reply(body={}),
            reply(body={"authenticatedUser": None}),
            identity(subjectDescriptor=None),
            identity(subjectDescriptor=""),
            identity(id="00000000-0000-0000-0000-000000000000"),
            ANONYMOUS,
        ],
    )
    async def test_who_has_no_identity_is_not_signed_in(
        self, time: FakeTime, nobody: bytes
    ) -> None:
        async with listening(nobody) as (_, there), owner_client(time) as client:
            with pytest.raises(NotSignedIn, match="Sign in again"):
                await client.caller(there)


class TestMyTokens:
    async def test_a_revoked_token_is_told_by_being_listed_among_the_revoked(
        self, time: FakeTime
    ) -> None:
        async with listening(listing(ID, GONE, OTHER), listing(GONE)) as (server, there):
            async with owner_client(time) as client:
                reading = await client.my_tokens(there)
        assert [(each.authorization_id, each.is_valid) for each in reading.tokens] == [
            (ID, True),
            (GONE, False),
            (OTHER, True),
        ]
        asked = [re.findall(r"displayFilterOption=(\w+)", each.target) for each in server.heard]
        assert asked == [["all"], ["revoked"]]
        assert all(parse_qs(each.target)["$top"] == ["100"] for each in server.heard)

    async def test_every_page_of_both_listings_is_read(self, time: FakeTime) -> None:
        pages = (listing(ID, after="a+b="), listing(GONE), listing(after="c"), listing(GONE))
        async with listening(*pages) as (server, there), owner_client(time) as client:
            reading = await client.my_tokens(there)
        assert [each.is_valid for each in reading.tokens] == [True, False]
        assert "continuationToken=a%2Bb%3D&" in server.heard[1].target
        assert "displayFilterOption=revoked" in server.heard[3].target

    async def test_a_continuation_token_that_loops_ends_it(self, time: FakeTime) -> None:
        async with listening(listing(ID, after="same")) as (server, there):
            async with owner_client(time) as client:
                with pytest.raises(BrokenReply, match="twice"):
                    await client.my_tokens(there)
        assert len(server.heard) == 2

    @pytest.mark.parametrize("end", ["", None])
    async def test_the_pages_end_with_nothing(self, time: FakeTime, end: str | None) -> None:
        async with listening(listing(after=end)) as (_, there), owner_client(time) as client:
            assert (await client.my_tokens(there)).tokens == ()


class TestMyToken:
    @pytest.mark.parametrize(
        ("fraction", "microsecond"),
        [
            ("52", 520000),
            ("523", 523000),
            ("5233", 523300),
            ("52333", 523330),
            ("523333", 523333),
            ("5233339", 523333),
        ],
    )
    async def test_its_end_is_read_with_any_fraction(
        self, time: FakeTime, fraction: str, microsecond: int
    ) -> None:
        one = result(validTo=f"2026-12-01T23:46:23.{fraction}Z")
        async with listening(one) as (server, there), owner_client(time) as client:
            token = await client.my_token(there, ID)
        assert token.valid_to == datetime(2026, 12, 1, 23, 46, 23, microsecond, UTC)
        assert f"/_apis/tokens/pats?authorizationId={ID}&" in server.heard[0].target

    async def test_one_without_targets_is_global(self, time: FakeTime) -> None:
        async with listening(result(targetAccounts=None)) as (_, there):
            async with owner_client(time) as client:
                assert (await client.my_token(there, ID)).is_global

    @pytest.mark.parametrize(
        "absent", [reply(404, {"message": "no"}), reply(body={"patTokenError": "tokenNotFound"})]
    )
    async def test_one_that_is_not_there_is_not_found(self, time: FakeTime, absent: bytes) -> None:
        async with listening(absent) as (_, there), owner_client(time) as client:
            with pytest.raises(TokenNotFound, match="no such token"):
                await client.my_token(there, ID)

    async def test_an_id_cannot_leave_its_place(self, time: FakeTime) -> None:
        hostile = "x&displayFilterOption=all#/../"
        async with listening(result()) as (server, there), owner_client(time) as client:
            await client.my_token(there, hostile)
        url = urlsplit(server.heard[0].target)
        assert url.path == "/contoso/_apis/tokens/pats"
        assert parse_qs(url.query).keys() == {"authorizationId", "api-version"}
        assert parse_qs(url.query)["authorizationId"] == [hostile]


class TestCreate:
    async def test_the_new_token_comes_as_it_came_back(self, time: FakeTime) -> None:
        async with listening(ISSUED) as (server, there), owner_client(time) as client:
            issued = await client.create(there, WANTED)
        assert issued.secret.get_secret_value() == SECRET
        assert issued.token.valid_to == datetime(2026, 12, 23, 8, 0, 0, 320000, UTC)
        (heard,) = server.heard
        assert (heard.method, heard.headers["content-type"]) == ("POST", "application/json")
        assert heard.json == {
            "displayName": "build",
            "scope": "vso.code vso.build",
            "validTo": "2026-12-23T08:00:00.000000Z",
            "allOrgs": False,
        }

    async def test_an_error_that_is_absent_is_a_success(self, time: FakeTime) -> None:
        async with listening(reply(body={"patToken": pat_token(token=SECRET)})) as (_, there):
            async with owner_client(time) as client:
                assert (await client.create(there, WANTED)).token.authorization_id == ID

    async def test_its_end_is_written_in_utc_to_the_microsecond(self, time: FakeTime) -> None:
        east = timezone(timedelta(hours=5, minutes=30))
        wanted = NewToken("x", "vso.code", datetime(2027, 1, 1, 2, 0, 0, 7, east))
        async with listening(ISSUED) as (server, there), owner_client(time) as client:
            await client.create(there, wanted)
        assert server.heard[0].json["validTo"] == "2026-12-31T20:30:00.000007Z"

    @pytest.mark.parametrize(
        "name",
        [
            '"}, {"allOrgs": true',
            "a\r\nX: y",
            "\\u0000\x00",
            "Ä€😀\u202e",
            "<script>",
            "\ud800",
            "",
        ],
    )
    async def test_a_hostile_name_arrives_as_it_is(self, time: FakeTime, name: str) -> None:
        async with listening(ISSUED) as (server, there), owner_client(time) as client:
            await client.create(there, NewToken(name, "vso.code", NOW))
        assert server.heard[0].json["displayName"] == name
        assert server.heard[0].json["allOrgs"] is False

    @pytest.mark.parametrize("name", ["TF400813", "TF400733", "TF401027 InvalidAccess", "<html>"])
    async def test_a_name_that_reads_like_a_fault_is_none(self, time: FakeTime, name: str) -> None:
        async with listening(result(displayName=name, token=SECRET)) as (server, there):
            async with owner_client(time) as client:
                assert (await client.create(there, WANTED)).token.display_name == name
        assert len(server.heard) == 1

    @pytest.mark.parametrize(
        "neither",
        [
            {},
            {"patToken": None, "patTokenError": "none"},
            {"patToken": pat_token(), "patTokenError": None},
            {"patToken": pat_token(token="")},
            {"patToken": pat_token(token=SECRET, validTo=SECRET)},
        ],
    )
    async def test_without_error_or_token_nobody_knows(
        self, time: FakeTime, neither: dict[str, object]
    ) -> None:
        async with listening(reply(body=neither)) as (server, there), owner_client(time) as client:
            with pytest.raises(BrokenReply, match="cannot be read") as caught:
                await client.create(there, WANTED)
        assert len(server.heard) == 1
        assert SECRET not in everything_in(caught.value)

    @pytest.mark.parametrize(
        "fault",
        [
            b"",
            b"HTTP/1.1 200 OK\r\nX-Half: a he",
            reply(body={"patToken": pat_token(token=SECRET)}, cut=9),
            reply(500, {"message": "oops"}),
            reply(502, {}),
            reply(503, {}, Retry_After="1"),
            reply(504, raw=b"<html>"),
        ],
    )
    async def test_it_is_never_sent_twice_where_nobody_knows(
        self, time: FakeTime, fault: bytes
    ) -> None:
        async with listening(fault, ISSUED) as (server, there), owner_client(time) as client:
            with pytest.raises(Unavailable, match="Nobody knows whether the token was made"):
                await client.create(there, WANTED)
        assert len(server.heard) == 1

    async def test_not_even_a_patient_client_sends_it_twice(self, time: FakeTime) -> None:
        async with listening(b"", ISSUED) as (server, there), admin_client(time) as (client, _):
            with pytest.raises(Unavailable):
                await client.create(there, WANTED)
        assert len(server.heard) == 1

    @pytest.mark.parametrize(
        "busy", [reply(429, {}, Retry_After="2"), reply(403, {"message": "TF400733: blocked"})]
    )
    async def test_who_is_turned_away_for_a_moment_tries_again(
        self, time: FakeTime, busy: bytes
    ) -> None:
        async with listening(busy, ISSUED) as (server, there), owner_client(time) as client:
            await client.create(there, WANTED)
        assert len(server.heard) == 2
        assert sum(time.slept) <= 2

    @pytest.mark.parametrize(("pause", "calls"), [("2", 3), ("3", 2), ("30", 1), ("900", 1)])
    async def test_waiting_is_a_few_seconds_in_all(
        self, time: FakeTime, pause: str, calls: int
    ) -> None:
        async with listening(reply(429, {}, Retry_After=pause)) as (server, there):
            async with owner_client(time) as client, admin_client(time) as (patient, _):
                for each in (client, patient):
                    with pytest.raises(Throttled, match="status 429") as caught:
                        await each.create(there, WANTED)
                    assert caught.value.seconds == float(pause)
        assert len(server.heard) == 2 * calls
        assert sum(time.slept) <= 2 * 5

    async def test_a_plain_refusal_says_what_the_service_said(self, time: FakeTime) -> None:
        async with listening(reply(400, {"message": "bad\nscope"})) as (_, there):
            async with owner_client(time) as client:
                with pytest.raises(RequestRefused, match=r"create a token .*400 \(bad scope\)"):
                    await client.create(there, WANTED)


class TestExtend:
    async def test_every_field_is_sent_and_the_end_is_the_one_that_came_back(
        self, time: FakeTime
    ) -> None:
        async with listening(result()) as (server, there), owner_client(time) as client:
            token = await client.extend(there, TOKEN, NOW + timedelta(days=90))
        assert token.valid_to == datetime(2026, 12, 23, 8, 0, 0, 320000, UTC)
        assert server.heard[0].method == "PUT"
        assert server.heard[0].json == {
            "authorizationId": ID,
            "displayName": "build",
            "scope": "vso.code",
            "validTo": "2027-02-21T08:00:00.000000Z",
            "allOrgs": False,
        }

    async def test_a_server_fault_is_tried_again(self, time: FakeTime) -> None:
        fault = reply(500, {})
        async with listening(fault, fault, result()) as (server, there):
            async with owner_client(time) as client:
                await client.extend(there, TOKEN, NOW)
        assert len(server.heard) == 3

    async def test_an_expired_one_is_refused_in_words(self, time: FakeTime) -> None:
        refused = reply(body={"patToken": None, "patTokenError": "expiredPatCannotBeExtended"})
        async with listening(refused) as (_, there), owner_client(time) as client:
            with pytest.raises(TokenRefused, match="an expired one cannot be extended") as caught:
                await client.extend(there, TOKEN, NOW)
        assert caught.value.code == "expiredPatCannotBeExtended"


class TestRevoke:
    @pytest.mark.parametrize("done", [204, 200])
    async def test_no_content_is_a_success(self, time: FakeTime, done: int) -> None:
        async with listening(reply(done, raw=b"")) as (server, there), owner_client(time) as client:
            await client.revoke(there, ID)
        (heard,) = server.heard
        assert (heard.method, heard.body) == ("DELETE", b"")
        assert f"/_apis/tokens/pats?authorizationId={ID}&" in heard.target

    @pytest.mark.parametrize(
        "absent",
        [reply(404, {"message": "no"}), reply(body={"patTokenError": "authorizationNotFound"})],
    )
    async def test_one_that_is_gone_is_no_fault(self, time: FakeTime, absent: bytes) -> None:
        async with listening(absent) as (_, there), owner_client(time) as client:
            await client.revoke(there, ID)

    @pytest.mark.parametrize("away", [301, 304, 307])
    async def test_being_sent_elsewhere_revokes_nothing(self, time: FakeTime, away: int) -> None:
        async with listening(reply(away, raw=b"", Location="/x")) as (server, there):
            async with owner_client(time) as client:
                with pytest.raises(RequestRefused, match=f"status {away}"):
                    await client.revoke(there, ID)
        assert len(server.heard) == 1

    async def test_an_error_inside_a_200_is_one(self, time: FakeTime) -> None:
        async with listening(reply(body={"patTokenError": "accessDenied"})) as (_, there):
            async with owner_client(time) as client:
                with pytest.raises(TokenRefused, match="may not manage"):
                    await client.revoke(there, ID)

    async def test_tries_again_are_few(self, time: FakeTime) -> None:
        async with listening(reply(500, {})) as (server, there), owner_client(time) as client:
            with pytest.raises(Unavailable, match="Try again in a few minutes"):
                await client.revoke(there, ID)
        assert len(server.heard) == 3

    async def test_an_organization_that_is_gone_is_a_fault(self, time: FakeTime) -> None:
        async with listening(reply(404, raw=b"<html>")) as (_, there), owner_client(time) as client:
            with pytest.raises(RequestRefused, match="found nothing"):
                await client.revoke(there, ID)


class TestRevokeTokens:
    async def test_a_hundred_go_in_a_call(self, time: FakeTime) -> None:
        ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(205)]
        async with listening(reply(204, raw=b"")) as (server, there):
            async with admin_client(time) as (client, _):
                await client.revoke_tokens(there, ids)
        assert [len(each.json) for each in server.heard] == [100, 100, 5]
        assert [one["authorizationId"] for each in server.heard for one in each.json] == ids
        assert {each.method for each in server.heard} == {"POST"}
        assert server.heard[0].target.startswith(
            "/contoso/_apis/tokenadmin/revocations?isPublic=false&"
        )

    async def test_nothing_is_asked_for_no_token(self, time: FakeTime) -> None:
        async with listening(reply(500, {})) as (server, there), admin_client(time) as (client, _):
            await client.revoke_tokens(there, [])
        assert server.heard == []

    async def test_a_broken_connection_is_tried_again(self, time: FakeTime) -> None:
        async with listening(b"", reply(204, raw=b"")) as (server, there):
            async with admin_client(time) as (client, _):
                await client.revoke_tokens(there, [ID])
        assert len(server.heard) == 2

    async def test_who_may_not_is_told_the_group_and_the_scope(self, time: FakeTime) -> None:
        async with listening(reply(403, {})) as (_, there), admin_client(time) as (client, _):
            with pytest.raises(NotPermitted, match=r"vso\.tokenadministration.*Administrators"):
                await client.revoke_tokens(there, [ID])


class TestWorks:
    NEW = IssuedToken(TOKEN, SecretStr(SECRET))

    @pytest.mark.parametrize(
        ("answer", "verdict"),
        [
            (identity(), True),
            (reply(401, {}), False),
            (reply(203, raw=SIGN_IN_PAGE), False),
            (reply(200, raw=SIGN_IN_PAGE), False),
            (reply(302, {}, Location="/_signin"), False),
            # As organizations with public projects answer a wrong secret.
            (ANONYMOUS, False),
            (reply(403, {}), None),
            (reply(404, {}), None),
            (reply(400, {}), None),
            (reply(429, {}, Retry_After="1"), None),
            (reply(500, {}), None),
            (reply(503, {}), None),
            (reply(200, raw=b""), None),
            (reply(200, raw=b"{"), None),
            (reply(200, {}), None),
            (reply(200, {}, cut=5), None),
            (b"", None),
            (b"nonsense\r\n\r\n", None),
        ],
    )
    async def test_an_answer_is_true_false_or_none(
        self, time: FakeTime, answer: bytes, verdict: bool | None
    ) -> None:
        async with listening(answer) as (server, there), owner_client(time) as client:
            assert await client.works(there, self.NEW) is verdict
        # aiohttp makes a GET once more by itself where the connection ends without a reply.
        assert len(server.heard) == (2 if answer == b"" else 1)

    async def test_it_signs_with_the_new_secret_alone(self, time: FakeTime) -> None:
        async with listening(identity()) as (server, there), owner_client(time) as client:
            await client.works(there, self.NEW)
        signed = server.heard[0].headers["authorization"]
        assert signed == await PatCredential(SecretStr(SECRET)).authorization()

    async def test_it_leaves_the_pace_of_others_alone(self, time: FakeTime) -> None:
        busy = reply(429, {}, Retry_After="60")
        async with listening(busy) as (_, there), admin_client(time) as (client, pace):
            before = pace.concurrency
            assert await client.works(there, self.NEW) is None
            async with pace.turn() as began:
                assert (began, pace.concurrency) == (NOW, before)
        assert time.slept == []

    async def test_nobody_there_is_none(self, time: FakeTime) -> None:
        async with listening(b"") as (_, there):
            pass
        async with owner_client(time) as client:
            assert await client.works(there, self.NEW) is None


Act = Callable[[Client, Organization], Coroutine[Any, Any, object]]
ACTS: list[Act] = [
    lambda client, there: client.caller(there),
    lambda client, there: client.my_tokens(there),
    lambda client, there: client.my_token(there, ID),
    lambda client, there: client.create(there, WANTED),
    lambda client, there: client.extend(there, TOKEN, NOW),
    lambda client, there: client.revoke(there, ID),
]


class TestRefusals:
    @pytest.mark.parametrize("act", ACTS)
    async def test_an_old_sign_in_is_to_be_made_anew(self, time: FakeTime, act: Act) -> None:
        async with listening(reply(401, {})) as (_, there), owner_client(time) as client:
            with pytest.raises(NotSignedIn, match="Sign in again") as caught:
                await act(client, there)
        assert not re.search("az login|PAT_ADMIN_TOKEN", str(caught.value))

    @pytest.mark.parametrize("act", ACTS)
    async def test_who_may_not_is_told_what_an_owner_can_do(self, time: FakeTime, act: Act) -> None:
        async with listening(reply(403, {})) as (_, there), owner_client(time) as client:
            with pytest.raises(NotPermitted, match=r"vso\.pats and vso\.pats_manage") as caught:
                await act(client, there)
        assert "service principal" in caught.value.remedy

    async def test_a_server_without_the_api_says_so(self, time: FakeTime) -> None:
        async with listening(reply(404, {})) as (_, there), owner_client(time) as client:
            with pytest.raises(RequestRefused, match="Azure DevOps Server"):
                await client.my_tokens(there)

    async def test_a_page_waits_for_no_more_than_a_few_seconds(self, time: FakeTime) -> None:
        async with listening(reply(500, {})) as (server, there), owner_client(time) as client:
            with pytest.raises(Unavailable):
                await client.my_token(there, ID)
        assert len(server.heard) == FOR_A_PAGE.attempts < ATTEMPTS
        assert sum(time.slept) <= FOR_A_PAGE.seconds

    async def test_a_pause_that_is_asked_for_is_not_about_scans(self, time: FakeTime) -> None:
        slow = reply(body={"patToken": pat_token()}, Retry_After="30")
        async with listening(slow) as (_, there), owner_client(time) as client:
            await client.my_token(there, ID)
            with pytest.raises(Throttled, match=r"30 seconds\. Try again in a few minutes"):
                await client.my_token(there, ID)

    @pytest.mark.parametrize("bearer", ["", "a b", "a\r\nX-Evil: 1", "bärer", "a\0"])
    async def test_a_bearer_that_fits_no_header_is_not_signed_in(
        self, time: FakeTime, bearer: str
    ) -> None:
        async with listening(identity()) as (server, there):
            async with owner_client(time, bearer) as client:
                with pytest.raises(NotSignedIn) as caught:
                    await client.caller(there)
        assert server.heard == []
        assert not bearer or bearer not in everything_in(caught.value)


class TestHosted:
    async def test_who_one_is_and_what_one_has_are_at_two_addresses(self, time: FakeTime) -> None:
        asked = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.host)
            return httpx.Response(404, text="<html>")

        client = Client.for_owner(
            httpx.MockTransport(answer),
            BearerCredential(SecretStr(BEARER)),
            clock=time.clock,
            sleep=time.sleep,
            jitter=lambda: 0.5,
        )
        for call in (client.caller, client.my_tokens):
            with pytest.raises(OrganizationNotFound, match="contoso: no such organization"):
                await call(Organization("contoso"))
        assert asked == ["dev.azure.com", "vssps.dev.azure.com"]


def everything_in(error: BaseException | None) -> str:
    """An error with all that hangs on it, shown or not."""
    shown, seen = "", set[int]()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        shown += f"{each} {each!r} {each.args} {vars(each)} "
        waiting += [each.__cause__, each.__context__]
    return shown


class TestSecrets:
    @pytest.mark.parametrize(
        "answer",
        [
            ISSUED,
            b"",
            f"HTTP/1.1 200 OK\r\nX-Token: {SECRET}".encode(),
            f"{SECRET}\r\n\r\n".encode(),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET.encode() + b"\r\n",
            reply(raw=SECRET.encode(), Content_Encoding="gzip"),
            reply(raw=b'{"patToken": "' + SECRET.encode()),
            reply(body={"patToken": SECRET}),
            reply(body={"patToken": pat_token(token=[SECRET])}),
            reply(body={"patToken": pat_token(token=SECRET, validTo=SECRET)}),
            reply(body={"patToken": pat_token(token=SECRET), "patTokenError": "accessDenied"}),
            reply(body={"patToken": pat_token(token=SECRET), "patTokenError": [SECRET]}),
            reply(body={"patToken": pat_token(token=SECRET)}, cut=3),
            reply(500, {"patToken": pat_token(token=SECRET)}),
            reply(401, {"patToken": pat_token(token=SECRET)}),
            reply(203, raw=SIGN_IN_PAGE + SECRET.encode()),
        ],
    )
    async def test_none_is_in_an_error_or_a_log(
        self, time: FakeTime, caplog: pytest.LogCaptureFixture, answer: bytes
    ) -> None:
        caplog.set_level(logging.DEBUG)
        shown = ""
        async with listening(answer) as (_, there), owner_client(time) as client:
            try:
                shown = repr(await client.create(there, WANTED))
            except AzureDevOpsError as error:
                shown = everything_in(error)
            verdict = await client.works(there, IssuedToken(TOKEN, SecretStr(SECRET)))
        assert verdict is not True
        assert shown
        for secret in (SECRET, SECRET[:20], BEARER):
            assert secret not in shown
            assert secret not in caplog.text

    def test_a_bearer_is_not_shown(self) -> None:
        credential = BearerCredential(SecretStr(BEARER))
        assert not credential.is_pat
        assert BEARER not in f"{credential!r} {vars(credential)}"
