"""Stand-ins for what acts on tokens: an owner's own hands, an administrator's, and a vault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import SecretStr

from pat_core.errors import PatWardenError, TokenNotFound, VaultRefused
from pat_core.model import (
    IssuedToken,
    NewToken,
    Organization,
    Owner,
    Token,
    TokenReading,
    VaultSecret,
)
from tests.builders import ANA


class Died(BaseException):
    """The program ends here."""


@dataclass
class Azure:
    """The tokens of one owner as Azure DevOps has them; `log` is what was done, in its order.

    `before` and `after` are asked at each act: they may raise.
    """

    clock: Callable[[], datetime]
    tokens: dict[str, Token] = field(default_factory=dict)
    owner: Owner = ANA
    log: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None
    takes_new: bool | None = True

    def owns(self, *tokens: Token) -> None:
        self.tokens |= {token.authorization_id: token for token in tokens}

    def alive(self) -> set[str]:
        now = self.clock()
        found = self.tokens.values()
        return {each.authorization_id for each in found if each.is_valid and each.valid_to > now}

    async def act(self, name: str, work: Callable[[], None] = lambda: None) -> None:
        await asyncio.sleep(0)
        self.before(name)
        work()
        self.log.append(name)
        self.after(name)

    async def caller(self, organization: Organization) -> Owner:
        return self.owner

    async def my_tokens(self, organization: Organization) -> TokenReading:
        return TokenReading(tuple(self.tokens.values()))

    async def my_token(self, organization: Organization, authorization_id: str) -> Token:
        if authorization_id not in self.tokens:
            raise TokenNotFound("There is no such token.")
        return self.tokens[authorization_id]

    async def create(self, organization: Organization, wanted: NewToken) -> IssuedToken:
        number = sum(each.startswith("create") for each in self.log) + 1
        name = f"new-{number}"
        token = Token(name, wanted.display_name, wanted.scope, self.clock(), wanted.valid_to)
        await self.act(f"create {name}", lambda: self.owns(token))
        return IssuedToken(token, SecretStr(f"s3cret-{number}"))

    async def extend(self, organization: Organization, token: Token, valid_to: datetime) -> Token:
        changed = replace(token, valid_to=valid_to)
        await self.act(f"extend {token.authorization_id}", lambda: self.owns(changed))
        return changed

    async def revoke(self, organization: Organization, authorization_id: str) -> None:
        await self.act(f"revoke {authorization_id}", lambda: self._end(authorization_id))

    async def works(self, organization: Organization, issued: IssuedToken) -> bool | None:
        await self.act(f"try {issued.token.authorization_id}")
        return self.takes_new

    async def revoke_tokens(
        self, organization: Organization, authorization_ids: Sequence[str]
    ) -> None:
        for each in authorization_ids:
            await self.act(f"admin revoke {each}", lambda each=each: self._end(each))  # type: ignore[misc] # its default says the type

    def _end(self, authorization_id: str) -> None:
        token = self.tokens[authorization_id]
        self.tokens[authorization_id] = replace(token, is_valid=False)


@dataclass
class Admin:
    """The service's own view on the same tokens."""

    azure: Azure

    async def tokens(self, organization: Organization, subject_descriptor: str) -> TokenReading:
        return TokenReading(tuple(self.azure.tokens.values()))

    async def revoke_tokens(
        self, organization: Organization, authorization_ids: Sequence[str]
    ) -> None:
        await self.azure.revoke_tokens(organization, authorization_ids)


@dataclass
class FakeVault:
    """A vault in a dictionary: each secret with the owner and the token it is for."""

    azure: Azure
    secrets: dict[str, list[tuple[VaultSecret, str]]] = field(default_factory=dict)
    fails: PatWardenError | None = None

    async def kept(self, name: str) -> VaultSecret | None:
        versions = self.secrets.get(name)
        return versions[-1][0] if versions else None

    async def keep(self, name: str, owner: Owner, issued: IssuedToken) -> VaultSecret:
        if self.fails:
            raise self.fails
        before = await self.kept(name)
        if before and not before.is_of(owner):
            raise VaultRefused("The secret is somebody else's.")
        token = issued.token
        version = str(len(self.secrets.get(name, [])) + 1)
        made = VaultSecret(
            name,
            version,
            owner.subject_descriptor,
            token.authorization_id,
            owner.organization,
        )
        entry = (made, issued.secret.get_secret_value())
        await self.azure.act("keep", lambda: self.secrets.setdefault(name, []).append(entry))
        return made
