"""Azure Key Vault on loopback: keeps secrets with all their versions, in memory only."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from secrets import token_urlsafe
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import trustme
from azure.core.credentials import AccessToken
from azure.keyvault.secrets.aio import SecretClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pat_core.local.acs import Fault
from pat_core.local.serving import serving
from pat_core.ports import Clock

_NAME: Final = re.compile(r"[0-9a-zA-Z-]{1,127}")
_MOST_TAGS: Final = 15
_LONGEST_TAG: Final = 256
_AN_HOUR: Final = 3600
# What the SDK signs in for; nobody is asked at that address.
_CHALLENGE: Final = (
    'Bearer authorization="https://login.microsoftonline.com/'
    '11111111-1111-1111-1111-111111111111", resource="https://vault.azure.net"'
)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret; `attributes` and `tags` are as they were put."""

    name: str
    version: str
    value: str = field(repr=False)
    content_type: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class VaultService:
    """What the vault holds, oldest version first, by name in small letters as it knows no case.

    `bearer` is the one token that it takes. A call that is signed in asks `before`, and a put that
    was done asks `after`.
    """

    clock: Clock
    before: Fault = lambda _: None
    after: Fault = lambda _: None
    secrets: dict[str, list[Version]] = field(default_factory=dict)
    deleted: dict[str, list[Version]] = field(default_factory=dict)
    bearer: str = field(default_factory=token_urlsafe, repr=False)
    puts: int = 0

    def delete(self, name: str) -> None:
        """Delete a secret softly: it cannot be read, and its name cannot be used."""
        self.deleted[name.lower()] = self.secrets.pop(name.lower())

    async def put(self, request: Request) -> Response:
        """Keep a secret as the newest version of its name. SetSecret."""
        if reply := self._refusal(request):
            return reply
        self.puts += 1
        name = request.path_params["name"]
        if name.lower() in self.deleted:
            return _error(409, "Conflict", "ObjectIsDeletedButRecoverable")
        body = await request.json()
        if not _NAME.fullmatch(name) or not _is_taken(body):
            return _error(400, "BadParameter")
        now = int(self.clock().timestamp())
        attributes = {"enabled": True, "created": now, "updated": now}
        kept = Version(
            name,
            uuid4().hex,
            body["value"],
            body.get("contentType", ""),
            attributes | body.get("attributes", {}),
            body.get("tags", {}),
        )
        self.secrets.setdefault(name.lower(), []).append(kept)
        return self.after(request) or _shown(request, kept)

    async def get(self, request: Request) -> Response:
        """One version of a secret, the newest where none is named. GetSecret."""
        if reply := self._refusal(request):
            return reply
        wanted = request.path_params.get("version", "")
        versions = self.secrets.get(request.path_params["name"].lower(), [])
        found = [each for each in versions if wanted in ("", each.version)]
        if not found:
            return _error(404, "SecretNotFound")
        if not found[-1].attributes["enabled"]:
            return _error(403, "Forbidden", "SecretDisabled")
        return _shown(request, found[-1])

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("authorization") != f"Bearer {self.bearer}":
            return _error(401, "Unauthorized", challenge=_CHALLENGE)
        if "api-version" not in request.query_params:
            return _error(400, "BadParameter")
        return self.before(request)


def vault_app(service: VaultService) -> Starlette:
    """The vault as an application."""
    return Starlette(
        routes=[
            Route("/secrets/{name}", service.put, methods=["PUT"]),
            Route("/secrets/{name}", service.get),
            # The SDK asks for the newest version with a slash and nothing after it.
            Route("/secrets/{name}/{version:path}", service.get),
        ]
    )


@asynccontextmanager
async def key_vault(service: VaultService, **options: Any) -> AsyncIterator[SecretClient]:  # noqa: ANN401 - the SDK's own
    """A client to the vault, which is served as long as the context; `options` are the client's."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    # The challenge speaks of vault.azure.net, where this vault is not.
    given: dict[str, Any] = {
        "credential": Signed(service),
        "verify_challenge_resource": False,
    } | options
    with authority.cert_pem.tempfile() as trusted:
        async with (
            serving(vault_app(service), tls=tls) as address,
            SecretClient(address, connection_verify=trusted, **given) as client,
        ):
            yield client


@dataclass(frozen=True, slots=True)
class Signed:
    """A credential that the vault takes."""

    service: VaultService

    async def get_token(self, *_: str, **__: Any) -> AccessToken:  # noqa: ANN401 - the SDK's own
        """The vault's one token, for an hour."""
        return AccessToken(self.service.bearer, int(self.service.clock().timestamp()) + _AN_HOUR)

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        fault: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        return None


def _is_taken(body: dict[str, Any]) -> bool:
    tags = body.get("tags", {})
    times = body.get("attributes", {})
    return (
        isinstance(body.get("value"), str)
        and len(tags) <= _MOST_TAGS
        and all(max(len(name), len(value)) <= _LONGEST_TAG for name, value in tags.items())
        and times.get("nbf", 0) < times.get("exp", float("inf"))
    )


def _shown(request: Request, kept: Version) -> Response:
    return JSONResponse(
        {
            "value": kept.value,
            "contentType": kept.content_type,
            "id": f"https://{request.url.netloc}/secrets/{kept.name}/{kept.version}",
            "attributes": kept.attributes | {"recoveryLevel": "Recoverable+Purgeable"},
            "tags": kept.tags,
        }
    )


def _error(status: int, code: str, inner: str = "", *, challenge: str = "") -> Response:
    error: dict[str, Any] = {"code": code, "message": HTTPStatus(status).phrase}
    if inner:
        error["innererror"] = {"code": inner}
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    return JSONResponse({"error": error}, status, headers)
