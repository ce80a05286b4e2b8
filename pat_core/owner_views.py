"""The flow that gathers what an owner's pages show: Azure DevOps' word and the ledger's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pat_core.book import Book
from pat_core.errors import AzureDevOpsError, NotSignedIn
from pat_core.expiry import effective_expiry, snooze_end
from pat_core.model import Organization, Token
from pat_core.ports import OwnTokenReader
from pat_core.records import Account
from pat_core.views import Choices, TokenView

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Found:
    """Every token of an owner, and a sentence for each organization that could not be read.

    `left_out` names those that do not accept the sign-in: the owner is most likely no member.
    """

    views: Sequence[TokenView]
    faults: Sequence[str] = ()
    left_out: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class OwnerViews:
    """Gathers views. `windows` and `lifetimes` are in days."""

    book: Book
    windows: Sequence[int]
    lifetimes: Sequence[int]
    vault_url: str = ""

    async def all(self, own: OwnTokenReader, organizations: Sequence[Organization]) -> Found:
        """Every token of the caller.

        Raises NotSignedIn where no organization accepts the sign-in, LedgerError.
        """
        found = await asyncio.gather(
            *(self._of(own, each) for each in organizations), return_exceptions=True
        )
        strangers = [each for each in found if isinstance(each, NotSignedIn)]
        if strangers and len(strangers) == len(found):
            raise strangers[0]
        views, faults, left_out = list[TokenView](), list[str](), list[str]()
        for organization, each in zip(organizations, found, strict=True):
            match each:
                # To whoever is no member it says the same as to one whom it does not know.
                case NotSignedIn():
                    left_out.append(organization.name)
                case AzureDevOpsError():
                    faults.append(str(each))
                case BaseException():
                    raise each
                case _:
                    views += each
        return Found(views, faults, left_out)

    async def one(
        self, own: OwnTokenReader, organization: Organization, authorization_id: str
    ) -> TokenView:
        """One token of the caller. Raises TokenNotFound, AzureDevOpsError, LedgerError."""
        token, owner = await asyncio.gather(
            own.my_token(organization, authorization_id), own.caller(organization)
        )
        account = await self.book.account(owner)
        return _view(organization, token, account)

    def choices(self, view: TokenView) -> Choices:
        """What may be chosen for a token: by default it lives as long as the one before."""
        life = view.token.valid_to - view.token.valid_from
        fitting = [days for days in self.lifetimes if days * _DAY >= life]
        now = self.book.clock()
        return Choices(
            lifetimes_days=self.lifetimes,
            default_lifetime_days=min(fitting, default=max(self.lifetimes)),
            can_snooze=snooze_end(view.token, 1, now, self.windows) is not None,
            has_vault=bool(self.vault_url),
            vault_url=self.vault_url,
        )

    async def _of(self, own: OwnTokenReader, organization: Organization) -> list[TokenView]:
        owner, reading = await asyncio.gather(own.caller(organization), own.my_tokens(organization))
        account = await self.book.account(owner)
        return [_view(organization, token, account) for token in reading.tokens]


def _view(organization: Organization, token: Token, account: Account) -> TokenView:
    return TokenView(
        organization.name,
        account.known(token),
        effective_expiry(token),
        account.standing(token),
        account.rotations.get(token.authorization_id),
        account.origin(token.authorization_id),
    )
