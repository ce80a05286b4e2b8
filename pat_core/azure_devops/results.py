"""Reads what an owner's calls bring out of replies, without I/O."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from pydantic import SecretStr

from pat_core.address import usable_address
from pat_core.azure_devops.replies import ZERO_GUID, Body, PatToken, read
from pat_core.azure_devops.token_errors import token_error
from pat_core.azure_devops.wire import Reply
from pat_core.errors import BrokenReply
from pat_core.model import IssuedToken, Organization, Owner, Token

_PUBLIC_ACCESS: Final = UUID("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")


class _Verdict(Body):
    """What a PatTokenResult says of success, whatever else it holds."""

    pat_token_error: str | None = None
    pat_token_error_message: str | None = None


class _Result(Body):
    pat_token: PatToken


class _NewPatToken(PatToken):
    token: SecretStr


class _NewResult(Body):
    pat_token: _NewPatToken


class _User(Body):
    id: UUID | None = None
    descriptor: str | None = None
    subject_descriptor: str | None = None
    provider_display_name: str | None = None
    properties: Any = None

    @property
    def is_anonymous(self) -> bool:
        """True for who stands in where a credential was not accepted.

        Organizations with public projects answer so, with a 200.
        """
        return (
            self.id in (ZERO_GUID, _PUBLIC_ACCESS)
            or (self.descriptor or "").startswith("System:PublicAccess")
            or (self.subject_descriptor or "").startswith("spa.")
        )

    @property
    def account(self) -> str:
        """The name that the user signs in with, mostly an address; "" where there is none."""
        try:
            return str(self.properties["Account"]["$value"])
        except (KeyError, TypeError, IndexError):
            return ""


class _ConnectionData(Body):
    authenticated_user: _User | None = None


def check(reply: Reply) -> None:
    """Raise the TokenRefused or TokenNotFound that stands inside a reply with status 200.

    Raises BrokenReply where it cannot be read.
    """
    verdict = read(_Verdict, reply)
    if verdict.pat_token_error not in (None, "", "none"):
        raise token_error(verdict.pat_token_error or "", verdict.pat_token_error_message or "")


def read_token(reply: Reply) -> Token:
    """The one PAT of a reply; none of them tells whether it was revoked.

    Raises TokenRefused, TokenNotFound, BrokenReply.
    """
    check(reply)
    return read(_Result, reply).pat_token.as_token(null_means_global=True)


def read_issued(reply: Reply) -> IssuedToken:
    """The PAT that was just made. Raises TokenRefused, or BrokenReply: nobody knows whether it was.

    Neither an error nor a token is a failure too.
    """
    check(reply)
    made = read(_NewResult, reply).pat_token
    if not made.token.get_secret_value():
        raise BrokenReply("The reply cannot be read: the new token is missing.")
    return IssuedToken(made.as_token(null_means_global=True), made.token)


def read_caller(organization: Organization, reply: Reply) -> Owner | None:
    """Who makes the calls, or None where nobody is signed in. Raises BrokenReply."""
    user = read(_ConnectionData, reply).authenticated_user
    if user is None or user.is_anonymous or not user.subject_descriptor:
        return None
    return Owner(
        organization.name,
        user.subject_descriptor,
        user.provider_display_name or "",
        usable_address(user.account),
    )


def read_acceptance(reply: Reply) -> bool | None:
    """True where a user is signed in, false where nobody is, None where the reply does not tell.

    Raises BrokenReply.
    """
    user = read(_ConnectionData, reply).authenticated_user
    if user is None or user.id is None:
        return None
    return not user.is_anonymous
