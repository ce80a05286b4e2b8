"""Whatever comes from outside fails in our own words, is counted whole, and ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import format_datetime
from time import process_time
from typing import Final
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from pat_core.address import usable_address
from pat_core.azure_devops.client import Client, Patience
from pat_core.azure_devops.credential import BearerCredential
from pat_core.azure_devops.enrolment import Enrolment
from pat_core.azure_devops.pace import Pace
from pat_core.azure_devops.replies import read_my_tokens, read_tokens, read_users
from pat_core.azure_devops.wire import Reply
from pat_core.bodies import Nothing
from pat_core.bootstrap import http_transport
from pat_core.desk import Desk
from pat_core.errors import BadMessage, BrokenReply, PatWardenError, Unavailable
from pat_core.ledger.sqlite import SqliteStore
from pat_core.messages import ListOrder, ScanOrder, read_order
from pat_core.model import (
    IssuedToken,
    NewToken,
    Organization,
    Owner,
    Token,
    TokenReading,
    UserPage,
)
from pat_core.outbox import trace_rows
from pat_core.posts import ACTIONS, read_asked
from pat_core.reports import ARRIVED, LOST, Reports
from pat_core.rows import OUTBOX, Change, Verb
from pat_core.web.http import WebRequest
from tests.builders import ANA
from tests.fakes import NOW, FakeTime, scripted

hostile = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

CONTOSO = Organization("contoso")
ID = "4ab5764f-4193-4f1d-b995-64144880b7d7"
OTHER = "eabb38b2-48ef-440b-959b-b9e6cb37a64e"
ZERO = "00000000-0000-0000-0000-000000000000"
GROUP = "Project Collection Administrators"
WANTED = NewToken("build", "vso.code", NOW + timedelta(days=30))
HELD = Token(ID, "build", "vso.code", NOW, NOW + timedelta(days=3))
USER: Final[dict[str, object]] = {
    "subjectKind": "user",
    "descriptor": "aad.YW5h",
    "displayName": "Ana Almeida",
    "mailAddress": "ana@contoso.example",
    "principalName": "ana@contoso.example",
}
TOKEN: Final[dict[str, object]] = {
    "authorizationId": ID,
    "displayName": "build",
    "scope": "vso.code",
    "validFrom": "2026-11-23T08:00:00.1033333Z",
    "validTo": "2026-12-23T08:00:00",
    "targetAccounts": [OTHER],
    "isValid": True,
    "isPublic": False,
}
WHO: Final = {
    "id": OTHER,
    "descriptor": "Microsoft.IdentityModel.Claims.ClaimsIdentity;x",
    "subjectDescriptor": "aad.YW5h",
    "providerDisplayName": "Ana Almeida",
    "properties": {"Account": {"$type": "System.String", "$value": "ana@contoso.example"}},
}
MADE: Final = {
    "patToken": TOKEN | {"token": "invented"},
    "patTokenError": "none",
    "patTokenErrorMessage": None,
}
ADDED: Final = {
    "isSuccess": False,
    "operationResult": {
        "isSuccess": False,
        "errors": [{"key": 5000, "value": "VS403283: no such identity"}],
        "result": {"servicePrincipal": {"descriptor": "aadsp.eA"}},
    },
    "servicePrincipalEntitlement": None,
}


async def every_page(client: Client) -> list[UserPage]:
    return [page async for page in client.user_pages(CONTOSO)]


Call = Callable[[Client, Enrolment], Awaitable[object]]
SAMPLES: Final[Mapping[str, tuple[Call, object]]] = {
    "one page of users": (lambda c, _: c.user_page(CONTOSO), {"value": [USER, USER]}),
    "all users": (lambda c, _: every_page(c), {"value": [USER, USER]}),
    "tokens": (
        lambda c, _: c.tokens(CONTOSO, "aad.x"),
        {"value": [TOKEN, TOKEN], "continuationToken": None},
    ),
    "is active": (lambda c, _: c.is_active(CONTOSO, "aad.x"), {"active": True}),
    "caller": (lambda c, _: c.caller(CONTOSO), {"authenticatedUser": WHO}),
    "works": (
        lambda c, _: c.works(CONTOSO, IssuedToken(HELD, SecretStr("invented"))),
        {"authenticatedUser": WHO},
    ),
    "my tokens": (
        lambda c, _: c.my_tokens(CONTOSO),
        {"patTokens": [TOKEN, TOKEN], "continuationToken": ""},
    ),
    "my token": (lambda c, _: c.my_token(CONTOSO, ID), MADE),
    "create": (lambda c, _: c.create(CONTOSO, WANTED), MADE),
    "extend": (lambda c, _: c.extend(CONTOSO, HELD, WANTED.valid_to), MADE),
    "revoke": (lambda c, _: c.revoke(CONTOSO, ID), MADE),
    "revoke anybody's": (lambda c, _: c.revoke_tokens(CONTOSO, [ID] * 101), {}),
    "find a group": (
        lambda _, e: e.find_group(CONTOSO, GROUP),
        {"value": [{"descriptor": "vssgp.eA", "principalName": f"[contoso]\\{GROUP}"}]},
    ),
    "find an identity": (
        lambda _, e: e.find_identity(CONTOSO, ID),
        {"value": [{"descriptor": "aadsp.eA", "originId": ID}], "active": True},
    ),
    "add an identity": (lambda _, e: e.add_identity(CONTOSO, ID), ADDED),
    "is member": (lambda _, e: e.is_member(CONTOSO, "aadsp.eA", "vssgp.eA"), {}),
    "add a member": (lambda _, e: e.add_member(CONTOSO, "aadsp.eA", "vssgp.eA"), {}),
}
"""Every call of the client with a body that answers it."""
LISTINGS: Final = ("all users", "tokens", "my tokens", "find a group", "find an identity")


@dataclass(frozen=True)
class Said:
    """One reply as a server gives it."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass
