"""People and tokens of the embedded organization as the APIs show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from pat_core.local.world import Person, Trait
from pat_core.model import Token

ZERO_GUID: Final = "00000000-0000-0000-0000-000000000000"
TENANT: Final = "45aa3d2d-7442-473d-b4d3-3c670da9dd96"


def object_id(person: Person) -> str:
    """The id of a person in Entra."""
    return str(uuid5(NAMESPACE_URL, person.descriptor))


def organization_id(name: str) -> str:
    """The id of an organization."""
    return str(uuid5(NAMESPACE_URL, name))


def graph_user(person: Person) -> dict[str, Any]:
    """A person as Graph shows a user."""
    kind = person.descriptor.partition(".")[0]
    return {
        "subjectKind": "user",
        "metaType": "guest" if person.trait is Trait.GUEST else "member",
        "domain": TENANT,
        "principalName": person.principal_name,
        "mailAddress": person.mail_address,
        "origin": kind,
        "originId": object_id(person),
        "displayName": person.display_name,
        "isDeletedInOrigin": None,
        "descriptor": person.descriptor,
    }


def session_token(token: Token) -> dict[str, Any]:
    """A token as tokenadmin shows it: times without a zone, no name where there is none."""
    return {
        "clientId": ZERO_GUID,
        "accessId": ZERO_GUID,
        "authorizationId": token.authorization_id,
        "hostAuthorizationId": ZERO_GUID,
        "userId": token.authorization_id,
        "validFrom": _zoneless(token.valid_from),
        "validTo": _zoneless(token.valid_to),
        "displayName": token.display_name or None,
        "scope": token.scope,
        # Null for every token, global or not, as in the documented example.
        "targetAccounts": None,
        "token": None,
        "alternateToken": None,
        "isValid": token.is_valid,
        "isPublic": False,
        "publicData": None,
        "source": None,
    }


def ssh_key(person: Person) -> dict[str, Any]:
    """A person's SSH key, which is listed among the tokens."""
    key = Token(
        ZERO_GUID[:-12] + f"{person.number:012x}",
        "ssh key",
        "app_token",
        datetime(2020, 1, 1, tzinfo=UTC),
        datetime(2020, 1, 1, tzinfo=UTC),
    )
    return session_token(key) | {"isPublic": True, "publicData": "ssh-rsa AAAA"}


def _zoneless(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat()


def pat_token(token: Token, organization: str, secret: str | None = None) -> dict[str, Any]:
    """A token as the lifecycle API shows it; nothing tells whether it was revoked."""
    return {
        "displayName": token.display_name,
        "validTo": _zulu(token.valid_to),
        "scope": token.scope,
        "targetAccounts": None if token.is_global else [organization_id(organization)],
        "validFrom": _zulu(token.valid_from),
        "authorizationId": token.authorization_id,
        "token": secret,
    }


def as_stored(time: datetime) -> datetime:
    """A time as Azure DevOps stores it: to a 300th of a second, so not quite as it was sent."""
    ticks = round(time.microsecond * 300 / 1_000_000)
    return time.replace(microsecond=0) + timedelta(microseconds=ticks * 1_000_000 // 300)


def connection_data(person: Person | None) -> dict[str, Any]:
    """Who makes a call, the service where it is nobody, as far as anyone reads connectionData."""
    name, descriptor, account = "PAT Warden", "aadsp.UEFUIFdhcmRlbg", "pat-warden"
    if person:
        name, descriptor = person.display_name, person.descriptor
        account = person.mail_address or person.principal_name
    user = {
        "id": str(uuid5(NAMESPACE_URL, f"identity:{descriptor}")),
        "subjectDescriptor": descriptor,
        "providerDisplayName": name,
        "isActive": True,
        "properties": {"Account": {"$type": "System.String", "$value": account}},
    }
    return {"authenticatedUser": user, "authorizedUser": user}


def _zulu(time: datetime) -> str:
    text = time.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0') if '.' in text else text}Z"
