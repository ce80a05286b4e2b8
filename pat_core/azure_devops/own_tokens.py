"""What owners do with their own PATs, over one sender."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pat_core.azure_devops import lifecycle, results, wire
from pat_core.azure_devops.paging import all_tokens
from pat_core.azure_devops.remedies import filled
from pat_core.azure_devops.replies import read_my_tokens
from pat_core.azure_devops.sending import Sender
from pat_core.errors import NotSignedIn, TokenNotFound
from pat_core.model import IssuedToken, NewToken, Organization, Owner, Token, TokenReading


class OwnTokens:
    """The PATs of whoever signs. Implements the port OwnTokens."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def caller(self, organization: Organization) -> Owner:
        """The user who makes the calls. Raises AzureDevOpsError, NotSignedIn among them."""
        request = lifecycle.connection_data(organization)
        owner = results.read_caller(organization, await self._sender.reply(request))
        if owner is None:
            raise NotSignedIn(
                f"{organization.name}: nobody is signed in.",
                remedy=filled(self._sender.remedies.sign_in, request),
            )
        return owner

    async def my_tokens(self, organization: Organization) -> TokenReading:
        """Every PAT of the caller. Raises AzureDevOpsError; NotPermitted to a PAT."""
        every = await self._listed(organization, "all")
        # No field marks a revoked token: it is only listed among the revoked. So there are two
        # listings, not one for each filter; asked last, this one has what was revoked meanwhile.
        revoked = await self._listed(organization, "revoked")
        gone = {each.authorization_id for each in revoked.tokens}
        tokens = (
            replace(each, is_valid=each.authorization_id not in gone) for each in every.tokens
        )
        return TokenReading(tuple(tokens), every.faults)

    async def my_token(self, organization: Organization, authorization_id: str) -> Token:
        """One PAT of the caller. Raises TokenNotFound, or another AzureDevOpsError.

        Whether it was revoked is not told here: only `my_tokens` knows.
        """
        request = lifecycle.read_my_token(organization, authorization_id)
        return results.read_token(await self._sender.reply(request))

    async def create(self, organization: Organization, wanted: NewToken) -> IssuedToken:
        """A new PAT of the caller, as it came back. Its request is never sent twice.

        Raises TokenRefused where none was made for sure, Unavailable or BrokenReply where nobody
        knows, or another AzureDevOpsError (none was made).
        """
        request = lifecycle.create_token(organization, wanted)
        return results.read_issued(await self._sender.reply(request))

    async def extend(self, organization: Organization, token: Token, valid_to: datetime) -> Token:
        """The PAT with the end that came back.

        Raises TokenRefused, TokenNotFound, or another AzureDevOpsError.
        """
        request = lifecycle.extend_token(organization, token, valid_to)
        return results.read_token(await self._sender.reply(request))

    async def revoke(self, organization: Organization, authorization_id: str) -> None:
        """End a PAT of the caller; one that is gone is no fault. Raises AzureDevOpsError."""
        request = lifecycle.revoke_token(organization, authorization_id)
        try:
            reply = await self._sender.reply(request)
            if reply.body.strip():
                results.check(reply)
        except TokenNotFound:
            return

    async def _listed(self, organization: Organization, shown: str) -> TokenReading:
        return await all_tokens(
            self._sender,
            lambda after: wire.list_my_tokens(organization, after, shown=shown),
            read_my_tokens,
        )
