"""Who administers this service, by the signature of Microsoft Entra alone.

What stands in a session is not enough: whoever can write the ledger could have put it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pat_core.errors import EntraUnavailable, NotSignedIn
from pat_core.ports import Clock

if TYPE_CHECKING:
    from jwt import PyJWKClient

ROLE: Final = "PatAdministrator"
"""The app role whose holders see the whole fleet."""
ENTRA: Final = "https://login.microsoftonline.com"
_ALGORITHM: Final = "RS256"
_KEYS_LAST: Final = 3600
_WAIT: Final = 10
# A session's 15 minutes, and 10 for clocks that differ; Entra itself dates tokens back by 5.
_LASTS: Final = 25 * 60
_AGAIN: Final = "Sign in again."
_REMEDY: Final = "Try again in a minute. If it fails again, check the network to Microsoft Entra."


def name_in(claims: Mapping[str, Any]) -> str:
    """How somebody is called, as an ID token's claims say; empty where they do not."""
    return str(claims.get("name") or claims.get("preferred_username") or "")


class Administrators:
    """Reads ID tokens with the keys of a tenant, which it fetches at the first need and keeps.

    `entra` is where those keys are; `group` holds administrators beside those who have the role.
    """

    def __init__(
        self, clock: Clock, *, tenant: str, client_id: str, group: str = "", entra: str = ENTRA
    ) -> None:
        self._clock = clock
        self._issuer = f"{ENTRA}/{tenant}/v2.0"
        self._audience = client_id
        self._group = group.lower()
        self._address = f"{entra}/{tenant}/discovery/v2.0/keys"
        self._keys: PyJWKClient | None = None

    def include(self, claims: Mapping[str, Any]) -> bool:
        """True for who holds the app role, or is in the group, as an ID token's claims say.

        Who is in more than 200 groups comes without any: Entra leaves them out.
        """
        roles, groups = claims.get("roles"), claims.get("groups")
        holds = isinstance(roles, list) and ROLE in roles
        named = [str(each).lower() for each in groups] if isinstance(groups, list) else []
        return holds or (bool(self._group) and self._group in named)

    async def claims(self, id_token: str) -> dict[str, Any] | None:
        """What an administrator's ID token says; None where it is not an administrator's.

        Raises NotSignedIn where Entra did not sign it, for this application, or it is over;
        EntraUnavailable where Entra's keys cannot be fetched, and trying again helps.
        """
        found = await asyncio.to_thread(self._verified, id_token)
        now = self._clock().timestamp()
        if found["exp"] <= now or found["iat"] + _LASTS <= now:
            raise NotSignedIn("The sign-in is over.", remedy=_AGAIN)
        return found if self.include(found) else None

    def _verified(self, id_token: str) -> dict[str, Any]:
        import jwt  # noqa: PLC0415 - owners need none of it

        if self._keys is None:
            self._keys = jwt.PyJWKClient(self._address, lifespan=_KEYS_LAST, timeout=_WAIT)
        try:
            self._keys.get_jwk_set()
        except (jwt.PyJWTError, ValueError, OSError):
            cause = "The keys of Microsoft Entra could not be fetched."
            raise EntraUnavailable(cause, remedy=_REMEDY) from None
        try:
            found: dict[str, Any] = jwt.decode(
                id_token,
                self._keys.get_signing_key_from_jwt(id_token),
                algorithms=[_ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                # Only the clock that we were given tells the time.
                options={
                    "require": ["exp", "iat", "oid"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, ValueError, OSError):
            cause = "Microsoft Entra did not sign this session."
            raise NotSignedIn(cause, remedy=_AGAIN) from None
        return found
