"""What a page or a caller is told of an error: a status, a title, the cause, the remedy. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from pat_core.errors import (
    ActionRefused,
    AzureDevOpsError,
    ChannelError,
    Conflict,
    EntraUnavailable,
    LedgerError,
    NotPermitted,
    NotSignedIn,
    PatWardenError,
    Throttled,
    TokenNotFound,
    TokenRefused,
    VaultError,
)
from pat_core.views import Problem

_KINDS: Final[tuple[tuple[type[PatWardenError], HTTPStatus, str], ...]] = (
    (TokenNotFound, HTTPStatus.NOT_FOUND, "No such token"),
    (ActionRefused, HTTPStatus.CONFLICT, "That cannot be done now"),
    (TokenRefused, HTTPStatus.CONFLICT, "Azure DevOps refused it"),
    (NotSignedIn, HTTPStatus.UNAUTHORIZED, "You are not signed in"),
    (NotPermitted, HTTPStatus.FORBIDDEN, "Not permitted"),
    (Throttled, HTTPStatus.SERVICE_UNAVAILABLE, "Azure DevOps is busy"),
    (AzureDevOpsError, HTTPStatus.BAD_GATEWAY, "Azure DevOps gave no usable answer"),
    (EntraUnavailable, HTTPStatus.BAD_GATEWAY, "Microsoft Entra could not be asked"),
    (VaultError, HTTPStatus.BAD_GATEWAY, "The Key Vault did not take it"),
    (Conflict, HTTPStatus.CONFLICT, "Somebody else was faster"),
    (LedgerError, HTTPStatus.SERVICE_UNAVAILABLE, "The service is not well"),
    (ChannelError, HTTPStatus.BAD_GATEWAY, "A message could not be sent"),
)
_REFUSED_US: Final = (HTTPStatus.BAD_GATEWAY, "Azure DevOps refused this service")
UNREADABLE: Final = Problem(
    HTTPStatus.BAD_REQUEST, "The request cannot be read", "A field is missing or wrong."
)
_ALL: Final = ((UNREADABLE.status, UNREADABLE.title), *(each[1:] for each in _KINDS))
TITLES: Final[Mapping[int, list[str]]] = {
    status: [title for known, title in _ALL if known == status]
    for status in sorted({status for status, _ in _ALL})
}
"""By status, what a caller may be told."""


def problem_of(error: PatWardenError, *, as_service: bool = False) -> Problem:
    """The problem that an error is. It holds no secret, since no error does.

    `as_service` says that Azure DevOps was asked as the service, and not as who sees this.
    """
    if as_service and isinstance(error, NotSignedIn | NotPermitted):
        return Problem(*_REFUSED_US, error.cause, error.remedy)
    for kind, status, title in _KINDS:
        if isinstance(error, kind):
            return Problem(status, title, error.cause, error.remedy)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something failed", error.cause, error.remedy)
