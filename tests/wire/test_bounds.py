"""Replies, messages and forms that have no end, or say what cannot be, are refused in time."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from pat_core.azure_devops import transport
from pat_core.azure_devops.replies import read_tokens
from pat_core.azure_devops.wire import Reply, retry_after
from pat_core.errors import BadMessage, BrokenReply, PatWardenError, Unavailable
from pat_core.messages import ORGANIZATIONS, POISON, ListOrder, read_order
from pat_core.posts import read_asked
from pat_core.summarize import _subject
from tests.fakes import NOW, FakeTime
from tests.service import Service
from tests.simulation.storage import MemoryStore
from tests.wire.test_hostile import (
    CONTOSO,
    LISTINGS,
    RUN,
    SAMPLES,
    TOKEN,
    Said,
    Server,
    as_json,
    client_over,
    is_error,
    outcome,
    posted,
)

MIB = 1 << 20
TOKENS = SAMPLES["tokens"][0]


class Flood(httpx.AsyncBaseTransport):
    """Answers with a body without end, and counts what it handed out."""

    def __init__(self) -> None:
        self.handed_out = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The beginning of it."""
        return httpx.Response(200, stream=Endless(self))


class Endless(httpx.AsyncByteStream):
    def __init__(self, flood: Flood) -> None:
        self.flood = flood

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.flood.handed_out += MIB
            yield b" " * MIB


class Dripping(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b" "


class TestReply:
    def test_a_body_without_end_is_given_up_early(self) -> None:
        flood = Flood()
        assert isinstance(asyncio.run(outcome(TOKENS, flood)), BrokenReply)
        assert flood.handed_out < 2 * transport.MOST_BYTES

    def test_one_that_is_packed_twice_is_not_unpacked(self) -> None:
        bomb = gzip.compress(gzip.compress(b" " * 16 * MIB))
        packed = Said(bomb, headers=((b"Content-Encoding", b"gzip, gzip"),))
        assert isinstance(asyncio.run(outcome(TOKENS, Server([packed]))), BrokenReply)

    def test_one_that_drips_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "_LONGEST", 0.1)
        drip = httpx.MockTransport(lambda _: httpx.Response(200, stream=Dripping()))
        assert isinstance(asyncio.run(outcome(TOKENS, drip)), Unavailable)

    @pytest.mark.parametrize("name", LISTINGS)
    def test_pages_without_end_are_given_up(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pat_core.azure_devops.paging.MOST_PAGES", 20)
        asked = 0

        def answer(_: httpx.Request) -> httpx.Response:
            nonlocal asked
            asked += 1
            body = {"value": [], "patTokens": [], "continuationToken": f"p{asked}"}
            headers = {"X-MS-ContinuationToken": f"p{asked}"}
            return httpx.Response(200, json=body, headers=headers)

        found = asyncio.run(outcome(SAMPLES[name][0], httpx.MockTransport(answer)))
        assert isinstance(found, BrokenReply)
        assert asked == 20

    @pytest.mark.parametrize("name", ["tokens", "my tokens"])
    def test_a_continuation_token_too_long_for_an_address_is_refused(self, name: str) -> None:
        body = {"value": [], "patTokens": [], "continuationToken": "x" * 70_000}
        found = asyncio.run(outcome(SAMPLES[name][0], Server([Said(as_json(body))])))
        assert isinstance(found, BrokenReply)

    def test_a_descriptor_too_long_for_an_address_is_refused(self) -> None:
        async def ask() -> object:
            server = Server([Said(b'{"value":[]}')])
            try:
                return await client_over(server).tokens(CONTOSO, "aad." + "x" * 70_000)
            except PatWardenError as fault:
                return fault

        assert is_error(asyncio.run(ask()))

    @pytest.mark.parametrize(
        "date",
        [
            "Mon, 23 Nov 2026 08:00:00 -0000",
            "Mon, 23 Nov 2026 08:00:00",
            "Mon, 23 Nov 99999999999999999999 08:00:00 GMT",
            "Mon, 23 Nov 2026 08:00:00 +99999999999999999999",
            "Mon, 23 Nov 2026 08:00:00 GMT, 7",
        ],
    )
    def test_a_date_that_is_none_or_now_asks_for_no_pause(self, date: str) -> None:
        assert retry_after(Reply(200, {"retry-after": date}, b""), NOW) in (None, 0.0)

    @pytest.mark.parametrize(
        "odd",
        [
            {"validTo": 5},
            {"validTo": 1.5},
            {"validTo": "1e3"},
            {"validTo": "7"},
            {"isPublic": "yes"},
            {"isPublic": 1},
            {"isValid": "no"},
            {"authorizationId": "\n"},
        ],
    )
    def test_what_only_looks_like_it_is_a_fault_in_clean_words(
        self, odd: dict[str, object]
    ) -> None:
        reading, _ = read_tokens(Reply(200, {}, as_json({"value": [TOKEN | odd]})))
        assert reading.tokens == ()
        (fault,) = reading.faults
        assert fault.isprintable()


class TestMessage:
    def test_a_field_with_a_hostile_name_makes_no_line_of_its_own(self) -> None:
        message = json.dumps({"run_id": RUN, "organization": "c", "x\n" * 5000: 1})
        with pytest.raises(BadMessage) as caught:
            read_order(ListOrder, message)
        assert caught.value.cause.isprintable()
        assert len(caught.value.cause) < 300

    @pytest.mark.parametrize("page", ["0", "-1", "9" * 4000])
    def test_a_page_that_cannot_be_is_refused(self, page: str) -> None:
        message = f'{{"run_id": "{RUN}", "organization": "c", "page": {page}}}'
        with pytest.raises(BadMessage):
            read_order(ListOrder, message)

    @pytest.mark.parametrize(
        "digits",
        [
            "99999999T999999.999999Z",
            "\u0662\u0660\u0662\u0666\u0661\u0661\u0662\u0663T080000.000000Z",
        ],
    )
    def test_a_run_of_no_time_goes_to_poison(self, digits: str) -> None:
        async def waiting() -> int:
            service = Service(MemoryStore(), FakeTime())
            message = {"run_id": f"{digits}-abcdef", "organization": "contoso"}
            async with service.host() as host:
                await service.memory.send(ORGANIZATIONS, json.dumps(message))
                await host.drain()
                assert host.failures == []
            return (await service.memory.waiting(ORGANIZATIONS + POISON)).count

        assert asyncio.run(waiting()) == 1

    @pytest.mark.parametrize("message", ["[" * 60_000, '{"organization":"\\ud800","run_id":"x"}'])
    def test_what_was_given_up_is_named_whatever_it_is(self, message: str) -> None:
        assert _subject(message).encode()


@pytest.mark.parametrize("body", [b"[" * 19_000, b'{"reason":"\\ud800"}'])
def test_a_form_that_cannot_be_read_says_so(body: bytes) -> None:
    with pytest.raises(ValueError, match="Invalid JSON"):
        read_asked(posted(body, "Bearer x"), "rotate")
