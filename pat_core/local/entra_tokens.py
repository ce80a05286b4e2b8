"""The tokens of the simulated Entra: made and read back with one key, kept nowhere."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from secrets import token_bytes
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from pat_core.azure_devops.wire import RESOURCE
from pat_core.local.shapes import TENANT, object_id
from pat_core.local.world import ADMINISTRATOR, Person, World
from pat_core.ports import Clock
from pat_core.web.administrators import ROLE

LIFETIME: Final = timedelta(hours=1)
ISSUER: Final = f"https://login.microsoftonline.com/{TENANT}/v2.0"
_OWN: Final = "HS256"
_PUBLIC: Final = "RS256"
_KEY_ID: Final = "embedded"


class EntraTokens:
    """Signs the tokens of the people of a world with keys that are gone with the program.

    An ID token can be verified by anybody, an access token by Azure DevOps alone.
    """

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._key = token_bytes(32)

    def id_token(self, person: Person, client_id: str, nonce: str) -> str:
        """Who signed in, for the application that asked."""
        address = person.mail_address or person.principal_name
        claims: dict[str, Any] = {
            "name": person.display_name,
            "preferred_username": address,
            "nonce": nonce,
        }
        if person.number == ADMINISTRATOR:
            claims["roles"] = [ROLE]
        claims = self._claims(person, client_id) | claims
        return jwt.encode(claims, self._pair, algorithm=_PUBLIC, headers={"kid": _KEY_ID})

    def access_token(self, person: Person, scope: str, client_id: str) -> str:
        """What opens Azure DevOps if one of the scopes is its own, and else nothing here."""
        is_for_it = any(each.startswith(f"{RESOURCE}/") for each in scope.split())
        audience = RESOURCE if is_for_it else client_id
        names = " ".join(each.rpartition("/")[2] for each in scope.split())
        claims = self._claims(person, audience) | {"scp": names, "sub": person.descriptor}
        return jwt.encode(claims, self._key, algorithm=_OWN)

    def keys(self) -> dict[str, Any]:
        """What verifies ID tokens, as a set of JSON Web Keys."""
        public = RSAAlgorithm.to_jwk(self._pair.public_key(), as_dict=True)
        return {"keys": [public | {"kid": _KEY_ID, "use": "sig", "alg": _PUBLIC}]}

    def person_of(self, access_token: str) -> Person | None:
        """Whom an access token signs in to Azure DevOps now, or None."""
        try:
            claims = jwt.decode(
                access_token,
                self._key,
                algorithms=[_OWN],
                audience=RESOURCE,
                issuer=ISSUER,
                # The clock is the embedded one: the library must not compare with its own.
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.InvalidTokenError:
            return None
        if claims["exp"] <= self._clock().timestamp():
            return None
        return self._world.find(claims["sub"])

    @cached_property
    def _pair(self) -> RSAPrivateKey:
        return generate_private_key(65537, 2048)

    def _claims(self, person: Person, audience: str) -> dict[str, Any]:
        begun = int(self._clock().timestamp())
        return {
            "ver": "2.0",
            "iss": ISSUER,
            "aud": audience,
            "tid": TENANT,
            "oid": object_id(person),
            "sub": object_id(person),
            "iat": begun,
            "nbf": begun,
            "exp": begun + int(LIFETIME.total_seconds()),
        }
