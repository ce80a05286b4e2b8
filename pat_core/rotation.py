"""The flow by which a signed-in owner rotates a token; each step is in the ledger before the next.

A crash at any step loses nothing: until the new token was surely handed over the old one stays,
and a new one that nobody has is revoked by `finishing`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol, Unpack

from pydantic import SecretStr

from pat_core.book import Book, Follows, rotation_entry
from pat_core.digest import date_and_time
from pat_core.errors import (
    ActionRefused,
    AzureDevOpsError,
    BrokenReply,
    Conflict,
    TokenNotFound,
    TokenRefused,
    Unavailable,
    VaultRefused,
)
from pat_core.expiry import effective_expiry
from pat_core.model import (
    Deed,
    IssuedToken,
    NewToken,
    Organization,
    Owner,
    Token,
    VaultSecret,
)
from pat_core.pointing import pointing
from pat_core.ports import OwnTokens, TokenTrial, Vault
from pat_core.records import Account
from pat_core.rotations import (
    LONGEST_OVERLAP,
    OVERLAP,
    Rotation,
    RotationState,
    ended,
    given_up,
    handed_over,
    issued,
    put_hint,
    superseded,
)
from pat_core.vault_name import secret_name


class Hands(OwnTokens, TokenTrial, Protocol):
    """What acts for an owner: the owner's own sign-in."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What an owner wants: how long the new token lives, and the old one beside it."""

    lifetime: timedelta
    overlap: timedelta = OVERLAP
    to_vault: bool = False
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class Rotated:
    """A rotation; `secret` is the new token's where it was made just now and goes to no vault.

    `tried` says whether Azure DevOps took it; None where that could not be tried.
    """

    rotation: Rotation
    secret: SecretStr | None = None
    tried: bool | None = None