class Server(httpx.AsyncBaseTransport):
    """Gives these replies in their order and then the first again."""

    replies: Sequence[Said]
    asked: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        said = self.replies[self.asked % len(self.replies)]
        self.asked += 1
        stream = httpx.ByteStream(said.body)
        return httpx.Response(said.status, headers=list(said.headers), stream=stream)


def client_over(transport: httpx.AsyncBaseTransport, attempts: int = 2) -> Client:
    time = FakeTime()
    return Client(
        transport,
        BearerCredential(SecretStr("invented")),
        Pace(clock=time.clock, sleep=time.sleep, most=4, patience=timedelta(hours=1)),
        clock=time.clock,
        sleep=time.sleep,
        jitter=lambda: 0.5,
        patience=Patience(attempts),
    )


async def outcome(call: Call, server: httpx.AsyncBaseTransport) -> object:
    """What a call brings or raises; anything but an error of ours goes through."""
    client = client_over(server)
    try:
        return await call(client, Enrolment(client._sender))
    except PatWardenError as error:
        return error


async def outcomes(*replies: Said) -> dict[str, object]:
    """What each call comes to where these are the replies."""
    return {name: await outcome(call, Server(replies)) for name, (call, _) in SAMPLES.items()}


def is_sound(found: object) -> bool:  # noqa: PLR0911 - one line for each kind
    """True for what the rest of the program can rely on, an error of one plain line among it."""
    match found:
        case PatWardenError():
            # What cannot be read may be told by one character of it, whichever that is.
            plain = found.cause.isprintable() or isinstance(found, BrokenReply)
            return plain and 0 < len(found.cause) < 500
        case Token():
            UUID(found.authorization_id)
            texts, times = (found.display_name, found.scope), (found.valid_from, found.valid_to)
            zones = [each.tzinfo for each in times]
            flags = {type(found.is_valid), type(found.is_global)}
            return all_text(texts) and zones == [UTC, UTC] and flags == {bool}
        case Owner():
            known = bool(found.subject_descriptor) and isinstance(found.display_name, str)
            return known and found.address == usable_address(found.address)
        case IssuedToken():
            return is_sound(found.token) and bool(found.secret.get_secret_value())
        case TokenReading():
            return all(map(is_sound, found.tokens)) and all_text(found.faults)
        case UserPage():
            return all(map(is_sound, found.owners)) and all_text(found.faults)
        case list():
            return all(map(is_sound, found))
    return found is None or isinstance(found, bool | str)


