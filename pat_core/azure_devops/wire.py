"""Requests to Azure DevOps and what its replies mean, without I/O.

Contracts: the Graph and Token Admin REST APIs, 7.1-preview.1. Every quirk of theirs is met here;
what an owner's hands and an administrator's change is in `lifecycle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode

from pat_core.model import Organization

HOSTED: Final = "https://vssps.dev.azure.com"
RESOURCE: Final = "499b84ac-1321-427f-aa17-267ca6975798"
"""The application id of Azure DevOps: what an Entra token must be issued for."""
HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    # Without it an unauthenticated call is redirected to a sign-in page instead of refused.
    "X-TFS-FedAuthRedirect": "Suppress",
}
LONGEST_PAUSE: Final = 3600.0
_LONGEST_MESSAGE: Final = 200


class Effect(Enum):
    """What making a call twice does."""

    NONE = "none"
    SAME_AS_ONCE = "same as once"
    TWICE = "twice"


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of the API: what it is called in messages and what it needs.

    The reply to one that is `silent` may have no body.
    """

    does: str
    scope: str
    entra_only: bool = False
    method: str = "GET"
    effect: Effect = Effect.NONE
    silent: bool = False


LIST_USERS: Final = Call("list users", "vso.graph")
READ_TOKENS: Final = Call("read the tokens of a user", "vso.tokenadministration")
READ_MEMBERSHIP: Final = Call("read a membership state", "vso.graph")
LIST_MY_TOKENS: Final = Call("list my own tokens", "vso.pats", entra_only=True)


@dataclass(frozen=True, slots=True)
class Request:
    """What is ready to be sent; `body` is JSON, empty for none."""

    call: Call
    organization: Organization
    url: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; the keys of `headers` are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def address_of(
    organization: Organization,
    path: str,
    query: Mapping[str, str | None] = MappingProxyType({}),
    *,
    host: str = HOSTED,
) -> str:
    """The address of a call; what is None in the query is left out of it."""
    base = organization.base_url.rstrip("/") or f"{host}/{quote(organization.name, safe='')}"
    # A continuation token may hold `+` and `=`; urlencode quotes both.
    given = {name: value for name, value in query.items() if value is not None}
    given["api-version"] = organization.api_version
    return f"{base}/_apis/{path}?{urlencode(given)}"


def list_users(organization: Organization, continuation_token: str = "") -> Request:
    """A request for one page of users. Graph Users_List."""
    # A server has no Entra users and knows other subject types: there, all are listed.
    url = address_of(
        organization,
        "graph/users",
        {
            "subjectTypes": "aad,msa" if organization.is_hosted else None,
            "continuationToken": continuation_token or None,
        },
    )
    return Request(LIST_USERS, organization, url)


def list_tokens(
    organization: Organization, subject_descriptor: str, continuation_token: str = ""
) -> Request:
    """A request for one page of a user's PATs. Token Admin PersonalAccessTokens_List.

    `isPublic=false` leaves SSH keys out; `pageSize` is left out since too large a one is refused.
    """
    url = address_of(
        organization,
        f"tokenadmin/personalaccesstokens/{quote(subject_descriptor, safe='')}",
        {"isPublic": "false", "continuationToken": continuation_token or None},
    )
    return Request(READ_TOKENS, organization, url)


def membership_state(organization: Organization, subject_descriptor: str) -> Request:
    """A request for whether a user is an active member. Graph MembershipStates_Get."""
    path = f"graph/membershipstates/{quote(subject_descriptor, safe='')}"
    return Request(READ_MEMBERSHIP, organization, address_of(organization, path))


def list_my_tokens(
    organization: Organization, continuation_token: str = "", *, shown: str = "all"
) -> Request:
    """A request for one page of the caller's own PATs. PAT Lifecycle Pats_List.

    `shown` is one of active, revoked, expired and all.
    """
    url = address_of(
        organization,
        "tokens/pats",
        {
            "displayFilterOption": shown,
            "$top": "100",
            "continuationToken": continuation_token or None,
        },
    )
    return Request(LIST_MY_TOKENS, organization, url)


def is_throttled(reply: Reply) -> bool:
    """True when the call was refused for now and is to be made again after a pause."""
    return reply.status in (429, 503) or (
        reply.status >= HTTPStatus.BAD_REQUEST and b"TF400733" in reply.body
    )


def was_turned_away(reply: Reply) -> bool:
    """True when the call was refused for now before anything was done.

    A 503 may come from a proxy whose call went through, so it does not count.
    """
    return is_throttled(reply) and reply.status < HTTPStatus.INTERNAL_SERVER_ERROR


def is_server_fault(reply: Reply) -> bool:
    """True when the server failed in a way that trying again may mend."""
    return reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not is_throttled(reply)


def retry_after(reply: Reply, now: datetime) -> float | None:
    """Seconds to wait before the next call, or None. It may stand on any status, 200 included."""
    text = reply.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text) if text[0].isdigit() else _until(text, now)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def _until(http_date: str, now: datetime) -> float:
    time = parsedate_to_datetime(http_date)
    # One without a zone means UTC, as all of them do.
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - now).total_seconds()


def one_line(text: object) -> str:
    """What the service said, made fit for a sentence: one line, bounded, without control codes."""
    printable = "".join(each if each.isprintable() else " " for each in str(text))
    return " ".join(printable.split()).rstrip(".")[:_LONGEST_MESSAGE]
