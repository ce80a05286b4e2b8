"""One request over one httpx transport, and why it got no reply."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiohttp
import httpx

from pat_core.azure_devops import wire
from pat_core.azure_devops.wire import Reply, Request
from pat_core.errors import BrokenReply

BROKEN: Final = (httpx.RequestError, aiohttp.ClientError)
"""What a broken connection raises."""
_CONNECT_SECONDS: Final = 10
_LONGEST: Final = 300
"""Seconds for a whole reply: one that drips is never silent."""
MOST_BYTES: Final = 64 << 20


async def send(
    transport: httpx.AsyncBaseTransport,
    request: Request,
    authorization: str,
    limits: dict[str, Any],
) -> Reply:
    """The reply to one request, sent once within the `limits` of time. Raises what BROKEN names."""
    headers = {**wire.HEADERS, "Authorization": authorization}
    if request.body:
        headers["Content-Type"] = "application/json"
    # Past httpx' client: the cookies, redirects and merging that it adds are not wanted here,
    # and cost half as much again as the call.
    try:
        asked = httpx.Request(
            request.call.method,
            request.url,
            headers=headers,
            content=request.body or None,
            extensions={"timeout": limits},
        )
    except httpx.InvalidURL:
        raise BrokenReply("A reply led to an address that is none.") from None
    try:
        async with asyncio.timeout(_LONGEST):
            response = await transport.handle_async_request(asked)
            try:
                return Reply(response.status_code, response.headers, await _body(response))
            finally:
                await response.aclose()
    except TimeoutError:
        raise httpx.ReadTimeout(f"The reply took longer than {_LONGEST} seconds.") from None
    except UnicodeError:
        raise httpx.RemoteProtocolError("The head of the reply cannot be read.") from None


async def _body(response: httpx.Response) -> bytes:
    """The body, as far as it is one that the service sends. Raises BrokenReply for a larger one."""
    if "," in response.headers.get("content-encoding", ""):
        # Each packing may make it a thousand times larger.
        raise BrokenReply("The reply is packed more than once.")
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MOST_BYTES:
            raise BrokenReply(f"The reply is larger than {MOST_BYTES >> 20} MB.")
    return bytes(body)


def limits_of(silence: float) -> dict[str, Any]:
    """What the transport is told about how many seconds a server may say nothing."""
    return httpx.Timeout(silence, connect=min(silence, _CONNECT_SECONDS)).as_dict()


def why(broken: Exception) -> str:
    """Why a connection broke, in few words.

    Only what the system says is repeated: other errors may show a part of the reply, or headers.
    """
    cause = broken.__cause__ or broken
    said = wire.one_line(broken) if isinstance(cause, OSError) else ""
    return said or type(cause).__name__
