"""What the error inside a PatTokenResult means in words. PAT Lifecycle, SessionTokenError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pat_core.azure_devops.wire import one_line
from pat_core.errors import AzureDevOpsError, TokenNotFound, TokenRefused

_ASK: Final = "Ask an administrator of the organization"
_ELSEWHERE: Final = (
    f"Try it in Azure DevOps under User settings, Personal access tokens. {_ASK} "
    "where it is refused there too."
)
_NOT_FOUND: Final = frozenset(
    {
        "tokenNotFound",
        "authorizationNotFound",
        "hostAuthorizationNotFound",
        "invalidAuthorizationId",
    }
)
WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "accessDenied": (
        "You may not manage personal access tokens in this organization",
        f"{_ASK} whether you may have personal access tokens.",
    ),
    "invalidValidTo": (
        "The end of the token is not one that Azure DevOps accepts",
        "Choose an end in the future, a year away at most.",
    ),
    "invalidScope": (
        "The scope is not one that a personal access token can have",
        "Choose scopes from the list in Azure DevOps, such as vso.code.",
    ),
    "displayNameRequired": ("The token has no name", "Give it a name."),
    "invalidDisplayName": (
        "The name is not one that Azure DevOps accepts",
        "Choose a shorter name without special characters.",
    ),
    "patLifespanPolicyViolation": (
        "The token would live longer than a policy of your company allows",
        "Choose an earlier end.",
    ),
    "fullScopePatPolicyViolation": (
        "A policy of your company forbids tokens with full access",
        "Choose only the scopes that the token needs.",
    ),
    "globalPatPolicyViolation": (
        "A policy of your company forbids tokens for all organizations",
        "Make a new token for this organization alone.",
    ),
    "globalPATCreationBlocked": (
        "Azure DevOps no longer makes or changes tokens for all organizations",
        "Make a new token for this organization alone.",
    ),
    "disablePatCreationPolicyViolation": (
        "A policy of this organization forbids new personal access tokens",
        f"{_ASK} for an exception, or use Microsoft Entra tokens instead.",
    ),
    "expiredPatCannotBeExtended": (
        "The token has expired, and an expired one cannot be extended",
        "Make a new token in its place.",
    ),
    "failedToIssueAccessToken": (
        "Azure DevOps failed to make the token",
        "Try again in a few minutes.",
    ),
    "failedToUpdateAccessToken": (
        "Azure DevOps failed to change the token",
        "Make sure that it has not been revoked, then try again in a few minutes.",
    ),
    "failedToReadTenantPolicy": (
        "Azure DevOps could not read the policies of your company",
        "Try again in a few minutes.",
    ),
    "failedToReadOrgPolicy": (
        "Azure DevOps could not read the policies of this organization",
        "Try again in a few minutes.",
    ),
}
"""Cause and remedy by code; the cause gets its full stop after what the service said."""


def token_error(code: str, message: str) -> AzureDevOpsError:
    """TokenNotFound or TokenRefused for a `patTokenError`; `message` is the service's own."""
    if code in _NOT_FOUND:
        return TokenNotFound(
            "You have no such token: it is somebody else's, or it is gone.",
            remedy="Look for it in your list of tokens.",
        )
    cause, remedy = WORDS.get(code, (f"Azure DevOps refused with {one_line(code)}", _ELSEWHERE))
    said = one_line(message)
    return TokenRefused(f"{cause} ({said})." if said else f"{cause}.", remedy=remedy, code=code)
