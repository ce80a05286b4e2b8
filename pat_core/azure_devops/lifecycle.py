"""Requests for what owners do with their own PATs, and administrators with anybody's. No I/O.

Contracts: PAT Lifecycle and Token Admin Revocations, 7.1-preview.1. No public contract describes
connectionData: it is what Microsoft's own clients ask first (`azure-devops` 7.1, location client).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from pat_core.azure_devops.wire import Call, Effect, Request, address_of
from pat_core.model import NewToken, Organization, Token

FRONT: Final = "https://dev.azure.com"
MOST_REVOKED: Final = 100
"""How many tokens one call revokes; the contract names no limit."""

READ_CALLER: Final = Call("see who is signed in", "vso.pats")
READ_MY_TOKEN: Final = Call("read one of my own tokens", "vso.pats", entra_only=True)
CREATE: Final = Call(
    "create a token", "vso.pats_manage", entra_only=True, method="POST", effect=Effect.TWICE
)
EXTEND: Final = Call(
    "extend a token",
    "vso.pats_manage",
    entra_only=True,
    method="PUT",
    effect=Effect.SAME_AS_ONCE,
)
REVOKE: Final = Call(
    "revoke a token",
    "vso.pats_manage",
    entra_only=True,
    method="DELETE",
    effect=Effect.SAME_AS_ONCE,
    silent=True,
)
REVOKE_TOKENS: Final = Call(
    "revoke tokens as administrator",
    "vso.tokenadministration",
    method="POST",
    effect=Effect.SAME_AS_ONCE,
    silent=True,
)


def connection_data(organization: Organization) -> Request:
    """A request for who the caller is."""
    url = address_of(organization, "connectionData", host=FRONT)
    return Request(READ_CALLER, organization, url)


def read_my_token(organization: Organization, authorization_id: str) -> Request:
    """A request for one of the caller's own PATs. PAT Lifecycle Pats_Get."""
    url = address_of(organization, "tokens/pats", {"authorizationId": authorization_id})
    return Request(READ_MY_TOKEN, organization, url)


def create_token(organization: Organization, wanted: NewToken) -> Request:
    """A request for a new PAT of the caller. PAT Lifecycle Pats_Create."""
    asked = _asked(wanted.display_name, wanted.scope, wanted.valid_to)
    return Request(CREATE, organization, address_of(organization, "tokens/pats"), _body(asked))


def extend_token(organization: Organization, token: Token, valid_to: datetime) -> Request:
    """A request for another end of a PAT. PAT Lifecycle Pats_Update.

    Every field is sent, since nothing says what becomes of one that is left out.
    """
    asked = {
        "authorizationId": token.authorization_id,
        **_asked(token.display_name, token.scope, valid_to),
    }
    return Request(EXTEND, organization, address_of(organization, "tokens/pats"), _body(asked))


def revoke_token(organization: Organization, authorization_id: str) -> Request:
    """A request to end a PAT of the caller. PAT Lifecycle Pats_Revoke."""
    url = address_of(organization, "tokens/pats", {"authorizationId": authorization_id})
    return Request(REVOKE, organization, url)


def revoke_tokens(organization: Organization, authorization_ids: Sequence[str]) -> Request:
    """A request to end up to 100 PATs, whoever owns them. Token Admin Revocations."""
    url = address_of(organization, "tokenadmin/revocations", {"isPublic": "false"})
    asked = [{"authorizationId": each} for each in authorization_ids]
    return Request(REVOKE_TOKENS, organization, url, _body(asked))


def _asked(display_name: str, scope: str, valid_to: datetime) -> dict[str, object]:
    until = valid_to.astimezone(UTC).isoformat(timespec="microseconds")
    return {
        "displayName": display_name,
        "scope": scope,
        "validTo": until.replace("+00:00", "Z"),
        # Never for all organizations: that would widen what a token reaches.
        "allOrgs": False,
    }


def _body(asked: object) -> bytes:
    return json.dumps(asked).encode()
