"""Who we are to Azure DevOps: an Entra identity, an owner, or a PAT where one is needed."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError
from pydantic import SecretStr

from pat_core.azure_devops.remedies import FOR_IDENTITY, FOR_OWNER, FOR_PAT, Remedies
from pat_core.azure_devops.wire import RESOURCE
from pat_core.errors import NotSignedIn
from pat_core.ports import Clock

_BEARER: Final = re.compile(r"[\x21-\x7e]+")
_RENEWED_BEFORE: Final = timedelta(minutes=5)


class Credential(Protocol):
    """Signs a call."""

    @property
    def is_pat(self) -> bool:
        """True for a personal access token, false for an Entra identity."""
        ...

    @property
    def remedies(self) -> Remedies:
        """What helps whoever signs so."""
        ...

    async def authorization(self) -> str:
        """The value of the Authorization header. Raises NotSignedIn."""
        ...


class PatCredential:
    """A PAT, sent as the password of HTTP Basic."""

    is_pat = True

    def __init__(self, token: SecretStr, remedies: Remedies = FOR_PAT) -> None:
        self.remedies = remedies
        self._token = token

    async def authorization(self) -> str:
        """The value of the Authorization header."""
        return "Basic " + b64encode(f":{self._token.get_secret_value()}".encode()).decode()


class BearerCredential:
    """A bearer token that an owner brought along: used as it is, kept nowhere else."""

    is_pat = False

    def __init__(self, token: SecretStr, remedies: Remedies = FOR_OWNER) -> None:
        self.remedies = remedies
        self._token = token

    async def authorization(self) -> str:
        """The value of the Authorization header. Raises NotSignedIn where it cannot be one."""
        token = self._token.get_secret_value()
        if not _BEARER.fullmatch(token):
            # In a header it would raise an error that shows it.
            raise NotSignedIn("The bearer token is none.", remedy="Sign in again.")
        return f"Bearer {token}"


class EntraCredential:
    """An Entra identity; its token is kept until shortly before it expires."""

    is_pat = False

    def __init__(
        self, source: AsyncTokenCredential, clock: Clock, remedies: Remedies = FOR_IDENTITY
    ) -> None:
        self.remedies = remedies
        self._source = source
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._header = SecretStr("")
        self._good_until = datetime.min.replace(tzinfo=UTC)

    async def authorization(self) -> str:
        """The value of the Authorization header. Raises NotSignedIn.

        Not every credential of azure-identity keeps its token: the one of the Azure command line
        starts a program each time it is asked.
        """
        if self._clock() >= self._good_until:
            async with self._one_at_a_time:
                if self._clock() >= self._good_until:
                    await self._sign_in()
        return self._header.get_secret_value()

    async def _sign_in(self) -> None:
        try:
            token = await self._source.get_token(f"{RESOURCE}/.default")
        except ClientAuthenticationError as fault:
            raise NotSignedIn(
                f"No Microsoft Entra sign-in was found ({type(fault).__name__}).",
                remedy=self.remedies.none_found,
            ) from None
        self._header = SecretStr(f"Bearer {token.token}")
        self._good_until = datetime.fromtimestamp(token.expires_on, UTC) - _RENEWED_BEFORE
