"""Tries a secret once, apart from all other calls."""

from __future__ import annotations

from typing import Final

import httpx

from pat_core.azure_devops import lifecycle, wire
from pat_core.azure_devops.credential import PatCredential
from pat_core.azure_devops.refusal import refusal
from pat_core.azure_devops.results import read_acceptance
from pat_core.azure_devops.transport import BROKEN, limits_of, send
from pat_core.errors import AzureDevOpsError, NotSignedIn
from pat_core.model import IssuedToken, Organization

_LIMITS: Final = limits_of(10)


async def works(
    transport: httpx.AsyncBaseTransport, organization: Organization, issued: IssuedToken
) -> bool | None:
    """True where the secret signs its owner in, false where it signs nobody in, None in doubt.

    It is tried once and without waiting for a turn: it is metered as its owner, not as we are.
    """
    signer = PatCredential(issued.secret)
    request = lifecycle.connection_data(organization)
    try:
        reply = await send(transport, request, await signer.authorization(), _LIMITS)
    except BROKEN:
        return None
    if wire.is_throttled(reply) or wire.is_server_fault(reply):
        return None
    if error := refusal(request, reply, is_pat=True, remedies=signer.remedies):
        return False if isinstance(error, NotSignedIn) else None
    try:
        return read_acceptance(reply)
    except AzureDevOpsError:
        return None
