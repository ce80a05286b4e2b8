"""What the service deals with: an organization, its owners' hands, a vault, a mail provider.

Each remembers what it really saw, by which the invariants are judged afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random

from pydantic import SecretStr

from pat_core.errors import (
    BrokenReply,
    ChannelBusy,
    ChannelError,
    LedgerUnavailable,
    OwnerGone,
    QueueUnavailable,
    Throttled,
    TokenNotFound,
    Unavailable,
    VaultUnavailable,
)
from pat_core.local.memory_queues import Taken
from pat_core.model import (
    Digest,
    IssuedToken,
    NewToken,
    Organization,
    Owner,
    Token,
    TokenReading,
    UserPage,
    VaultSecret,
)
from pat_core.ports import Outcome, Waiting
from pat_core.rows import Change, Row
from tests.simulation.fate import Fate
from tests.simulation.storage import MemoryStore, SimulatedQueues

Clock = Callable[[], datetime]
PAGE = 4


@dataclass
class World:
    """The truth: who is in the organization, which tokens there are, who was told what.

    `parents` names the token that each new one was made to replace; `handed` holds those whose
    secret surely reached its owner or the vault.
    """

    clock: Clock
    fate: Fate
    people: dict[str, Owner] = field(default_factory=dict)
    tokens: dict[str, dict[str, Token]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    handed: set[str] = field(default_factory=set)
    ended_by_service: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    reads: list[tuple[str, datetime]] = field(default_factory=list)
    mails: dict[str, tuple[datetime, Digest]] = field(default_factory=dict)
    vault: dict[str, list[VaultSecret]] = field(default_factory=dict)

    def find(self, authorization_id: str) -> tuple[str, Token]:
        """Whose a token is, and the token. Raises TokenNotFound."""
        for descriptor, owned in self.tokens.items():
            if authorization_id in owned:
                return descriptor, owned[authorization_id]
        raise TokenNotFound("There is no such token.")

    def put(self, descriptor: str, token: Token) -> None:
        """Write a token down."""
        self.tokens.setdefault(descriptor, {})[token.authorization_id] = token

    def end(self, authorization_id: str) -> None:
        """Revoke a token."""
        descriptor, token = self.find(authorization_id)
        self.put(descriptor, replace(token, is_valid=False))

    def end_by_service(self, authorization_id: str) -> None:
        """Revoke a token because a rotation says so; judged at once."""
        _, token = self.find(authorization_id)
        children = [new for new, old in self.parents.items() if old == authorization_id]
        is_new = authorization_id in self.parents
        if token.is_valid and not is_new and not any(child in self.handed for child in children):
            self.wrong.append(f"5: {authorization_id} was revoked, and nobody has another")
        self.ended_by_service.append(authorization_id)
        self.end(authorization_id)

    def listed(self, descriptor: str) -> tuple[Token, ...]:
        """The tokens of a user as Azure DevOps lists them."""
        return tuple(self.tokens.get(descriptor, {}).values())


def _azure_fault(draw: Random, is_done: bool) -> Exception:
    kind = draw.randrange(4)
    if kind == 0 and not is_done:
        return Throttled("Azure DevOps asks to wait.", seconds=draw.randrange(1, 300))
    if kind == 1:
        return BrokenReply("The reply is HTML.")
    return Unavailable("The connection broke.")


def _storage_fault(_: Random, is_done: bool) -> Exception:
    return LedgerUnavailable("The storage is away.")


def _queue_fault(_: Random, is_done: bool) -> Exception:
    return QueueUnavailable("The queue is away.")


def _vault_fault(_: Random, is_done: bool) -> Exception:
    return VaultUnavailable("The vault is away.")


def _mail_fault(draw: Random, is_done: bool) -> Exception:
    if draw.random() < 0.3 and not is_done:
        return ChannelBusy("The provider asks to wait.", seconds=draw.randrange(1, 120))
    return ChannelError("The provider gave no answer.")


@dataclass
class AzureDevOps:
    """What the service's own identity reads and does."""

    world: World

    async def user_page(self, organization: Organization, continuation_token: str = "") -> UserPage:
        """A few users after one: a token that counted would skip somebody when another leaves."""

        async def act() -> UserPage:
            names = sorted(each for each in self.world.people if each > continuation_token)
            page = tuple(self.world.people[each] for each in names[:PAGE])
            return UserPage(page, continuation_token=names[PAGE - 1] if names[PAGE:] else "")

        return await self.world.fate.cross("azure devops lists users", act, _azure_fault)

    async def tokens(self, organization: Organization, subject_descriptor: str) -> TokenReading:
        """All tokens of a user. Raises OwnerGone."""

        async def act() -> TokenReading:
            if subject_descriptor not in self.world.people:
                raise OwnerGone("There is no such user.")
            self.world.reads.append((subject_descriptor, self.world.clock()))
            return TokenReading(self.world.listed(subject_descriptor))

        return await self.world.fate.cross("azure devops lists tokens", act, _azure_fault)

    async def is_active(self, organization: Organization, subject_descriptor: str) -> bool:
        """Whether a user is in the organization."""

        async def act() -> bool:
            return subject_descriptor in self.world.people

        return await self.world.fate.cross("azure devops looks a user up", act, _azure_fault)

    async def revoke_tokens(
        self, organization: Organization, authorization_ids: Sequence[str]
    ) -> None:
        """Revoke them, as an administrator."""

        async def act() -> None:
            for each in authorization_ids:
                self.world.end_by_service(each)

        await self.world.fate.cross("azure devops revokes as administrator", act, _azure_fault)