def is_error(found: object) -> bool:
    return isinstance(found, PatWardenError)


def unsound(found: Mapping[str, object]) -> dict[str, object]:
    return {name: each for name, each in found.items() if not is_sound(each)}


def all_text(given: Sequence[object]) -> bool:
    return all(isinstance(each, str) for each in given)


def as_json(body: object) -> bytes:
    return json.dumps(body).encode()


def places(body: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to each value of a body, the whole of it first."""
    yield at
    if isinstance(body, Mapping):
        for name, each in body.items():
            yield from places(each, (*at, name))
    elif isinstance(body, list):
        for place, each in enumerate(body):
            yield from places(each, (*at, place))


def swapped(body: object, way: Sequence[str | int], value: object) -> object:
    """A copy of a body with another value at the end of that way."""
    if not way:
        return value
    first, rest = way[0], way[1:]
    pairs = body.items() if isinstance(body, Mapping) else enumerate(as_list(body))
    found = {name: swapped(each, rest, value) if name == first else each for name, each in pairs}
    return found if isinstance(body, Mapping) else list(found.values())


def as_list(body: object) -> list[object]:
    assert isinstance(body, list)
    return body


NASTY = st.sampled_from(
    [
        ZERO,
        ID,
        f"{{{ID}}}",
        "none",
        "tokenNotFound",
        "TF400813",
        "TF400733",
        "VS403283",
        "System:PublicAccess",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2026-02-30T00:00:00Z",
        "1e400",
        "9" * 5000,
        "left\u202etfel\r\nBcc: x\x00\x1b[31m",
        "x" * 10_000,
    ]
)
TEXTS = st.text(max_size=20) | NASTY
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([2**31, 2**63, -(2**64), 253_402_300_800, 10**30, -(10**4299)]),
)


def jsons(texts: st.SearchStrategy[str]) -> st.SearchStrategy[object]:
    """Any JSON with such texts in it."""
    return st.recursive(
        st.none() | st.booleans() | NUMBERS | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=6,
    )


JSON = jsons(TEXTS)
# Half of a surrogate pair is no text, but JSON can spell it.
ODD_JSON = jsons(st.text(st.characters(), max_size=20) | NASTY)
STATUSES = st.one_of(
    st.sampled_from([200, 200, 200, 201, 203, 204, 302, 400, 401, 403, 404, 429, 500, 503]),
    st.integers(0, 999),
)
HEADER_BYTES = st.binary(max_size=40).map(lambda raw: raw.translate(None, b"\r\n\x00"))
HEADER_NUMBERS = st.one_of(st.integers(), st.floats()).map(lambda number: str(number).encode())
HEADER_DATES = st.datetimes(timezones=st.just(UTC)).map(
    lambda time: format_datetime(time, usegmt=True).encode()
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                b"Retry-After",
                b"X-RateLimit-Remaining",
                b"X-RateLimit-Limit",
                b"X-MS-ContinuationToken",
                b"Content-Encoding",
                b"Content-Length",
                b"Content-Type",
                b"Location",
                b"Set-Cookie",
            ]
        ),
        st.one_of(HEADER_BYTES, HEADER_NUMBERS, HEADER_DATES, st.just(b"gzip, deflate")),
    ),
    max_size=4,
    unique_by=lambda header: header[0],
).map(tuple)


RAW_LENGTHS = st.builds(
    b"%b: %b".__mod__,
    st.tuples(
        st.sampled_from([b"Content-Length", b"Transfer-Encoding", b"Connection"]),
        st.just(b"chunked") | st.binary(max_size=9) | HEADER_NUMBERS,
    ),
)
RAW_REPLIES = st.builds(
    lambda status, headers, body: b"\r\n".join([b"HTTP/1.1 %d x" % status, *headers, b"", body]),
    STATUSES,
    st.lists(st.binary(max_size=30) | RAW_LENGTHS, max_size=4),
    st.binary(max_size=60),
)


@st.composite
def almost_right(
    draw: st.DrawFn, body: object, values: st.SearchStrategy[object] = ODD_JSON
) -> object:
    """The body with one of its values replaced."""
    way = draw(st.sampled_from(list(places(body))))
    return swapped(body, way, draw(values))


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """The body with a few of its bytes replaced by none or by others."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 3)) :]
    return body


Line = Callable[[Callable[[httpx.AsyncBaseTransport], Awaitable[object]]], object]


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    """Carries out what needs the transport that the service has, which is slow to make."""
    with asyncio.Runner() as runner:
        transport = http_transport(1)

        async def carried_out(
            ask: Callable[[httpx.AsyncBaseTransport], Awaitable[object]],
        ) -> object:
            return await ask(transport)

        yield lambda ask: runner.run(carried_out(ask))
        runner.run(transport.aclose())


class TestEveryCall:
    @hostile
    @given(st.binary(max_size=60), STATUSES, HEADERS)
    def test_no_bytes_bring_a_fault_that_is_not_ours(
        self, body: bytes, status: int, headers: tuple[tuple[bytes, bytes], ...]
    ) -> None:
        found = asyncio.run(outcomes(Said(body, status, headers)))
        assert unsound(found) == {}

    @hostile
    @given(
        ODD_JSON | st.fixed_dictionaries({"message": ODD_JSON}),
        STATUSES,
        HEADERS,
    )
    def test_no_json_brings_one_either(
        self, body: object, status: int, headers: tuple[tuple[bytes, bytes], ...]
    ) -> None:
        found = asyncio.run(outcomes(Said(as_json(body), status, headers)))
        assert unsound(found) == {}

    @pytest.mark.parametrize("name", SAMPLES)
    def test_the_sample_is_read(self, name: str) -> None:
        call, body = SAMPLES[name]
        found = asyncio.run(outcome(call, Server([Said(as_json(body))])))
        assert is_sound(found)
        assert is_error(found) is (name == "add an identity")

    @pytest.mark.parametrize("name", [name for name, (_, body) in SAMPLES.items() if body])
    @settings(hostile, max_examples=20)
    @given(st.data())
    def test_what_is_almost_right_is_read_or_refused(self, name: str, data: st.DataObject) -> None:
        call, body = SAMPLES[name]
        wrong = data.draw(st.one_of(almost_right(body).map(as_json), damaged(as_json(body))))
        assert is_sound(asyncio.run(outcome(call, Server([Said(wrong)]))))

    @pytest.mark.parametrize("status", [200, 400])
    @pytest.mark.parametrize("opened", [b"[", b'{"value":', b'{"message":'])
    def test_json_too_deep_to_read_is_refused(self, opened: bytes, status: int) -> None:
        found = asyncio.run(outcomes(Said(opened * 100_000, status)))
        assert unsound(found) == {}
        assert is_error(found["tokens"])
        assert is_error(found["one page of users"])

    @hostile
    @given(st.binary(max_size=60) | RAW_REPLIES)
    def test_what_is_no_http_is_no_answer(self, line: Line, raw: bytes) -> None:
        async def asked(transport: httpx.AsyncBaseTransport) -> object:
            async with scripted(raw) as script:
                there = Organization("contoso", base_url=script.base_url)
                client = client_over(transport, attempts=1)
                try:
                    return await client.tokens(there, "aad.x")
                except PatWardenError as error:
                    return error

        assert is_sound(line(asked))


def ids(prefix: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.uuids().map(lambda each: f"{prefix}{each}"), max_size=5, unique=True)


def mixed(
    draw: st.DrawFn, sample: Mapping[str, object], name: str, prefix: str = ""
) -> tuple[list[object], list[str]]:
    """Items in any order, and the names of those among them with which nothing is wrong."""
    good = draw(ids(prefix))
    bad = draw(st.lists(st.one_of(JSON, almost_right(sample, JSON)), max_size=3))
    items: list[object] = [*({**sample, name: each} for each in good), *bad]
    return draw(st.permutations(items)), good


@st.composite
def token_items(draw: st.DrawFn) -> tuple[list[object], list[str]]:
    """Tokens, what is none, and the ids of those that are."""
    return mixed(draw, TOKEN, "authorizationId")


@st.composite
def user_items(draw: st.DrawFn) -> tuple[list[object], list[str]]:
    """Users, what is none, and the descriptors of those that are."""
    return mixed(draw, USER, "descriptor", "aad.")


def may_be_a_key(item: object) -> bool:
    """True for what may be meant as an SSH key."""
    return isinstance(item, dict) and item.get("isPublic") not in (None, False)


def may_be_no_owner(item: object) -> bool:
    """True for what may be meant as a group or a service identity."""
    if not isinstance(item, dict):
        return False
    kind, descriptor = item.get("subjectKind"), item.get("descriptor")
    return (isinstance(kind, str) and kind.lower() not in ("", "user")) or (
        isinstance(descriptor, str) and not descriptor.startswith("aad.")
    )


def said(body: object) -> Reply:
    return Reply(200, {}, as_json(body))


def numbers(faults: Sequence[str], noun: str) -> list[int]:
    """Which items the faults name, counted from 1."""
    assert all(fault.startswith(f"{noun} ") for fault in faults)
    return [int(fault.removeprefix(f"{noun} ").partition(":")[0]) for fault in faults]


class TestCounting:
    @hostile
    @given(token_items())
    def test_a_token_is_read_or_named_as_a_fault(
        self, given: tuple[list[object], list[str]]
    ) -> None:
        items, good = given
        reading, _ = read_tokens(said({"value": items}))
        assert is_sound(reading)
        left_out = len(items) - len(reading.tokens) - len(reading.faults)
        assert 0 <= left_out <= len([each for each in items if may_be_a_key(each)])
        assert {token.authorization_id for token in reading.tokens} >= set(good)
        named = numbers(reading.faults, "token")
        assert len(set(named)) == len(named)
        for number in named:
            item = items[number - 1]
            assert not isinstance(item, dict) or item.get("authorizationId") not in good

    @hostile
    @given(user_items())
    def test_a_user_is_read_or_named_as_a_fault(
        self, given: tuple[list[object], list[str]]
    ) -> None:
        items, good = given
        page = read_users(CONTOSO, said({"value": items}))
        assert is_sound(page)
        left_out = len(items) - len(page.owners) - len(page.faults)
        assert 0 <= left_out <= len([each for each in items if may_be_no_owner(each)])
        assert {owner.subject_descriptor for owner in page.owners} >= set(good)
        named = numbers(page.faults, "user")
        assert len(set(named)) == len(named)
        for number in named:
            item = items[number - 1]
            assert not isinstance(item, dict) or item.get("descriptor") not in good

    @hostile
    @given(token_items())
    def test_my_tokens_are_read_all_or_not_at_all(
        self, given: tuple[list[object], list[str]]
    ) -> None:
        items, good = given
        try:
            reading, _ = read_my_tokens(said({"patTokens": items}))
        except BrokenReply:
            assert len(items) > len(good)
        else:
            assert len(reading.tokens) == len(items)
            assert is_sound(reading)

    @pytest.mark.parametrize("name", ["one page of users", "tokens", "my tokens", "is active"])
    def test_what_is_cut_short_is_never_read_as_less(self, name: str) -> None:
        call, body = SAMPLES[name]
        whole = as_json(body)

        async def read() -> list[object]:
            cuts = [Server([Said(whole[:end])]) for end in range(0, len(whole), 2)]
            return [await outcome(call, cut) for cut in cuts]

        assert all(isinstance(each, BrokenReply) for each in asyncio.run(read()))

    @hostile
    @given(st.sampled_from(LISTINGS), st.one_of(ODD_JSON.map(as_json), st.binary(max_size=40)))
    def test_a_later_page_that_cannot_be_read_fails_the_whole_listing(
        self, name: str, second: bytes
    ) -> None:
        call, _ = SAMPLES[name]
        empty = {"value": [], "patTokens": [], "continuationToken": "next"}
        first = Said(as_json(empty), headers=((b"X-MS-ContinuationToken", b"next"),))
        server = Server([first, Said(second)])
        assert is_error(asyncio.run(outcome(call, server)))

    @pytest.mark.parametrize("name", SAMPLES)
    def test_no_fault_repeats_what_stood_in_its_place(self, name: str) -> None:
        call, body = SAMPLES[name]
        for way in places(body):
            wrong = as_json(swapped(body, way, "s3cret"))
            found = asyncio.run(outcome(call, Server([Said(wrong)])))
            faults = getattr(found, "faults", ())
            meant = {"patTokenError", "patTokenErrorMessage", "errors"} & {*way}
            assert meant or "s3cret" not in f"{faults} {found if is_error(found) else ''}"


class TestBounds:
    @pytest.mark.parametrize("name", LISTINGS)
    @pytest.mark.parametrize("length", [1, 2, 30])
    def test_pages_that_lead_back_are_given_up_at_once(self, name: str, length: int) -> None:
        call, _ = SAMPLES[name]
        pages = [
            Said(
                as_json({"value": [], "patTokens": [], "continuationToken": f"p{number}"}),
                headers=((b"X-MS-ContinuationToken", f"p{number}".encode()),),
            )
            for number in range(length)
        ]
        server = Server(pages)
        found = asyncio.run(outcome(call, server))
        assert isinstance(found, BrokenReply)
        assert "twice" in found.cause
        assert server.asked == length + 1

    def test_a_hundred_thousand_tokens_of_one_user_are_read_and_their_faults_named(self) -> None:
        call, _ = SAMPLES["tokens"]
        least = as_json({name: TOKEN[name] for name in ("authorizationId", "validTo")})
        items = [least] * 90_000 + [b"{}"] * 10_000
        server = Server([Said(b'{"value": [' + b",".join(items) + b"]}")])
        began = process_time()
        found = asyncio.run(outcome(call, server))
        assert process_time() - began < 15
        assert isinstance(found, TokenReading)
        assert len(found.tokens) == 90_000
        assert numbers(found.faults, "token") == list(range(90_001, 100_001))

    @pytest.mark.parametrize("endless", [b"X-Long: ", b"X-Many: 1\r\n"])
    def test_a_head_without_end_is_given_up_early(self, line: Line, endless: bytes) -> None:
        handed_out = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal handed_out
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 x\r\n")
            try:
                while handed_out < 1 << 30:
                    writer.write(endless * 1000)
                    handed_out += len(endless) * 1000
                    await writer.drain()
            except ConnectionError:
                writer.close()

        async def asked(transport: httpx.AsyncBaseTransport) -> None:
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            there = Organization("contoso", f"http://127.0.0.1:{port}/contoso")
            async with server:
                with pytest.raises(Unavailable):
                    await client_over(transport, attempts=1).tokens(there, "aad.x")

        line(asked)
        assert handed_out < 1 << 26


RUN = "20261123T080000.000000Z-abcdef"
ORDERS: Final[Mapping[type[ListOrder | ScanOrder], object]] = {
    ListOrder: json.loads(ListOrder(run_id=RUN, organization="contoso").to_json()),
    ScanOrder: {
        "version": 1,
        "run_id": RUN,
        "organization": "contoso",
        "users": [{"descriptor": "aad.x", "name": "Ana", "address": "ana@contoso.example"}],
        "unlisted": 1,
        "faults": ["user 2: descriptor is missing"],
        "part": 1,
    },
}


class TestMessages:
    @pytest.mark.parametrize("kind", ORDERS)
    @hostile
    @given(st.data())
    def test_a_message_is_an_order_or_a_bad_message(
        self, kind: type[ListOrder | ScanOrder], data: st.DataObject
    ) -> None:
        sample = ORDERS[kind]
        raw = data.draw(
            st.one_of(
                st.binary(max_size=60),
                ODD_JSON.map(as_json),
                almost_right(sample).map(as_json),
                damaged(as_json(sample)),
            )
        )
        try:
            order = read_order(kind, raw.decode(errors="replace"))
        except BadMessage:
            return
        again = read_order(kind, order.to_json())
        assert (again, again.key) == (order, order.key)

    @pytest.mark.parametrize("kind", ORDERS)
    @pytest.mark.parametrize("opened", ["[", '{"users":', '{"users":[', "\ud800"])
    def test_what_no_parser_reads_is_a_bad_message(
        self, kind: type[ListOrder | ScanOrder], opened: str
    ) -> None:
        with pytest.raises(BadMessage):
            read_order(kind, opened * 100_000)


OPERATION = "11111111-1111-4111-8111-111111111111"
REPORT: Final = {
    "sender": "pat@contoso.example",
    "recipient": "ana@contoso.example",
    "messageId": OPERATION,
    "status": "Delivered",
    "deliveryStatusDetails": {"statusMessage": "OK"},
    "deliveryAttemptTimeStamp": "2026-11-23T08:00:00Z",
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reports]:
    """What hears of one mail that was sent to somebody who is owed nothing by now."""
    store = SqliteStore(tmp_path_factory.mktemp("ledger") / "ledger.db")
    (row,) = trace_rows(OPERATION, ANA.address, "email", [ANA])
    asyncio.run(store.write(OUTBOX, [Change(Verb.PUT, row)]))
    yield Reports(Desk(store, FakeTime().clock, ("email", "teams")))
    store.close()


class TestReports:
    @hostile
    @given(st.one_of(ODD_JSON, almost_right(REPORT)))
    def test_an_event_is_heard_or_ignored(self, reports: Reports, data: object) -> None:
        asyncio.run(reports.hear(data))

    @hostile
    @given(TEXTS | st.just(OPERATION), TEXTS | st.sampled_from([ARRIVED, *LOST]))
    def test_no_id_and_no_status_does_harm(
        self, reports: Reports, message_id: str, status: str
    ) -> None:
        asyncio.run(reports.hear({"messageId": message_id, "status": status}))


def posted(body: bytes, authorization: str = "") -> WebRequest:
    return WebRequest("POST", "/tokens", {"authorization": authorization}, body=body)


BODIES = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet="&=%;+aF0\x00\ud7ff", max_size=60).map(str.encode),
    ODD_JSON.map(as_json),
    damaged(as_json({"lifetime_days": 30, "to": "page"})),
)
LARGE = [b"a=1&" * 10_000, b'{"a": 1}' + b" " * 30_000]


