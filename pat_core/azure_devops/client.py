"""Azure DevOps as one identity sees it: what a scan reads, what owners and administrators do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Final, Self

import httpx

from pat_core.azure_devops import lifecycle, replies, trial, wire
from pat_core.azure_devops.credential import Credential
from pat_core.azure_devops.own_tokens import OwnTokens
from pat_core.azure_devops.pace import Pace
from pat_core.azure_devops.paging import all_tokens, pages
from pat_core.azure_devops.remedies import LATER
from pat_core.azure_devops.sending import ATTEMPTS, FOR_A_PAGE, FOR_A_SCAN, Patience, Sender
from pat_core.errors import OwnerGone
from pat_core.model import IssuedToken, Organization, TokenReading, UserPage
from pat_core.ports import SILENT, Clock, Meter, Sleep

__all__ = ["ATTEMPTS", "Client", "Patience"]

_TURNS_FOR_A_PAGE: Final = 4


class Client(OwnTokens):
    """Implements the ports AzureDevOps, OwnTokens, TokenAdmin and TokenTrial."""

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
        patience: Patience = FOR_A_SCAN,
        meter: Meter = SILENT,
    ) -> None:
        super().__init__(
            Sender(
                transport,
                credential,
                pace,
                clock=clock,
                sleep=sleep,
                jitter=jitter,
                patience=patience,
                meter=meter,
            )
        )
        self._transport = transport
        self._null_means_global = null_means_global

    @classmethod
    def for_owner(
        cls,
        transport: httpx.AsyncBaseTransport,
        credential: Credential,
        *,
        clock: Clock,
        sleep: Sleep,
        jitter: Callable[[], float],
        meter: Meter = SILENT,
    ) -> Self:
        """A client that acts as the owner who signed in so, and waits for a page.

        It has a pace of its own, since Azure DevOps meters each identity by itself.
        """
        pace = Pace(
            clock=clock,
            sleep=sleep,
            most=_TURNS_FOR_A_PAGE,
            patience=timedelta(seconds=FOR_A_PAGE.seconds),
            later=LATER,
        )
        return cls(
            transport,
            credential,
            pace,
            clock=clock,
            sleep=sleep,
            jitter=jitter,
            patience=FOR_A_PAGE,
            meter=meter,
        )

    async def user_pages(self, organization: Organization) -> AsyncIterator[UserPage]:
        """Every user, a page at a time. Raises AzureDevOpsError."""

        def read(reply: wire.Reply) -> tuple[UserPage, str]:
            page = replies.read_users(organization, reply)
            return page, page.continuation_token

        def ask(after: str) -> wire.Request:
            return wire.list_users(organization, after)

        async for page in pages(self._sender, ask, read):
            yield page

    async def user_page(self, organization: Organization, continuation_token: str = "") -> UserPage:
        """One page of users (about 500), the first without a token. Raises AzureDevOpsError."""
        reply = await self._sender.reply(wire.list_users(organization, continuation_token))
        return replies.read_users(organization, reply)

    async def tokens(self, organization: Organization, subject_descriptor: str) -> TokenReading:
        """Every PAT of one user, metadata only. Raises AzureDevOpsError, OwnerGone among them."""
        return await all_tokens(
            self._sender,
            lambda after: wire.list_tokens(organization, subject_descriptor, after),
            lambda reply: replies.read_tokens(reply, null_means_global=self._null_means_global),
        )

    async def is_active(self, organization: Organization, subject_descriptor: str) -> bool:
        """True while the user is an active member. Raises AzureDevOpsError."""
        request = wire.membership_state(organization, subject_descriptor)
        try:
            reply = await self._sender.reply(request)
        except OwnerGone:
            return False
        return replies.read_membership(reply)

    async def revoke_tokens(
        self, organization: Organization, authorization_ids: Sequence[str]
    ) -> None:
        """Order the end of tokens, whoever owns them, 100 in a call; it may take an hour.

        Twice does no harm, so one that failed may be made again. Raises AzureDevOpsError.
        """
        for start in range(0, len(authorization_ids), lifecycle.MOST_REVOKED):
            some = authorization_ids[start : start + lifecycle.MOST_REVOKED]
            await self._sender.reply(lifecycle.revoke_tokens(organization, some))

    async def works(self, organization: Organization, issued: IssuedToken) -> bool | None:
        """True or false as Azure DevOps says of a secret; None where it cannot be told."""
        return await trial.works(self._transport, organization, issued)
