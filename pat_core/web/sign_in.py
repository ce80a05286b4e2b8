"""Signing in with Entra: MSAL's authorization code flow with PKCE, state and nonce."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from pat_core.errors import NotSignedIn, Unavailable
from pat_core.web.administrators import Administrators, name_in

RESOURCE: Final = "499b84ac-1321-427f-aa17-267ca6975798"
"""Azure DevOps, to Entra."""
SCOPES: Final = (f"{RESOURCE}/vso.pats", f"{RESOURCE}/vso.pats_manage")
CALLBACK: Final = "/sign-in/callback"
HOME: Final = "/tokens"
_PLACES: Final = (HOME, "/report")
_AGAIN: Final = "Sign in again. If it fails again, ask those who run this service."

_NO_PROOF: Final = (
    "Check PAT_TENANT_ID and the network. Without PAT_CLIENT_SECRET the managed identity proves "
    "the application, and that exists in Azure alone."
)
_MEND_APPLICATION: Final = (
    "Check PAT_TENANT_ID and PAT_CLIENT_ID, and the application's federated credential for the "
    "managed identity, or PAT_CLIENT_SECRET."
)


class Application(Protocol):
    """What is used of MSAL's ConfidentialClientApplication, which blocks."""

    def initiate_auth_code_flow(self, scopes: list[str], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as MSAL has it
        """A flow, with the address to send the browser to."""
        ...

    def acquire_token_by_auth_code_flow(
        self, flow: dict[str, Any], answer: dict[str, str]
    ) -> dict[str, Any]:
        """The tokens, or the error. Raises ValueError where state or nonce is wrong."""
        ...

    def acquire_token_for_client(self, scopes: list[str]) -> dict[str, Any]:
        """A token for the application itself, or the error."""
        ...


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, and the token that acts for them at Azure DevOps.

    `object_id` is theirs in Entra. Of administrators of this service `id_token` proves it.
    """

    name: str
    bearer: str
    object_id: str = ""
    id_token: str = ""


class SignIn:
    """Signs people in; `make` builds MSAL's application at the first need of it."""

    def __init__(
        self,
        make: Callable[[], Application],
        *,
        public_url: str,
        tenant: str,
        administrators: Administrators,
    ) -> None:
        self._make = make
        self._administrators = administrators
        self._redirect = f"{public_url}{CALLBACK}"
        self._tenant = tenant
        self._made: Application | None = None

    async def begin(self) -> tuple[str, dict[str, Any]]:
        """Where the browser goes, and the flow to keep until it comes back. Raises NotSignedIn."""

        def work() -> dict[str, Any]:
            with warnings.catch_warnings():
                # MSAL wants the answer posted, but to a post from elsewhere no browser adds our
                # cookie; what a query may leak is worth nothing without that cookie.
                warnings.filterwarnings("ignore", message="response_mode=")
                return self._application().initiate_auth_code_flow(
                    list(SCOPES), redirect_uri=self._redirect
                )

        flow = await self._blocking(work)
        return str(flow["auth_uri"]), flow

    async def end(self, flow: dict[str, Any], answer: Mapping[str, str]) -> SignedIn:
        """Who came back. Raises NotSignedIn where the answer is not to this flow, or a refusal."""

        def work() -> dict[str, Any]:
            return self._application().acquire_token_by_auth_code_flow(flow, dict(answer))

        result = await self._blocking(work)
        if "access_token" not in result:
            why = str(result.get("error", "no token"))[:80]
            raise NotSignedIn(f"Microsoft Entra did not sign you in ({why}).", remedy=_AGAIN)
        claims = result.get("id_token_claims") or {}
        if claims.get("tid") != self._tenant:
            raise NotSignedIn("The account is of another tenant.", remedy=_AGAIN)
        return SignedIn(
            name_in(claims),
            str(result["access_token"]),
            str(claims.get("oid", "")),
            str(result.get("id_token", "")) if self._administrators.include(claims) else "",
        )

    async def prove(self) -> None:
        """Prove the application to Entra, as signing in does after the redirect.

        Raises NotSignedIn, for those who run the service; Unavailable where it cannot be tried.
        """
        try:
            result = await asyncio.to_thread(
                lambda: self._application().acquire_token_for_client([f"{RESOURCE}/.default"])
            )
        except Exception as fault:  # noqa: BLE001 - as in _blocking
            cause = f"Microsoft Entra could not be asked ({type(fault).__name__})."
            raise Unavailable(cause, remedy=_NO_PROOF) from None
        if "access_token" not in result:
            why = str(result.get("error", "no token"))[:80]
            raise NotSignedIn(
                f"Microsoft Entra refused this application ({why}).", remedy=_MEND_APPLICATION
            )

    def _application(self) -> Application:
        if self._made is None:
            self._made = self._make()
        return self._made

    async def _blocking(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return await asyncio.to_thread(work)
        except Exception as fault:  # noqa: BLE001 - MSAL raises what its transport does, secrets and all
            cause = f"Microsoft Entra could not be asked ({type(fault).__name__})."
            raise NotSignedIn(cause, remedy=_AGAIN) from None


def forgetful(cache: Any) -> Any:  # noqa: ANN401 - MSAL has no types
    """A cache of MSAL that keeps nothing: whoever signed out leaves no token in the process."""
    cache.add = lambda *_, **__: None
    return cache


def own_path(text: str) -> str:
    """A path of ours, to land on after signing in; the list of tokens for anything else."""
    parts = urlsplit(text)
    plain = text.isprintable() and "\\" not in text and not parts.scheme and not parts.netloc
    inside = any(parts.path == each or parts.path.startswith(f"{each}/") for each in _PLACES)
    return text if plain and inside and ".." not in text else HOME