class TestForms:
    @hostile
    @given(BODIES)
    def test_a_body_is_fields_of_text_or_a_value_error(self, body: bytes) -> None:
        try:
            fields = posted(body).fields
        except ValueError:
            return
        assert all_text([*fields, *fields.values()])

    @hostile
    @given(
        BODIES,
        st.sampled_from(["", "Bearer invented", "bearer  ", "Basic x"]),
        st.sampled_from(["", *ACTIONS]),
    )
    def test_a_body_is_what_is_asked_for_or_a_value_error(
        self, body: bytes, authorization: str, action: str
    ) -> None:
        try:
            asked = read_asked(posted(body, authorization), action)
        except ValueError:
            return
        assert isinstance(asked, ACTIONS.get(action, Nothing))

    @pytest.mark.parametrize("body", LARGE)
    def test_a_body_too_large_for_a_form_is_a_value_error(self, body: bytes) -> None:
        with pytest.raises(ValueError, match="too large"):
            _ = posted(body).fields

    @pytest.mark.parametrize("authorization", ["", "Bearer invented"])
    @pytest.mark.parametrize("body", LARGE)
    def test_a_body_too_large_to_be_read_is_a_value_error(
        self, body: bytes, authorization: str
    ) -> None:
        with pytest.raises(ValueError, match="too large"):
            read_asked(posted(body, authorization), "rotate")