@dataclass
class Hands:
    """What an owner's own sign-in can do; `replaces` is the token that is being rotated."""

    world: World
    owner: Owner
    replaces: str = ""

    async def caller(self, organization: Organization) -> Owner:
        """The owner."""

        async def act() -> Owner:
            return self.owner

        return await self.world.fate.cross("azure devops names the caller", act, _azure_fault)

    async def my_tokens(self, organization: Organization) -> TokenReading:
        """All of the owner's tokens."""

        async def act() -> TokenReading:
            return TokenReading(self.world.listed(self.owner.subject_descriptor))

        return await self.world.fate.cross("azure devops lists own tokens", act, _azure_fault)

    async def my_token(self, organization: Organization, authorization_id: str) -> Token:
        """One of them. Raises TokenNotFound."""

        async def act() -> Token:
            return self._mine(authorization_id)

        return await self.world.fate.cross("azure devops shows an own token", act, _azure_fault)

    async def create(self, organization: Organization, wanted: NewToken) -> IssuedToken:
        """A new token and its secret."""

        async def act() -> IssuedToken:
            name = f"made-{len(self.world.secrets)}"
            now = self.world.clock()
            token = Token(name, wanted.display_name, wanted.scope, now, wanted.valid_to)
            self.world.put(self.owner.subject_descriptor, token)
            self.world.parents[name] = self.replaces
            self.world.secrets[name] = f"s3cret-of-{name}-{'x' * 40}"
            return IssuedToken(token, SecretStr(self.world.secrets[name]))

        return await self.world.fate.cross("azure devops makes a token", act, _azure_fault)

    async def extend(self, organization: Organization, token: Token, valid_to: datetime) -> Token:
        """The token with another end."""

        async def act() -> Token:
            changed = replace(self._mine(token.authorization_id), valid_to=valid_to)
            self.world.put(self.owner.subject_descriptor, changed)
            return changed

        return await self.world.fate.cross("azure devops extends a token", act, _azure_fault)

    async def revoke(self, organization: Organization, authorization_id: str) -> None:
        """End a token: one's own wish, or what a rotation makes of a new one that nobody has."""

        async def act() -> None:
            self.world.end(authorization_id)

        await self.world.fate.cross("azure devops revokes an own token", act, _azure_fault)

    async def works(self, organization: Organization, issued: IssuedToken) -> bool | None:
        """Whether Azure DevOps takes a new token."""

        async def act() -> bool | None:
            return self._mine(issued.token.authorization_id).is_valid

        return await self.world.fate.cross("azure devops tries a token", act, _azure_fault)

    def _mine(self, authorization_id: str) -> Token:
        found = self.world.tokens.get(self.owner.subject_descriptor, {}).get(authorization_id)
        if found is None:
            raise TokenNotFound("There is no such token.")
        return found


