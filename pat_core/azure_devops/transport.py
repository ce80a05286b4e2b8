"""One request over one httpx transport, and why it got no reply."""

from __future__ import annotations

from typing import Any, Final

import aiohttp
import httpx

from pat_core.azure_devops import wire
from pat_core.azure_devops.wire import Reply, Request

BROKEN: Final = (httpx.RequestError, aiohttp.ClientError)
"""What a broken connection raises."""
_CONNECT_SECONDS: Final = 10


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
    response = await transport.handle_async_request(
        httpx.Request(
            request.call.method,
            request.url,
            headers=headers,
            content=request.body or None,
            extensions={"timeout": limits},
        )
    )
    try:
        return Reply(response.status_code, response.headers, await response.aread())
    finally:
        await response.aclose()


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
