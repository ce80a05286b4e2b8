"""Which error a reply means, and what a person can do about it. Without I/O."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from pat_core.azure_devops.lifecycle import EXTEND, READ_CALLER, READ_MY_TOKEN, REVOKE
from pat_core.azure_devops.members import ADD_MEMBER, LIST_GROUPS, LOOK_UP_MEMBER
from pat_core.azure_devops.remedies import (
    FOR_OWNER,
    IN_DOUBT,
    LATER,
    SCAN_LATER,
    SCAN_UNREACHED,
    UNREACHED,
    Remedies,
    filled,
)
from pat_core.azure_devops.wire import (
    LIST_USERS,
    READ_MEMBERSHIP,
    READ_TOKENS,
    Effect,
    Reply,
    Request,
    is_throttled,
    one_line,
    was_turned_away,
)
from pat_core.errors import (
    AzureDevOpsError,
    BrokenReply,
    IdentityNotFound,
    NotPermitted,
    NotSignedIn,
    OrganizationNotFound,
    OwnerGone,
    RequestRefused,
    Throttled,
    TokenNotFound,
    Unavailable,
)

NEEDS_ENTRA: Final = (
    "this API needs a Microsoft Entra token; a personal access token is refused here"
)
_NO_LIFECYCLE: Final = (
    "Azure DevOps Server lets nobody manage tokens over HTTP: use its own page of tokens."
)
_OF_ONE_TOKEN: Final = (READ_MY_TOKEN, EXTEND, REVOKE)
_OF_A_MEMBER: Final = (LOOK_UP_MEMBER, ADD_MEMBER)
_OF_THE_ORGANIZATION: Final = (LIST_USERS, LIST_GROUPS)
_OF_A_SCAN: Final = (LIST_USERS, READ_TOKENS, READ_MEMBERSHIP)


def refusal(
    request: Request, reply: Reply, *, is_pat: bool, remedies: Remedies
) -> AzureDevOpsError | None:
    """The error that a reply means, or None for one to read on.

    `is_pat` says that the caller signed in with a PAT. A sign-in page that comes as 203, as 302 or
    as HTML inside a 200 counts as not signed in.
    """
    failed = reply.status >= HTTPStatus.BAD_REQUEST
    if (
        reply.status in (203, 302, 401, 403)
        or (not failed and _is_page(reply))
        # In a reply that did not fail, it is somebody's name for a token.
        or (failed and b"TF400813" in reply.body[:4096])
    ):
        return _denied(request, reply, is_pat=is_pat, remedies=remedies)
    if reply.status == HTTPStatus.NOT_FOUND:
        return _missing(request, reply)
    if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        return RequestRefused(
            f"{_who(request)} was refused with status {reply.status}{_said(reply)}."
        )
    if request.call.silent or reply.body.strip():
        return None
    return BrokenReply(f"{_who(request)} brought an empty reply.")


def given_up(
    request: Request, reply: Reply, *, tries: int, pause: float
) -> Throttled | Unavailable:
    """The error for a call that was throttled, or failed on the server, at its last try.

    `pause` is how many seconds the service asks to wait.
    """
    failed = "failed again and again, at last with" if tries > 1 else "failed with"
    cause = f"{_who(request)} {failed} status {reply.status}{_said(reply)}."
    if request.call.effect is Effect.TWICE and not was_turned_away(reply):
        return Unavailable(cause, remedy=IN_DOUBT)
    remedy = SCAN_LATER if request.call in _OF_A_SCAN else LATER
    if is_throttled(reply):
        return Throttled(cause, remedy=remedy, seconds=pause)
    return Unavailable(cause, remedy=remedy)


def unavailable(request: Request, why: str) -> Unavailable:
    """The error for a call whose connection broke at its last try."""
    remedy = SCAN_UNREACHED if request.call in _OF_A_SCAN else UNREACHED
    return Unavailable(
        f"{_who(request)} got no answer from {urlsplit(request.url).netloc} ({why}).",
        remedy=IN_DOUBT if request.call.effect is Effect.TWICE else remedy,
    )


def _denied(
    request: Request, reply: Reply, *, is_pat: bool, remedies: Remedies
) -> AzureDevOpsError:
    if is_pat and request.call.entra_only:
        return NotPermitted(
            f"{_who(request)} was refused: {NEEDS_ENTRA}.",
            remedy="Unset PAT_ADMIN_TOKEN and sign in with `az login`.",
        )
    if (
        reply.status == HTTPStatus.FORBIDDEN
        or b"TF401027" in reply.body
        or b"InvalidAccess" in reply.body
    ):
        # What only a user may do is not mended by a group or another PAT, whoever signed.
        able = FOR_OWNER if request.call.entra_only else remedies
        return NotPermitted(
            f"{_who(request)} is not permitted{_said(reply)}.",
            remedy=filled(able.permission, request),
        )
    return NotSignedIn(
        f"{_who(request)}: not signed in (status {reply.status}).",
        remedy=filled(remedies.sign_in, request),
    )


def _missing(request: Request, reply: Reply) -> AzureDevOpsError:
    name = request.organization.name
    # An HTML 404 is of a proxy, or of a server without this API: it does not say that a user left.
    if request.call in (READ_TOKENS, READ_MEMBERSHIP) and not _is_page(reply):
        return OwnerGone(f"{name}: no such user; the owner left the organization.")
    if request.call in _OF_A_MEMBER:
        return IdentityNotFound(
            f"{name}: the identity, or the group that it is to join, is not found.",
            remedy="Run the same command again in a few minutes.",
        )
    if request.call in _OF_ONE_TOKEN and not _is_page(reply):
        return TokenNotFound(
            f"{name}: you have no such token.", remedy="Look for it in your list of tokens."
        )
    of_hosted = request.call.entra_only or request.call is READ_CALLER
    if request.call in _OF_THE_ORGANIZATION or (of_hosted and request.organization.is_hosted):
        return OrganizationNotFound(
            f"{name}: no such organization.",
            remedy="Check the name as it stands in https://dev.azure.com/NAME.",
        )
    return RequestRefused(
        f"{_who(request)} found nothing (status 404).",
        remedy=_NO_LIFECYCLE if request.call.entra_only else "",
    )


def _is_page(reply: Reply) -> bool:
    body = reply.body.lstrip()
    return bool(body) and body[:1] not in (b"{", b"[")


def _who(request: Request) -> str:
    return f"{request.organization.name}: the call to {request.call.does}"


def _said(reply: Reply) -> str:
    try:
        message = json.loads(reply.body).get("message", "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    text = one_line(message)
    return f" ({text})" if text else ""
