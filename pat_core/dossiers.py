"""The flow that gathers all that is known of one token, and revokes it for an administrator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from pat_core.audit import Result
from pat_core.book import Book, Entry
from pat_core.digest import visible
from pat_core.errors import ActionRefused, TokenNotFound
from pat_core.expiry import effective_expiry
from pat_core.fleet_views import Dossier
from pat_core.listing import RECOMMENDED_DAYS, Listing, listing_of
from pat_core.model import Deed, Organization, Owner, Token
from pat_core.ports import TokenAdmin
from pat_core.records import Account, TokenRecord
from pat_core.rotations import BOTH_LIVE, UNDER_WAY, Rotation, ended
from pat_core.trail import Trail

LONGEST_REASON: Final = 200
MOST_REVOKED: Final = 50
"""In one organization by one administrator WITHIN an hour.

Who opens each page and gives each reason does about one a minute; a script in a browser that is
signed in could end every token there is.
"""
WITHIN: Final = timedelta(hours=1)
_ACTION: Final = "revoke as administrator"
_TOO_MANY: Final = ActionRefused(
    f"You ordered the end of {MOST_REVOKED} tokens of this organization in the last hour.",
    remedy="Wait, or ask another administrator. Many at once are revoked in Azure DevOps itself.",
)
_UNKNOWN: Final = TokenNotFound("There is no such token in the inventory.")


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who acts for the service: how the audit trail and mails name them."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Dossiers:
    """Reads an owner's rows for administrators, and revokes by the service's own identity."""

    book: Book
    admin: TokenAdmin
    trail: Trail
    recommended_days: int = RECOMMENDED_DAYS

    async def of(
        self, organization: Organization, subject_descriptor: str, authorization_id: str
    ) -> Dossier:
        """All that is known of a token. Raises TokenNotFound, LedgerError."""
        owner, account, record = await self._find(
            organization, subject_descriptor, authorization_id
        )
        line = _line(account.rotations.values(), authorization_id)
        since = self.book.clock() - timedelta(days=self.trail.days)
        trail = [
            entry
            async for entry in self.trail.entries(organization.name, since)
            if entry.authorization_id in line
        ]
        notices = [
            notice
            for notice in account.notices.values()
            if notice.authorization_id == authorization_id
        ]
        return Dossier(
            listing=self._listing(account, owner, record),
            gone_at=record.gone_at,
            notices=sorted(notices, key=lambda each: each.noted_at, reverse=True),
            rotations=[
                each
                for each in account.rotations.values()
                if authorization_id in (each.authorization_id, each.new_id)
            ],
            line=line,
            trail=trail[::-1],
            over=self._over(account, record),
        )

    async def revoke(
        self,
        organization: Organization,
        subject_descriptor: str,
        authorization_id: str,
        *,
        by: Administrator,
        reason: str,
    ) -> Token:
        """The token, whose end is ordered; its owner is told why. It may take an hour.

        Raises ActionRefused without a reason, where it is over or where too many were revoked,
        TokenNotFound, AzureDevOpsError (NotPermitted among them), LedgerError.
        """
        why = visible(reason, LONGEST_REASON)
        if not why:
            raise ActionRefused("No reason was given.", remedy="Say why; the owner reads it.")
        owner, account, record = await self._find(
            organization, subject_descriptor, authorization_id
        )
        if over := self._over(account, record):
            raise ActionRefused(over)
        await self._order(organization, authorization_id, by, why)
        said = visible(f"By {by.name or by.id}, who says: {why}", LONGEST_REASON * 2)
        return await self._write(owner, account, record, said)

    async def _order(
        self, organization: Organization, authorization_id: str, by: Administrator, why: str
    ) -> None:
        actor = Owner(organization.name, by.id, by.name)
        asked = await self.trail.asked(actor, _ACTION, authorization_id, why)
        result = Result.FAILED
        try:
            # Counted after it was written, so that of many at once none slips through.
            if await self._ordered_by(actor) > MOST_REVOKED:
                result = Result.REFUSED
                raise _TOO_MANY
            await self.admin.revoke_tokens(organization, [authorization_id])
            result = Result.DONE
        finally:
            await self.trail.ended(asked, result)

    async def _ordered_by(self, actor: Owner) -> int:
        """How many revocations an administrator asked for of late that were not refused."""
        asked, refused = set[str](), set[str]()
        async for entry in self.trail.entries(actor.organization, self.book.clock() - WITHIN):
            if (entry.who, entry.action) == (actor.subject_descriptor, _ACTION):
                (refused if entry.result is Result.REFUSED else asked).add(entry.mark)
        return len(asked - refused)

    async def _write(self, owner: Owner, account: Account, record: TokenRecord, said: str) -> Token:
        gone = replace(record.token, is_valid=False)
        rotation = account.rotations.get(gone.authorization_id)
        over = None
        if rotation and rotation.state in BOTH_LIVE:
            over = ended(rotation, self.book.clock())
        await self.book.write(owner, Entry(gone, rotation=over, deed=Deed.TAKEN, detail=said))
        return gone

    async def _find(
        self, organization: Organization, subject_descriptor: str, authorization_id: str
    ) -> tuple[Owner, Account, TokenRecord]:
        asked = Owner(organization.name, subject_descriptor)
        account = await self.book.account(asked)
        record = account.tokens.get(authorization_id)
        if record is None:
            raise _UNKNOWN
        return account.owner.owner if account.owner else asked, account, record

    def _listing(self, account: Account, owner: Owner, record: TokenRecord) -> Listing:
        return listing_of(account, owner, record, self.recommended_days)

    def _over(self, account: Account, record: TokenRecord) -> str:
        """Why a token cannot be revoked, a sentence; "" where it can."""
        rotation = account.rotations.get(record.token.authorization_id)
        if record.gone_at or not record.token.is_valid:
            return "The token was revoked, or is gone."
        if effective_expiry(record.token) <= self.book.clock():
            return "The token has expired."
        if rotation and rotation.state in UNDER_WAY:
            return "Its owner is rotating it just now."
        return ""


def _line(rotations: Iterable[Rotation], authorization_id: str) -> list[str]:
    """The ids of the tokens that replaced one another, the oldest first."""
    made = {
        each.new_id: each.authorization_id
        for each in rotations
        if each.new_id and each.blocks_new_rotation
    }
    makes = {old: new for new, old in made.items()}
    line = [authorization_id]
    while (before := made.get(line[0], "")) and before not in line:
        line.insert(0, before)
    while (after := makes.get(line[-1], "")) and after not in line:
        line.append(after)
    return line
