"""The secrets of new tokens in Azure Key Vault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, Final

from aiohttp import ClientConnectorCertificateError, ClientConnectorDNSError
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.keyvault.secrets import SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from pat_core.errors import VaultError, VaultRefused, VaultUnavailable
from pat_core.model import IssuedToken, Owner, VaultSecret

CONTENT_TYPE: Final = "Azure DevOps personal access token"
MANAGED_BY: Final = "pat-warden"
_LONGEST_TAG: Final = 256
_OURS: Final = ("managed-by", "organization", "owner", "owner-address", "authorization-id")
_TOLD: Final = ("owner", "authorization-id", "organization")
_CODE: Final = re.compile(r"[A-Za-z]{1,40}")
_NOT_THERE: Final = (ClientConnectorDNSError, ClientConnectorCertificateError)
_MEND_ADDRESS: Final = (
    "Check PAT_KEY_VAULT_URL. Example: PAT_KEY_VAULT_URL=https://contoso.vault.azure.net"
)
_MEND_ROLE: Final = (
    "Check that this identity is Key Vault Secrets Officer on the vault of PAT_KEY_VAULT_URL, and "
    "that the vault's firewall lets it in."
)
_REMEDIES: Final = {
    "SecretDisabled": "Enable the newest version of the secret, or delete the secret and purge it.",
    HTTPStatus.UNAUTHORIZED: _MEND_ROLE,
    HTTPStatus.FORBIDDEN: _MEND_ROLE,
    HTTPStatus.NOT_FOUND: _MEND_ADDRESS,
    HTTPStatus.CONFLICT: "A deleted secret still holds the name: recover it, or purge it, in Key "
    "Vault.",
}
_PASSING: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class KeyVault:
    """Secrets tagged with whose they are. Implements the port Vault.

    The client tries again by itself where the vault is busy.
    """

    def __init__(self, client: SecretClient) -> None:
        self._client = client

    async def kept(self, name: str) -> VaultSecret | None:
        """The newest version of a secret, or None where the vault holds none.

        Raises VaultRefused, VaultUnavailable.
        """
        found = await self._newest(name)
        return _as_kept(name, found) if found else None

    async def keep(self, name: str, owner: Owner, issued: IssuedToken) -> VaultSecret:
        """The version that now holds the token's secret, the newest of that name.

        Raises VaultRefused where it surely holds it not: the name is somebody else's, or the vault
        said no. Raises VaultUnavailable where nobody knows.
        """
        found = await self._newest(name)
        tags = (found.tags or {}) if found else {}
        if found and not _is_of(tags, owner):
            raise VaultRefused(
                f"The secret {name} was not put there for this owner, so it is left as it is.",
                remedy="Rename the token, or have the new one shown; or delete that secret.",
            )
        # Key Vault knows no condition on a put. Only a rotation of the same owner's could come
        # between, as the name has a mark of organization and owner.
        return await self._put(name, tags, owner, issued)

    async def _newest(self, name: str) -> SecretProperties | None:
        with _explained(name, is_put=False):
            try:
                found = await self._client.get_secret(name, logging_enable=False)
            except HttpResponseError as fault:
                # Another 404 is no vault's, and taking it for "none" would end a token in use.
                if _codes(fault)[:1] == ["SecretNotFound"]:
                    return None
                raise
            return _readable(found.properties)

    async def _put(
        self, name: str, tags: dict[str, str], owner: Owner, issued: IssuedToken
    ) -> VaultSecret:
        token = issued.token
        with _explained(name, is_put=True):
            # The SDK repeats a put whose answer was lost: a second version of the same secret does
            # no harm. Nothing is repeated beyond that; who gets VaultUnavailable looks with `kept`.
            made = await self._client.set_secret(
                name,
                issued.secret.get_secret_value(),
                content_type=CONTENT_TYPE,
                not_before=token.valid_from,
                expires_on=token.valid_to,
                tags=_others(tags) | _tags(owner, token.authorization_id),
                # A client that logs the wire would log the secret.
                logging_enable=False,
            )
            return _as_kept(name, _readable(made.properties))


def _readable(found: SecretProperties) -> SecretProperties:
    if not found.version:
        raise ValueError("no version")
    return found


def _as_kept(name: str, found: SecretProperties) -> VaultSecret:
    tags = found.tags or {}
    version = found.version or ""
    if tags.get("managed-by") != MANAGED_BY:
        return VaultSecret(name, version)
    owner, token, organization = (tags.get(tag, "") for tag in _TOLD)
    return VaultSecret(name, version, owner, token, organization)


def _tags(owner: Owner, authorization_id: str) -> dict[str, str]:
    values = (
        MANAGED_BY,
        owner.organization,
        owner.subject_descriptor,
        owner.address,
        authorization_id,
    )
    return {tag: _fitting(value) for tag, value in zip(_OURS, values, strict=True) if value}


def _others(tags: dict[str, str]) -> dict[str, str]:
    """The tags that people gave the secret; a new version has only those that it is given."""
    return {tag: value for tag, value in tags.items() if tag not in _OURS}


def _is_of(tags: dict[str, str], owner: Owner) -> bool:
    wanted = _tags(owner, "")
    return all(tags.get(tag, "") == wanted[tag] for tag in ("managed-by", "organization", "owner"))


def _fitting(value: str) -> str:
    """A value as a tag takes it; two that differ only past its end still differ."""
    if len(value) <= _LONGEST_TAG:
        return value
    mark = blake2b(value.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return f"{value[: _LONGEST_TAG - len(mark) - 1]}~{mark}"


@contextmanager
def _explained(name: str, *, is_put: bool) -> Iterator[None]:
    try:
        yield
    # The SDK's own checks of a challenge and of a reply end in all of these.
    except (AzureError, ValueError, TypeError, AttributeError) as fault:
        raise _meaning(name, fault, is_put=is_put) from None


def _meaning(name: str, fault: Exception, *, is_put: bool) -> VaultError:
    """Which error a failed call means; it holds nothing that was sent or came back but codes."""
    status = getattr(fault, "status_code", None)
    if status and status >= HTTPStatus.BAD_REQUEST:
        codes = _codes(fault)
        said = " ".join([str(status), *codes])
        cause = f"The secret {name} cannot be used: Key Vault answered {said}."
        if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return VaultUnavailable(cause)
        remedy = _REMEDIES.get(codes[-1] if codes else "") or _REMEDIES.get(status, "")
        return VaultRefused(cause, remedy=remedy)
    cause = f"The secret {name} cannot be used: Key Vault gave no answer that can be read."
    # Without an answer, the try before this one may have put the secret: only a read is sure.
    if is_put:
        return VaultUnavailable(cause)
    if isinstance(fault, ClientAuthenticationError):
        return VaultRefused(
            f"This identity cannot sign in to Key Vault: {name}.", remedy=_MEND_ROLE
        )
    if isinstance(fault, ValueError) or isinstance(
        getattr(fault, "inner_exception", None), _NOT_THERE
    ):
        return VaultRefused(cause, remedy=_MEND_ADDRESS)
    return VaultUnavailable(cause, remedy=_MEND_ADDRESS)


def _codes(fault: Exception) -> list[str]:
    """The error's code and that within it, as far as they look like codes."""
    error: Any = getattr(fault, "error", None)
    inner: Any = getattr(error, "innererror", None)
    found = (getattr(error, "code", None), inner.get("code") if isinstance(inner, dict) else None)
    return [str(code) for code in found if code and _CODE.fullmatch(str(code))]
