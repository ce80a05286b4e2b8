"""Hand-written stand-ins: time that moves when told to, a server that says what it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pat_core.errors import AzureDevOpsError
from pat_core.model import Digest, Organization, Owner, Token, TokenReading, UserPage
from pat_core.ports import Outcome
from pat_core.signals import Metric

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@dataclass
class FakeTime:
    """A clock that stands still until somebody sleeps or a test moves it."""

    now: datetime = NOW
    slept: list[float] = field(default_factory=list)

    def clock(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Heard:
    """A request as it stood on the wire."""

    target: str
    headers: dict[str, str]


@dataclass
class Script:
    """A server on loopback that gives the same replies in their order, the last one for ever."""

    replies: Sequence[bytes]
    heard: list[Heard] = field(default_factory=list)
    base_url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        self.heard.append(Heard(first.split()[1], {k.lower(): v for k, v in headers.items()}))
        writer.write(self.replies[min(len(self.heard), len(self.replies)) - 1])
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def reply(
    status: int = 200,
    body: object = None,
    *,
    raw: bytes | None = None,
    cut: int = 0,
    **headers: str,
) -> bytes:
    """An HTTP reply as bytes; with `cut`, that many bytes of the promised body are missing."""
    content = json.dumps(body).encode() if raw is None else raw
    lines = [
        f"HTTP/1.1 {status} x",
        f"Content-Length: {len(content) + cut}",
        "Connection: close",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@asynccontextmanager
async def scripted(*replies: bytes) -> AsyncIterator[Script]:
    """A server that gives these replies, one connection each."""
    script = Script(replies)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/contoso"
    try:
        yield script
    finally:
        server.close()
        await server.wait_closed()


@dataclass
class FakeMeter:
    """Keeps each point: the metric's name, its attributes and the value."""

    points: list[tuple[str, dict[str, str], float]] = field(default_factory=list)

    def record(self, metric: Metric, value: float, **attributes: str) -> None:
        assert set(attributes) == set(metric.attributes)
        self.points.append((metric.name, attributes, value))

    def of(self, metric: Metric) -> list[tuple[float, str]]:
        """The values of one metric, each with its attributes in one line."""
        return [
            (value, " ".join(attributes.values()))
            for name, attributes, value in self.points
            if name == metric.name
        ]


@dataclass
class FakeAzureDevOps:
    """An organization held in dictionaries; a token list may be an error instead."""

    users: list[Owner] = field(default_factory=list)
    owned: dict[str, list[Token] | AzureDevOpsError] = field(default_factory=dict)
    inactive: set[str] = field(default_factory=set)
    page: int = 500
    listing_fails: AzureDevOpsError | None = None
    faults: tuple[str, ...] = ()
    listed: list[int] = field(default_factory=list)
    read: list[str] = field(default_factory=list)

    async def user_page(self, organization: Organization, continuation_token: str = "") -> UserPage:
        start = int(continuation_token or 0)
        self.listed.append(start)
        await asyncio.sleep(0)
        page = tuple(self.users[start : start + self.page])
        if self.listing_fails and not page:
            raise self.listing_fails
        end = start + self.page
        more = end < len(self.users) or self.listing_fails
        return UserPage(page, continuation_token=str(end) if more else "")

    async def user_pages(self, organization: Organization) -> AsyncIterator[UserPage]:
        after: str | None = None
        while after != "":
            page = await self.user_page(organization, after or "")
            yield page
            after = page.continuation_token

    async def tokens(self, organization: Organization, subject_descriptor: str) -> TokenReading:
        self.read.append(subject_descriptor)
        await asyncio.sleep(0)
        found = self.owned.get(subject_descriptor, [])
        if isinstance(found, AzureDevOpsError):
            raise found
        return TokenReading(tuple(found), self.faults)

    async def is_active(self, organization: Organization, subject_descriptor: str) -> bool:
        return subject_descriptor not in self.inactive


@dataclass
class FakeChannel:
    """Keeps what it was given, once for each operation id, as a provider does."""

    clock: Callable[[], datetime]
    sent: dict[str, Digest] = field(default_factory=dict)
    calls: list[tuple[str, str, datetime]] = field(default_factory=list)
    fails: BaseException | None = None
    after_sending: BaseException | None = None
    knows: Outcome | Exception = Outcome.UNKNOWN
    asked: list[str] = field(default_factory=list)

    async def send(self, digest: Digest, *, operation_id: str, claimed_at: datetime) -> None:
        self.calls.append((digest.recipient, operation_id, claimed_at))
        if self.fails:
            raise self.fails
        self.sent.setdefault(operation_id, digest)
        if self.after_sending:
            raise self.after_sending

    async def outcome(self, operation_id: str) -> Outcome:
        self.asked.append(operation_id)
        if isinstance(self.knows, Exception):
            raise self.knows
        return self.knows

    def told(self) -> list[tuple[str, str, int]]:
        """Who was told of which token in which window."""
        return [
            (digest.recipient, notice.token.authorization_id, notice.window)
            for digest in self.sent.values()
            for notice in digest.notices
        ]