@dataclass
class Vault:
    """Key Vault: a version for each secret that was put there."""

    world: World

    async def kept(self, name: str) -> VaultSecret | None:
        """The newest version of a secret, without its value."""

        async def act() -> VaultSecret | None:
            versions = self.world.vault.get(name)
            return versions[-1] if versions else None

        return await self.world.fate.cross("vault looks a secret up", act, _vault_fault)

    async def keep(self, name: str, owner: Owner, issued: IssuedToken) -> VaultSecret:
        """Where the secret is from now on."""

        async def act() -> VaultSecret:
            versions = self.world.vault.setdefault(name, [])
            made = VaultSecret(
                name,
                str(len(versions) + 1),
                owner.subject_descriptor,
                issued.token.authorization_id,
                owner.organization,
            )
            versions.append(made)
            self.world.handed.add(issued.token.authorization_id)
            return made

        return await self.world.fate.cross("vault keeps a secret", act, _vault_fault)


@dataclass
class Mail:
    """A mail provider that knows an operation id again, as Azure Communication Services does."""

    world: World

    async def send(self, digest: Digest, *, operation_id: str, claimed_at: datetime) -> None:
        """Take a mail, once for each operation id."""

        async def act() -> None:
            self.world.mails.setdefault(operation_id, (self.world.clock(), digest))

        await self.world.fate.cross("mail takes a digest", act, _mail_fault)

    async def outcome(self, operation_id: str) -> Outcome:
        """Whether a mail was taken."""

        async def act() -> Outcome:
            known = operation_id in self.world.mails
            return Outcome.ACCEPTED if known else Outcome.UNKNOWN

        return await self.world.fate.cross("mail looks an operation up", act, _mail_fault)


@dataclass
class Storage:
    """The tables, as the service reaches them."""

    inner: MemoryStore
    fate: Fate

    async def rows(
        self, table: str, partition: str, *, after: str = "", before: str = ""
    ) -> AsyncIterator[Row]:
        """Every row between two keys."""

        async def act() -> list[Row]:
            found = self.inner.rows(table, partition, after=after, before=before)
            return [row async for row in found]

        for row in await self.fate.cross(f"storage lists {table}", act, _storage_fault):
            yield row

    async def row(self, table: str, partition: str, key: str) -> Row | None:
        """One row, or None."""
        return await self.fate.cross(
            f"storage reads {table}",
            lambda: self.inner.row(table, partition, key),
            _storage_fault,
        )

    async def write(self, table: str, changes: Sequence[Change]) -> list[str]:
        """All of the changes, or none."""
        return await self.fate.cross(
            f"storage writes {table}", lambda: self.inner.write(table, changes), _storage_fault
        )


@dataclass
class Queues:
    """The queues, as the service and its host reach them."""

    inner: SimulatedQueues
    fate: Fate

    async def send(self, queue: str, message: str, *, delay: float = 0) -> None:
        """Put a message on a queue."""
        await self.fate.cross(
            "queue takes a message",
            lambda: self.inner.send(queue, message, delay=delay),
            _queue_fault,
        )

    async def waiting(self, queue: str) -> Waiting:
        """What stands there."""
        return await self.fate.cross(
            "queue is looked at", lambda: self.inner.waiting(queue), _queue_fault
        )

    async def take(self, queue: str) -> Taken | None:
        """The next message; a process that died takes none."""
        return None if self.fate.is_dead else await self.inner.take(queue)

    async def done(self, taken: Taken) -> None:
        """Forget a message, unless the process died before it could say so."""
        if not self.fate.is_dead:
            await self.inner.done(taken)

    async def failed(self, taken: Taken) -> bool:
        """Put a message back, unless the process died: then it comes back by itself."""
        return False if self.fate.is_dead else await self.inner.failed(taken)

    def next_in(self) -> float | None:
        """None: what is hidden is for a later step."""
        return self.inner.next_in()
