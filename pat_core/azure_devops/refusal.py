"""Which error a reply means, and what a person can do about it. Without I/O."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from pat_core.azure_devops.wire import (
    LIST_USERS,
    READ_MEMBERSHIP,
    READ_TOKENS,
    Reply,
    Request,
    is_throttled,
)
from pat_core.errors import (
    AzureDevOpsError,
    BrokenReply,
    NotPermitted,
    NotSignedIn,
    OrganizationNotFound,
    OwnerGone,
    RequestRefused,
    Throttled,
    Unavailable,
)

NEEDS_ENTRA: Final = (
    "this API needs a Microsoft Entra token; a personal access token is refused here"
)
_LONGEST_MESSAGE: Final = 200


def refusal(request: Request, reply: Reply, *, by_pat: bool) -> AzureDevOpsError | None:
    """The error that a reply means, or None for one to read on.

    `by_pat` says that the caller signed in with a PAT. A sign-in page that comes as 203, as 302 or
    as HTML inside a 200 counts as not signed in.
    """
    looks_like_sign_in = reply.status in (203, 302, 401) or (
        reply.status < HTTPStatus.BAD_REQUEST and _is_page(reply)
    )
    if (
        looks_like_sign_in
        or reply.status == HTTPStatus.FORBIDDEN
        or b"TF400813" in reply.body[:4096]
    ):
        return _denied(request, reply, by_pat=by_pat)
    if reply.status == HTTPStatus.NOT_FOUND:
        return _missing(request)
    if reply.status >= HTTPStatus.BAD_REQUEST:
        return RequestRefused(
            f"{_who(request)} was refused with status {reply.status}{_said(reply)}."
        )
    return None if reply.body.strip() else BrokenReply(f"{_who(request)} brought an empty reply.")


def given_up(request: Request, reply: Reply) -> AzureDevOpsError:
    """The error for a call that was throttled, or failed on the server, at every try."""
    kind = Throttled if is_throttled(reply) else Unavailable
    return kind(
        f"{_who(request)} failed again and again, at last with status {reply.status}"
        f"{_said(reply)}.",
        remedy="Run the scan again later.",
    )


def unavailable(request: Request, broken: Exception) -> AzureDevOpsError:
    """The error for a call whose connection broke at every try."""
    host = urlsplit(request.url).netloc
    return Unavailable(
        f"{_who(request)} got no answer from {host} ({str(broken) or type(broken).__name__}).",
        remedy="Check the network and the address, then run the scan again.",
    )


def _denied(request: Request, reply: Reply, *, by_pat: bool) -> AzureDevOpsError:
    if by_pat and request.call.entra_only:
        return NotPermitted(
            f"{_who(request)} was refused: {NEEDS_ENTRA}.",
            remedy="Unset PAT_ADMIN_TOKEN and sign in with `az login`.",
        )
    if (
        reply.status == HTTPStatus.FORBIDDEN
        or b"TF401027" in reply.body
        or b"InvalidAccess" in reply.body
    ):
        return NotPermitted(
            f"{_who(request)} is not permitted{_said(reply)}.",
            remedy=_pat_permission(request) if by_pat else _identity_permission(request),
        )
    return NotSignedIn(
        f"{_who(request)}: not signed in (status {reply.status}).",
        remedy=_pat_sign_in() if by_pat else _identity_sign_in(request),
    )


def _missing(request: Request) -> AzureDevOpsError:
    name = request.organization.name
    if request.call in (READ_TOKENS, READ_MEMBERSHIP):
        return OwnerGone(f"{name}: no such user; the owner left the organization.")
    if request.call is LIST_USERS:
        return OrganizationNotFound(
            f"{name}: no such organization.",
            remedy="Check the name as it stands in https://dev.azure.com/NAME.",
        )
    return RequestRefused(f"{_who(request)} found nothing (status 404).")


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
    text = " ".join(str(message).split()).rstrip(".")
    return f" ({text[:_LONGEST_MESSAGE]})" if text else ""


def _pat_sign_in() -> str:
    return (
        "The PAT in PAT_ADMIN_TOKEN is wrong, has expired, or is for another organization: "
        "make a new one with the scopes Graph (read) and Token Administration (read)."
    )


def _pat_permission(request: Request) -> str:
    return (
        f"The PAT in PAT_ADMIN_TOKEN needs the scope {request.call.scope}, "
        "and its owner must be in the group Project Collection Administrators."
    )


def _identity_sign_in(request: Request) -> str:
    return (
        "Sign in with `az login` to the tenant of the organization, or add this service's identity "
        f"as a user under Organization settings, Users of {request.organization.name}."
    )


def _identity_permission(request: Request) -> str:
    return (
        "Add the signed-in identity to the group Project Collection Administrators of "
        f"{request.organization.name}, or set PAT_ADMIN_TOKEN to a PAT with the scope "
        f"{request.call.scope}."
    )
