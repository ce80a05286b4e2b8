"""Sends the requests of `wire`: signed, paced, tried again where that helps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final, TypeVar

import aiohttp
import httpx

from pat_core.azure_devops import replies, wire
from pat_core.azure_devops.credential import Credential
from pat_core.azure_devops.pace import Pace
from pat_core.azure_devops.refusal import given_up, refusal, unavailable
from pat_core.errors import AzureDevOpsError, BrokenReply, OwnerGone
from pat_core.model import Organization, TokenReading, UserPage
from pat_core.ports import Clock, Sleep

ATTEMPTS: Final = 6
FIRST_BACKOFF: Final = 0.5
TIMEOUT: Final = httpx.Timeout(60, connect=10).as_dict()
Page = TypeVar("Page")


class Client:
    """Azure DevOps as one identity sees it. Implements the port AzureDevOps."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        credential: Credential,
        pace: Pace,
        *,
        clock: Clock,
        sleep: Sleep,
        jitter: Callable[[], float],
        null_means_global: bool = False,
    ) -> None:
        self._transport = transport
        self._credential = credential
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._null_means_global = null_means_global

    async def user_pages(self, organization: Organization) -> AsyncIterator[UserPage]:
        """Every user, a page at a time. Raises AzureDevOpsError."""

        def read(reply: wire.Reply) -> tuple[UserPage, str]:
            page = replies.read_users(organization, reply)
            return page, page.continuation_token

        async for page in self._pages(lambda after: wire.list_users(organization, after), read):
            yield page

    async def user_page(self, organization: Organization, continuation_token: str = "") -> UserPage:
        """One page of users (about 500), the first without a token. Raises AzureDevOpsError."""
        reply = await self._reply(wire.list_users(organization, continuation_token))
        return replies.read_users(organization, reply)

    async def tokens(self, organization: Organization, subject_descriptor: str) -> TokenReading:
        """Every PAT of one user, metadata only. Raises AzureDevOpsError, OwnerGone among them."""
        return await self._all_tokens(
            lambda after: wire.list_tokens(organization, subject_descriptor, after),
            lambda reply: replies.read_tokens(reply, null_means_global=self._null_means_global),
        )

    async def my_tokens(self, organization: Organization) -> TokenReading:
        """Every PAT of the caller. Raises AzureDevOpsError; NotPermitted to a PAT."""
        return await self._all_tokens(
            lambda after: wire.list_my_tokens(organization, after), replies.read_my_tokens
        )

    async def is_active(self, organization: Organization, subject_descriptor: str) -> bool:
        """True while the user is an active member. Raises AzureDevOpsError."""
        try:
            reply = await self._reply(wire.membership_state(organization, subject_descriptor))
        except OwnerGone:
            return False
        return replies.read_membership(reply)

    async def _all_tokens(
        self,
        ask: Callable[[str], wire.Request],
        read: Callable[[wire.Reply], tuple[TokenReading, str]],
    ) -> TokenReading:
        pages = [page async for page in self._pages(ask, read)]
        if len(pages) == 1:
            return pages[0]
        return TokenReading(
            tuple(token for page in pages for token in page.tokens),
            tuple(fault for page in pages for fault in page.faults),
        )

    async def _pages(
        self,
        ask: Callable[[str], wire.Request],
        read: Callable[[wire.Reply], tuple[Page, str]],
    ) -> AsyncIterator[Page]:
        after, seen = "", set[str]()
        while True:
            request = ask(after)
            page, after = read(await self._reply(request))
            yield page
            if not after:
                return
            if after in seen:
                raise BrokenReply(
                    f"{request.organization.name}: the call to {request.call.does} "
                    "goes round in circles: a continuation token came twice."
                )
            seen.add(after)

    async def _reply(self, request: wire.Request) -> wire.Reply:
        """The reply to read on; what asks for another try gets it, a bounded number of times."""
        wait, fault = 0.0, AzureDevOpsError("")
        for attempt in range(ATTEMPTS):
            await self._sleep(wait)
            try:
                async with self._pace.turn() as began:
                    reply = await self._send(request)
                    throttled = self._slow_down(reply, began, attempt)
            except (httpx.RequestError, aiohttp.ClientError) as broken:
                wait, fault = self._backoff(attempt), unavailable(request, broken)
                continue
            if not throttled and not wire.is_server_fault(reply):
                return self._accepted(request, reply)
            # A throttled call waits for its next turn instead: the pause is everybody's.
            wait = 0.0 if throttled else self._backoff(attempt)
            fault = given_up(request, reply)
        raise fault

    async def _send(self, request: wire.Request) -> wire.Reply:
        authorization = await self._credential.authorization()
        headers = {**wire.HEADERS, "Authorization": authorization}
        # Past httpx' client: the cookies, redirects and merging that it adds are not wanted here,
        # and cost half as much again as the call.
        response = await self._transport.handle_async_request(
            httpx.Request("GET", request.url, headers=headers, extensions={"timeout": TIMEOUT})
        )
        try:
            return wire.Reply(response.status_code, response.headers, await response.aread())
        finally:
            await response.aclose()

    def _slow_down(self, reply: wire.Reply, began: datetime, attempt: int) -> bool:
        """Obey what the reply says about pace; true when the call itself was refused for now."""
        throttled = wire.is_throttled(reply)
        seconds = wire.retry_after(reply, self._clock())
        if throttled or seconds:
            self._pace.pause(seconds or self._backoff(attempt), began)
        return throttled

    def _accepted(self, request: wire.Request, reply: wire.Reply) -> wire.Reply:
        if error := refusal(request, reply, by_pat=self._credential.is_pat):
            raise error
        self._pace.succeed()
        return reply

    def _backoff(self, attempt: int) -> float:
        return float(FIRST_BACKOFF * 2**attempt * (0.5 + self._jitter()))
