"""Requests to Azure DevOps and what its replies mean, without I/O.

Contracts: the Graph and Token Admin REST APIs, 7.1-preview.1. Every quirk of theirs is met here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
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


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of the API: what it is called in messages and what it needs."""

    does: str
    scope: str
    entra_only: bool = False


LIST_USERS: Final = Call("list users", "vso.graph")
READ_TOKENS: Final = Call("read the tokens of a user", "vso.tokenadministration")
READ_MEMBERSHIP: Final = Call("read a membership state", "vso.graph")
LIST_MY_TOKENS: Final = Call("list my own tokens", "vso.pats", entra_only=True)


@dataclass(frozen=True, slots=True)
class Request:
    """A GET that is ready to be sent."""

    call: Call
    organization: Organization
    url: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; the keys of `headers` are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _request(call: Call, organization: Organization, path: str, **query: str) -> Request:
    base = organization.base_url.rstrip("/") or f"{HOSTED}/{quote(organization.name, safe='')}"
    # A continuation token may hold `+` and `=`; urlencode quotes both.
    given = {name: value for name, value in query.items() if value}
    given["api-version"] = organization.api_version
    return Request(call, organization, f"{base}/_apis/{path}?{urlencode(given)}")


def list_users(organization: Organization, continuation_token: str = "") -> Request:
    """A request for one page of users. Graph Users_List."""
    # A server has no Entra users and knows other subject types: there, all are listed.
    subject_types = "aad,msa" if organization.is_hosted else ""
    return _request(
        LIST_USERS,
        organization,
        "graph/users",
        subjectTypes=subject_types,
        continuationToken=continuation_token,
    )


def list_tokens(
    organization: Organization, subject_descriptor: str, continuation_token: str = ""
) -> Request:
    """A request for one page of a user's PATs. Token Admin PersonalAccessTokens_List.

    `isPublic=false` leaves SSH keys out; `pageSize` is left out since too large a one is refused.
    """
    return _request(
        READ_TOKENS,
        organization,
        f"tokenadmin/personalaccesstokens/{quote(subject_descriptor, safe='')}",
        isPublic="false",
        continuationToken=continuation_token,
    )


def membership_state(organization: Organization, subject_descriptor: str) -> Request:
    """A request for whether a user is an active member. Graph MembershipStates_Get."""
    path = f"graph/membershipstates/{quote(subject_descriptor, safe='')}"
    return _request(READ_MEMBERSHIP, organization, path)


def list_my_tokens(organization: Organization, continuation_token: str = "") -> Request:
    """A request for one page of the caller's own PATs. PAT Lifecycle Pats_List."""
    return _request(
        LIST_MY_TOKENS, organization, "tokens/pats", continuationToken=continuation_token
    )


def is_throttled(reply: Reply) -> bool:
    """True when the call was refused for now and is to be made again after a pause."""
    return reply.status in (429, 503) or (
        reply.status >= HTTPStatus.BAD_REQUEST and b"TF400733" in reply.body
    )


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
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def _until(http_date: str, now: datetime) -> float:
    return (parsedate_to_datetime(http_date) - now).total_seconds()