@dataclass(frozen=True, slots=True)
class Rotator:
    """Rotates tokens for their owners; without a vault, new tokens can only be shown."""

    book: Book
    vault: Vault | None = None

    async def rotate(
        self, hands: Hands, organization: Organization, authorization_id: str, wish: Wish
    ) -> Rotated:
        """The rotation, begun now, or the one that was begun before: never a second new token.

        Raises TokenNotFound, ActionRefused, TokenRefused (none was made), VaultError, another
        AzureDevOpsError, LedgerError. The old token stays whatever is raised.
        """
        owner = await hands.caller(organization)
        old = await hands.my_token(organization, authorization_id)
        account = await self.book.account(owner)
        known = account.rotations.get(authorization_id)
        if known and known.blocks_new_rotation:
            return Rotated(known)
        turn = _Turn(self, hands, organization, owner, old)
        if known and known.has_loose_end:
            known = await turn.clean_up(known)
        self._check(account.known(old), wish)
        place = await self._place(hands, organization, owner, old, account) if wish.to_vault else ""
        rotation = await turn.begin(wish, place, known)
        if rotation is None:
            return Rotated((await self.book.account(owner)).rotations[authorization_id])
        return await turn.run(rotation)

    async def confirm(
        self, hands: Hands, organization: Organization, authorization_id: str
    ) -> Rotation:
        """The rotation whose new token its owner has stored: from now on the overlap runs.

        Raises as `rotate` does.
        """
        turn, rotation = await self._turn(hands, organization, authorization_id)
        if rotation.state is not RotationState.HANDED_OVER:
            return rotation
        return await turn.supersede(rotation)

    async def withdraw(
        self, hands: Hands, organization: Organization, authorization_id: str
    ) -> Rotation:
        """The rotation, given up: its owner does not have the new token, which is revoked.

        Raises ActionRefused once the new token is in use, and as `rotate` does.
        """
        turn, rotation = await self._turn(hands, organization, authorization_id)
        if rotation.state is not RotationState.HANDED_OVER or rotation.vault_version:
            raise ActionRefused(
                f"The rotation is {rotation.state}, so it cannot be started again.",
                remedy="Use the new token, or rotate that one.",
            )
        return await turn.give_up(rotation, "The new token was not stored.")

    async def keep_longer(
        self, hands: Hands, organization: Organization, authorization_id: str
    ) -> Rotation:
        """The rotation whose old token lives 7 days from now, at most until its own end.

        Raises ActionRefused where nothing is to be revoked, and as `rotate` does.
        """
        turn, rotation = await self._turn(hands, organization, authorization_id)
        if rotation.state is not RotationState.SUPERSEDED:
            raise ActionRefused("The old token is not about to be revoked.")
        if rotation.is_ending:
            raise ActionRefused("The old token is being revoked just now, so it is too late.")
        return await turn.write(
            superseded(replace(rotation, overlap=LONGEST_OVERLAP), turn.old, self.book.clock())
        )

    async def _turn(
        self, hands: Hands, organization: Organization, authorization_id: str
    ) -> tuple[_Turn, Rotation]:
        owner = await hands.caller(organization)
        old = await hands.my_token(organization, authorization_id)
        rotation = (await self.book.account(owner)).rotations.get(authorization_id)
        if rotation is None:
            raise ActionRefused("This token is not being rotated.", remedy="Rotate it first.")
        return _Turn(self, hands, organization, owner, old), rotation

    def _check(self, old: Token, wish: Wish) -> None:
        if not old.is_valid or effective_expiry(old) <= self.book.clock():
            raise ActionRefused(
                "The token has expired or was revoked, so it cannot be rotated.",
                remedy="Make a new one in Azure DevOps.",
            )
        if wish.to_vault and self.vault is None:
            raise ActionRefused(
                "No Key Vault is set up.",
                remedy="Have the new token shown, or set PAT_KEY_VAULT_URL.",
            )

    async def _place(
        self,
        hands: Hands,
        organization: Organization,
        owner: Owner,
        old: Token,
        account: Account,
    ) -> str:
        """The name of the vault's secret: the same for a token, what it replaced, and so on."""
        origin = account.origin(old.authorization_id)
        line = f"{owner.subject_descriptor}|{old.display_name}|{old.scope}"
        name = secret_name(organization.name, old.display_name, line)
        name = origin.vault_name if origin and origin.vault_name else name
        kept = await self._vault.kept(name)
        if kept and not kept.is_of(owner):
            raise VaultRefused(
                f"The secret {name} was not put there for this owner, so it is left as it is.",
                remedy="Rename the token, or have the new one shown; or delete that secret.",
            )
        if kept and kept.authorization_id not in ("", old.authorization_id):
            await self._refuse_living(hands, organization, kept, account)
        return name

    async def _refuse_living(
        self, hands: Hands, organization: Organization, kept: VaultSecret, account: Account
    ) -> None:
        """Raise where a secret belongs to another living token, which would lose its place."""
        try:
            other = account.known(await hands.my_token(organization, kept.authorization_id))
        except TokenNotFound:
            return
        if other.is_valid and effective_expiry(other) > self.book.clock():
            raise VaultRefused(
                f"The secret {kept.name} holds another token of the same name and scopes.",
                remedy="Give one of the two tokens another name, or have the new one shown.",
            )

    @property
    def _vault(self) -> Vault:
        if self.vault is None:
            raise ActionRefused("No Key Vault is set up.", remedy="Set PAT_KEY_VAULT_URL.")
        return self.vault


