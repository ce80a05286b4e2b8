"""Reads users and tokens out of replies, without I/O. Times come out as aware UTC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from pat_core.address import usable_address
from pat_core.azure_devops.wire import Reply, one_line
from pat_core.errors import BrokenReply
from pat_core.model import Organization, Owner, Token, TokenReading, UserPage

LONGEST_DESCRIPTOR: Final = 1000
LONGEST_CONTINUATION: Final = 4000
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
ZERO_GUID: Final = UUID(int=0)
EARLIEST: Final = datetime(1601, 1, 1, tzinfo=UTC)
"""The first moment that Azure Table Storage keeps. .NET writes year 1 where it has no time."""
_NOT_AN_OWNER: Final = ("svc.", "aadsp.", "aadgp.", "vssgp.", "s2s.", "acs.")


def _as_utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        # tokenadmin's times carry no zone and mean UTC.
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


def _no_number(given: object) -> object:
    # Else 5 and "7" would be moments of 1970, and a token that lives would look dead.
    if isinstance(given, str) and not _DAY.match(given):
        raise ValueError("this is no time")
    if isinstance(given, int | float):
        raise ValueError("a number is no time")  # noqa: TRY004 - the kind that pydantic hears
    return given


def _keepable(time: datetime) -> datetime:
    if time < EARLIEST:
        raise ValueError("the time is before 1601")
    return time


def _own_segment(descriptor: str) -> str:
    if not descriptor.strip("."):
        raise ValueError("dots alone name nobody")
    return descriptor


UtcTime = Annotated[datetime, BeforeValidator(_no_number), AfterValidator(_as_utc)]
Descriptor = Annotated[
    str, Field(min_length=1, max_length=LONGEST_DESCRIPTOR), AfterValidator(_own_segment)
]


class Body(BaseModel):
    """A part of a reply."""

    # Built when the first such reply is read: most processes read few of these shapes.
    model_config = ConfigDict(alias_generator=to_camel, frozen=True, defer_build=True)


class _GraphUser(Body):
    descriptor: Descriptor
    subject_kind: str | None = None
    display_name: str | None = None
    mail_address: str | None = None
    principal_name: str | None = None

    @property
    def may_own_tokens(self) -> bool:
        kind = (self.subject_kind or "user").lower()
        return kind == "user" and not self.descriptor.startswith(_NOT_AN_OWNER)


class PatToken(Body):
    """What both APIs say of a token; only tokenadmin knows `isValid` and `isPublic`."""

    authorization_id: UUID
    display_name: str | None = None
    scope: str | None = None
    valid_from: UtcTime | None = None
    valid_to: UtcTime
    target_accounts: list[UUID] | None = None
    is_valid: StrictBool | None = True
    is_public: StrictBool | None = False

    def as_token(self, *, null_means_global: bool) -> Token:
        """The token, for the pure rules."""
        began = self.valid_from
        return Token(
            authorization_id=str(self.authorization_id),
            display_name=self.display_name or "",
            scope=self.scope or "",
            valid_from=began if began and began >= EARLIEST else self.valid_to,
            valid_to=self.valid_to,
            is_valid=self.is_valid is not False,
            is_global=null_means_global and self.target_accounts is None,
        )


Item = TypeVar("Item", bound=Body)
AnyBody = TypeVar("AnyBody", bound=Body)


class _Users(Body):
    value: list[_GraphUser]


class _ScannedToken(PatToken):
    # One that the ledger refuses would take its whole batch along.
    valid_to: Annotated[UtcTime, AfterValidator(_keepable)]


class _Tokens(Body):
    value: list[_ScannedToken]
    continuation_token: str | None = None


class _MyTokens(Body):
    pat_tokens: list[PatToken]
    continuation_token: str | None = None


class _Membership(Body):
    active: StrictBool


class _AnyItems(Body):
    value: list[Any]
    continuation_token: str | None = None


@dataclass(frozen=True, slots=True)
class _Items(Generic[Item]):
    good: Sequence[Item]
    faults: tuple[str, ...] = ()
    continuation_token: str | None = None


def read_users(organization: Organization, reply: Reply) -> UserPage:
    """One page of those who may own tokens.

    Groups and service identities are left out: only users own PATs. Raises BrokenReply.
    """
    try:
        users = _Items(_Users.model_validate_json(reply.body).value)
    except ValidationError:
        users = _one_by_one(_GraphUser, reply, "user")
    owners = tuple(
        Owner(
            organization.name,
            user.descriptor,
            user.display_name or "",
            usable_address(user.mail_address, user.principal_name),
        )
        for user in users.good
        if user.may_own_tokens
    )
    return UserPage(owners, users.faults, reply.headers.get("x-ms-continuationtoken", ""))


def read_tokens(reply: Reply, *, null_means_global: bool = False) -> tuple[TokenReading, str]:
    """One page of a user's PATs, and the token of the next page or "".

    A null `targetAccounts` stands on every token of Microsoft's example, so it means a global PAT
    only where `null_means_global`. Null, absent and the zero GUID end the pages.
    Raises BrokenReply.
    """
    try:
        page = _Tokens.model_validate_json(reply.body)
        read = _Items(page.value, (), page.continuation_token)
    except ValidationError:
        read = _one_by_one(_ScannedToken, reply, "token")
    tokens = tuple(
        token.as_token(null_means_global=null_means_global)
        for token in read.good
        if not token.is_public
    )
    return TokenReading(tokens, read.faults), _next(read.continuation_token)


def read_my_tokens(reply: Reply) -> tuple[TokenReading, str]:
    """One page of the caller's own PATs, and the token of the next page or "".

    Here a null `targetAccounts` does mean a global PAT. Raises BrokenReply.
    """
    page = read(_MyTokens, reply)
    tokens = tuple(token.as_token(null_means_global=True) for token in page.pat_tokens)
    return TokenReading(tokens), page.continuation_token or ""


def read_membership(reply: Reply) -> bool:
    """True when the member is active. Raises BrokenReply."""
    return read(_Membership, reply).active


def read(kind: type[AnyBody], reply: Reply) -> AnyBody:
    """The body of a reply. Raises BrokenReply, without what the reply holds."""
    try:
        return kind.model_validate_json(reply.body)
    except ValidationError as fault:
        found = _first(fault)
    # Out here the error has no context that would carry the reply along.
    raise BrokenReply(f"The reply cannot be read: {found}.")


def _one_by_one(kind: type[Item], reply: Reply, noun: str) -> _Items[Item]:
    """The items that can be read, with a sentence for each that can't."""
    page = read(_AnyItems, reply)
    good, faults = [], []
    for number, item in enumerate(page.value, start=1):
        try:
            good.append(kind.model_validate(item))
        except ValidationError as fault:
            faults.append(f"{noun} {number}: {_first(fault)}")
    return _Items(good, tuple(faults), page.continuation_token)


def _first(fault: ValidationError) -> str:
    """The first fault in words, with the field's name and without the reply's content."""
    error = fault.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{field} is missing"
    return one_line(f"{field}: {error['msg']}" if field else error["msg"])


def _next(continuation_token: str | None) -> str:
    token = continuation_token or ""
    if len(token) > LONGEST_CONTINUATION:
        raise BrokenReply("The reply cannot be read: its continuation token is too long.")
    return "" if token == str(ZERO_GUID) else token
