"""What a person can do about a call that failed, by who signed it and what it was for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pat_core.azure_devops.wire import Request

_SCAN_SCOPES: Final = "Graph (read) and Token Administration (read & manage)"


@dataclass(frozen=True, slots=True)
class Remedies:
    """What helps who was not let in; `{organization}` and `{scope}` stand for those of the call.

    `none_found` is for who has not signed in at all.
    """

    sign_in: str
    permission: str
    none_found: str = ""


def filled(remedy: str, request: Request) -> str:
    """A remedy for one call."""
    return remedy.format(organization=request.organization.name, scope=request.call.scope)


FOR_PAT: Final = Remedies(
    sign_in="The PAT in PAT_ADMIN_TOKEN is wrong, has expired, or is for another organization: "
    f"make a new one with the scopes {_SCAN_SCOPES}.",
    permission="The PAT in PAT_ADMIN_TOKEN needs the scope {scope}, "
    "and its owner must be in the group Project Collection Administrators.",
)
FOR_IDENTITY: Final = Remedies(
    sign_in="Sign in with `az login` to the tenant of the organization, or add this service's "
    "identity as a user under Organization settings, Users of {organization}.",
    permission="Add the signed-in identity to the group Project Collection Administrators of "
    "{organization}, or set PAT_ADMIN_TOKEN to a PAT with the scope {scope}.",
    none_found="Sign in with `az login`, or set PAT_ADMIN_TOKEN to a personal access token with "
    f"the scopes {_SCAN_SCOPES}.",
)
FOR_OWNER: Final = Remedies(
    sign_in="Sign in again with the account that you use in {organization}.",
    permission="Sign in as a user of {organization} and allow this application to manage your "
    "personal access tokens (vso.pats and vso.pats_manage); "
    "a service principal or managed identity is refused.",
    none_found="Sign in with `az login` as the owner of the tokens, or set PAT_BEARER_TOKEN to "
    "that user's Entra token for Azure DevOps.",
)
_BY_SIGN_IN: Final = (
    "sign in with `az login` as a user in the group Project Collection Administrators of "
    "{organization}"
)
FOR_ENROLMENT: Final = Remedies(
    sign_in="Use the tenant that {organization} is connected to, and " + _BY_SIGN_IN + ".",
    permission="To add an identity, " + _BY_SIGN_IN + ".",
    none_found="Sign in with `az login` as a Project Collection Administrator of the organization, "
    "or set PAT_ADMIN_TOKEN to a personal access token of one with the scopes Member Entitlement "
    "Management (read & write) and Graph (read & manage).",
)
FOR_ENROLMENT_BY_PAT: Final = Remedies(
    sign_in="The PAT in PAT_ADMIN_TOKEN is wrong, has expired, is for another organization, or "
    "lacks the scope {scope}. Make another, or unset it and " + _BY_SIGN_IN + ".",
    permission="The PAT in PAT_ADMIN_TOKEN needs the scope {scope}, and its owner must be in the "
    "group Project Collection Administrators. Make another, or unset it and " + _BY_SIGN_IN + ".",
)
SCAN_LATER: Final = "Run the scan again later."
SCAN_UNREACHED: Final = "Check the network and the address, then run the scan again."
LATER: Final = "Try again in a few minutes."
UNREACHED: Final = "Check the network and the address, then try again."
IN_DOUBT: Final = (
    "Nobody knows whether the token was made: look for it in your list and revoke it there "
    "before you try again."
)
