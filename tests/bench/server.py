"""The simulator's organization behind a bare asyncio protocol, so that it is no bottleneck.

Run as `python -m tests.bench.server --users N --latency SECONDS`; prints its port. What it answers
is what the simulator answers; latency is added to each call without keeping a core busy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from urllib.parse import parse_qs, urlsplit

from pat_core.local.shapes import graph_user, session_token
from pat_core.local.simulator import USERS_PAGE
from pat_core.local.world import Person, World, people
from pat_core.model import Token

ORGANIZATION = "contoso-demo"
LOCATIONS = json.dumps(
    {
        "count": 1,
        "value": [
            {
                "id": "af68438b-ed04-4407-9eb6-f1dbae3f922e",
                "area": "tokenadmin",
                "resourceName": "personalaccesstokens",
                "routeTemplate": ORGANIZATION + "/_apis/{area}/{resource}/{subjectDescriptor}",
                "resourceVersion": 1,
                "minVersion": "5.0",
                "maxVersion": "7.2",
                "releasedVersion": "7.1",
            }
        ],
    }
).encode()


class Answers:
    """The reply to each path, kept once it was made while there is room."""

    def __init__(self, world: World, most_kept: int, each: int, every: int) -> None:
        self._world = world
        self._each = each
        self._every = every
        self._most_kept = most_kept
        self._kept: dict[str, bytes] = {}
        self._calls = 0

    def to(self, method: str, target: str) -> bytes:
        if target == "/calls":
            return _http(json.dumps(self._calls).encode())
        self._calls += 1
        if method == "OPTIONS":
            return _http(LOCATIONS)
        url = urlsplit(target)
        if "/graph/users" in url.path:
            return self._users(parse_qs(url.query).get("continuationToken", ["0"])[0])
        if "/membershipstates/" in url.path:
            return ACTIVE
        descriptor = url.path.rpartition("/")[2]
        found = self._kept.get(descriptor)
        if found is None:
            found = self._tokens(descriptor)
            if len(self._kept) < self._most_kept:
                self._kept[descriptor] = found
        return found

    def _users(self, start: str) -> bytes:
        first = int(start)
        page = [graph_user(each) for each in people(self._world, first, first + USERS_PAGE)]
        after = first + USERS_PAGE
        more = f"X-MS-ContinuationToken: {after}\r\n" if after < self._world.users else ""
        return _http(json.dumps({"count": len(page), "value": page}).encode(), more)

    def _tokens(self, descriptor: str) -> bytes:
        person = self._world.find(descriptor)
        tokens = self._owned(person) if person else ()
        value = [session_token(token) for token in tokens]
        return _http(json.dumps({"value": value, "continuationToken": None}).encode())

    def _owned(self, person: Person) -> Sequence[Token]:
        if person.number % self._every:
            return ()
        if self._each < 0:
            return self._world.tokens(person)
        draw = self._world._draw(2, person.number)
        return [self._world._token(draw, person.number, index) for index in range(self._each)]


class Protocol(asyncio.Protocol):
    """HTTP/1.1 with one request after the other on each connection."""

    def __init__(self, answers: Answers, latency: float) -> None:
        self._answers = answers
        self._latency = latency
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            reply = self._answers.to(method, target)
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._send, reply)
            else:
                self._send(reply)

    def _send(self, reply: bytes) -> None:
        if isinstance(self._transport, asyncio.WriteTransport) and not self._transport.is_closing():
            self._transport.write(reply)


def _http(body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


ACTIVE = _http(b'{"active": true}')


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--each", type=int, default=-1)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--keep", type=int, default=20_000)
    asked = parser.parse_args()
    world = World(datetime.now(UTC), asked.users)
    answers = Answers(world, asked.keep, asked.each, asked.every)
    for person in people(world, 0, asked.keep):
        answers.to("GET", f"/{person.descriptor}")
    server = await asyncio.get_running_loop().create_server(
        partial(Protocol, answers, asked.latency), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