@dataclass(frozen=True, slots=True)
class _Turn:
    """One owner's rotation of one token, step by step."""

    rotator: Rotator
    hands: Hands
    organization: Organization
    owner: Owner
    old: Token

    @property
    def book(self) -> Book:
        return self.rotator.book

    async def begin(self, wish: Wish, place: str, before: Rotation | None) -> Rotation | None:
        """The rotation as requested, or None where another request was first."""
        now = self.book.clock()
        rotation = Rotation(
            self.old.authorization_id,
            RotationState.REQUESTED,
            now,
            now + wish.lifetime,
            wish.overlap,
            idempotency_key=wish.idempotency_key,
            vault_name=place,
            version=before.version if before else "",
        )
        hint = put_hint(self.owner, self.old.authorization_id)
        try:
            async with pointing(self.book.store, [hint]):
                return await self.write(rotation)
        except Conflict:
            return None

    async def run(self, rotation: Rotation) -> Rotated:
        made = await self._create(rotation)
        rotation = await self.write(issued(rotation, made))
        tried = await self.hands.works(self.organization, made)
        if tried is False:
            why = "Azure DevOps refused the new token when it was tried."
            await self.give_up(rotation, why)
            raise TokenRefused(f"{why} The old one stays.", remedy="Rotate again later.")
        if rotation.vault_name:
            return Rotated(await self._into_vault(rotation, made), tried=tried)
        # Written before it is shown: whatever happens to the response, it is never shown again.
        return Rotated(await self.write(handed_over(rotation)), made.secret, tried)

    async def _create(self, rotation: Rotation) -> IssuedToken:
        wanted = NewToken(self.old.display_name, self.old.scope, rotation.asked_valid_to)
        try:
            return await self.hands.create(self.organization, wanted)
        except (Unavailable, BrokenReply) as fault:
            raise type(fault)(
                f"{fault.cause} Nobody knows whether a new token was made.",
                remedy="The old one stays. If one was made, it is revoked within the next hours; "
                "rotate again after that.",
            ) from None
        except AzureDevOpsError as fault:
            await self.give_up(rotation, fault.cause)
            raise

    async def _into_vault(self, rotation: Rotation, made: IssuedToken) -> Rotation:
        try:
            kept = await self.rotator._vault.keep(rotation.vault_name, self.owner, made)  # noqa: SLF001 - its own turn
        except VaultRefused as fault:
            await self.give_up(rotation, fault.cause)
            raise
        return await self.supersede(await self.write(handed_over(rotation, kept)))

    async def supersede(self, rotation: Rotation) -> Rotation:
        """The rotation once the new token is surely in its owner's hands."""
        now = self.book.clock()
        rotation = superseded(rotation, self.old, now)
        ends_at = rotation.revoke_at or now
        rotation = await self.write(
            rotation, lets_expire=True, deed=Deed.ROTATED, detail=rotated_words(rotation)
        )
        if ends_at > now:
            return rotation
        await self.hands.revoke(self.organization, self.old.authorization_id)
        return await self.write(ended(rotation, now), is_valid=False)

    async def give_up(self, rotation: Rotation, why: str) -> Rotation:
        """The rotation, given up; a new token that was made is revoked, now or by `finishing`."""
        rotation = await self.write(given_up(rotation, why, self.book.clock()))
        if not rotation.new_id:
            return rotation
        try:
            return await self.clean_up(rotation)
        except AzureDevOpsError:
            return rotation

    async def clean_up(self, rotation: Rotation) -> Rotation:
        """The rotation whose new token, which nobody has, is revoked."""
        await self.hands.revoke(self.organization, rotation.new_id)
        return await self.write(ended(rotation, self.book.clock()))

    async def write(self, rotation: Rotation, **follows: Unpack[Follows]) -> Rotation:
        """The rotation as it stands in the ledger. Raises Conflict, LedgerUnavailable."""
        entry = rotation_entry(self.old, rotation, **follows)
        return replace(rotation, version=await self.book.write(self.owner, entry))


def rotated_words(rotation: Rotation) -> str:
    """What follows from a rotation, for the owner's mail."""
    lives = date_and_time(rotation.new_valid_to) if rotation.new_valid_to else "its end"
    where = f" It is in the vault as {rotation.vault_name}." if rotation.vault_name else ""
    ends = date_and_time(rotation.revoke_at) if rotation.revoke_at else "its own end"
    return f"The new token lives until {lives}.{where} The old one lives until {ends}."
