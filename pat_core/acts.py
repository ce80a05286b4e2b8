"""The flow by which a signed-in owner extends, revokes, snoozes or lets expire a token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pat_core.book import Book, Entry
from pat_core.digest import date_and_time
from pat_core.errors import ActionRefused
from pat_core.expiry import GLOBAL_PATS_END, effective_expiry, snooze_end
from pat_core.model import Deed, Organization, Owner, Standing, Token
from pat_core.ports import OwnTokens
from pat_core.records import Account
from pat_core.rotations import BOTH_LIVE, UNDER_WAY, Rotation, ended, given_up


@dataclass(frozen=True, slots=True)
class Acts:
    """Does what an owner asks for, writes it down and has the owner told. `windows` are in days.

    Each method raises TokenNotFound, ActionRefused, another AzureDevOpsError, LedgerError.
    """

    book: Book
    windows: Sequence[int]

    async def extend(
        self, own: OwnTokens, organization: Organization, authorization_id: str, lifetime: timedelta
    ) -> Token:
        """The token with its new end, as it came back. Raises TokenRefused by a policy."""
        owner, token, account = await self._gather(own, organization, authorization_id)
        valid_to = self.book.clock() + lifetime
        if (rotation := account.rotations.get(authorization_id)) and rotation.blocks_new_rotation:
            raise ActionRefused("The token is being replaced.", remedy="Use the new one.")
        if token.is_global:
            # What is asked for is never global, so this would narrow it to one organization.
            raise ActionRefused(
                "A later end would not help: global tokens stop working on "
                f"{date_and_time(GLOBAL_PATS_END)}.",
                remedy="Rotate it instead.",
            )
        if valid_to <= token.valid_to:
            raise ActionRefused(
                f"The token lives until {date_and_time(token.valid_to)} already.",
                remedy="Choose a longer time.",
            )
        changed = await own.extend(organization, token, valid_to)
        detail = f"It now lives until {date_and_time(changed.valid_to)}."
        await self._write(owner, Entry(changed, lambda _: Standing(), None, Deed.EXTENDED, detail))
        return changed

    async def revoke(
        self, own: OwnTokens, organization: Organization, authorization_id: str
    ) -> Token:
        """The token, revoked. One that was to be replaced by it is then kept.

        Unless its owner has yet another in its place.
        """
        owner, token, account = await self._gather(own, organization, authorization_id)
        rotation = account.rotations.get(authorization_id)
        if rotation and rotation.state in UNDER_WAY:
            raise ActionRefused("The token is being rotated just now.", remedy="Try again later.")
        origin = account.origin(authorization_id)
        is_needed = not (rotation and rotation.is_in_hand)
        if is_needed and origin and origin.state in BOTH_LIVE and not origin.is_ending:
            # First, so that no crash lets the old one be revoked although the new one is.
            await self._keep_old(owner, account, origin)
        await own.revoke(organization, authorization_id)
        over = (
            ended(rotation, self.book.clock()) if rotation and rotation.state in BOTH_LIVE else None
        )
        gone = replace(token, is_valid=False)
        await self._write(owner, Entry(gone, rotation=over, deed=Deed.REVOKED))
        return gone

    async def snooze(
        self, own: OwnTokens, organization: Organization, authorization_id: str, days: int
    ) -> Standing:
        """What is decided of the token: nothing is told for so many days, or until the last window.

        Raises ActionRefused in the last window.
        """
        owner, token, _ = await self._gather(own, organization, authorization_id)
        until = snooze_end(token, days, self.book.clock(), self.windows)
        if until is None:
            raise ActionRefused(
                "The token is about to expire, so the reminder can no longer be put off.",
                remedy="Rotate or extend it, or let it expire.",
            )
        standing = Standing(snoozed_until=until)
        await self._write(owner, Entry(token, lambda known: replace(known, snoozed_until=until)))
        return standing

    async def let_expire(
        self, own: OwnTokens, organization: Organization, authorization_id: str
    ) -> Standing:
        """What is decided of the token: nothing more is told of it."""
        owner, token, _ = await self._gather(own, organization, authorization_id)
        await self._write(owner, Entry(token, lambda known: replace(known, lets_expire=True)))
        return Standing(lets_expire=True)

    async def remind(
        self, own: OwnTokens, organization: Organization, authorization_id: str
    ) -> Standing:
        """What is decided of the token: its owner wants to be told again."""
        owner, token, account = await self._gather(own, organization, authorization_id)
        if (rotation := account.rotations.get(authorization_id)) and rotation.blocks_new_rotation:
            raise ActionRefused("The token is being replaced.", remedy="Use the new one.")
        await self._write(
            owner,
            Entry(token, lambda known: replace(known, snoozed_until=None, lets_expire=False)),
        )
        return Standing()

    async def _gather(
        self, own: OwnTokens, organization: Organization, authorization_id: str
    ) -> tuple[Owner, Token, Account]:
        found = await own.my_token(organization, authorization_id)
        owner = await own.caller(organization)
        account = await self.book.account(owner)
        token = account.known(found)
        if not token.is_valid or effective_expiry(token) <= self.book.clock():
            raise ActionRefused(
                "The token has expired or was revoked, so nothing can be done to it.",
                remedy="Make a new one in Azure DevOps.",
            )
        return owner, token, account

    async def _keep_old(self, owner: Owner, account: Account, origin: Rotation) -> None:
        old = account.tokens[origin.authorization_id].token
        why = "The new token was revoked, so the old one is kept."
        rotation = ended(given_up(origin, why, self.book.clock()), self.book.clock())
        await self._write(
            owner, Entry(old, lambda known: replace(known, lets_expire=False), rotation)
        )

    async def _write(self, owner: Owner, entry: Entry) -> None:
        await self.book.write(owner, entry)
