"""Requests that put a service identity into an organization, and what their replies mean. No I/O.

Contracts: Member Entitlement Management (Service Principal Entitlements_Add) and Graph, both
7.1-preview.1. No contract says what stands in `errors`, nor that an identity which Azure DevOps
does not find comes as VS403283 inside a 200: that is what others report who automate it.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

from pydantic import Field

from pat_core.azure_devops.replies import Body, read
from pat_core.azure_devops.wire import Call, Effect, Reply, Request, address_of, one_line
from pat_core.errors import IdentityNotFound, RequestRefused
from pat_core.model import Organization

ENTITLEMENTS: Final = "https://vsaex.dev.azure.com"
LIST_GROUPS: Final = Call("list groups", "vso.graph")
LIST_IDENTITIES: Final = Call("list service principals", "vso.graph")
ADD_IDENTITY: Final = Call(
    "add a service principal",
    "vso.memberentitlementmanagement_write",
    method="POST",
    effect=Effect.SAME_AS_ONCE,
)
LOOK_UP_MEMBER: Final = Call("look up a member of a group", "vso.graph", method="HEAD", silent=True)
ADD_MEMBER: Final = Call(
    "add a member to a group",
    "vso.graph_manage",
    method="PUT",
    effect=Effect.SAME_AS_ONCE,
    silent=True,
)
_BASIC: Final = "express"
"""How the API calls the access level Basic."""
_NOT_FOUND: Final = "VS403283"
_NO_SUCH_IDENTITY: Final = (
    "Give the object (principal) id of the managed identity, not its client id. It must be in the "
    "tenant that {organization} is connected to: Organization settings, Microsoft Entra. If it was "
    "made only minutes ago, run the same command again."
)


class _Subject(Body):
    descriptor: str = Field(min_length=1)
    principal_name: str | None = None
    origin_id: str | None = None


class _Subjects(Body):
    value: list[_Subject]


class _Entitled(Body):
    descriptor: str | None = None


class _Entitlement(Body):
    service_principal: _Entitled | None = None

    @property
    def descriptor(self) -> str:
        return (self.service_principal and self.service_principal.descriptor) or ""


class _Operation(Body):
    is_success: bool | None = None
    errors: list[Any] | None = None
    result: _Entitlement | None = None


class _Addition(Body):
    is_success: bool | None = None
    operation_result: _Operation | None = None
    service_principal_entitlement: _Entitlement | None = None

    @property
    def succeeded(self) -> bool:
        return bool((self.operation_result or self).is_success)

    @property
    def descriptor(self) -> str:
        result = self.operation_result and self.operation_result.result
        found = result or self.service_principal_entitlement
        return found.descriptor if found else ""

    @property
    def said(self) -> str:
        """What the service says of a failure, in one line."""
        errors = (self.operation_result and self.operation_result.errors) or []
        texts = (each.get("value") if isinstance(each, dict) else each for each in errors)
        return one_line("; ".join(str(text) for text in texts if text))


def list_groups(organization: Organization, continuation_token: str = "") -> Request:
    """A request for one page of the groups of Azure DevOps itself. Graph Groups_List."""
    query = {"subjectTypes": "vssgp", "continuationToken": continuation_token or None}
    return Request(LIST_GROUPS, organization, address_of(organization, "graph/groups", query))


def list_identities(organization: Organization, continuation_token: str = "") -> Request:
    """A request for one page of service identities. Graph Service Principals_List."""
    query = {"continuationToken": continuation_token or None}
    url = address_of(organization, "graph/serviceprincipals", query)
    return Request(LIST_IDENTITIES, organization, url)


def add_identity(organization: Organization, object_id: str) -> Request:
    """A request to make a service identity a user with the access level Basic.

    Service Principal Entitlements_Add.
    """
    identity = {"origin": "aad", "originId": object_id, "subjectKind": "servicePrincipal"}
    asked = {"accessLevel": {"accountLicenseType": _BASIC}, "servicePrincipal": identity}
    url = address_of(organization, "serviceprincipalentitlements", host=ENTITLEMENTS)
    return Request(ADD_IDENTITY, organization, url, json.dumps(asked).encode())


def look_up_member(organization: Organization, member: str, group: str) -> Request:
    """A request for whether one is in a group: 404 where not. Graph Memberships_Check."""
    return Request(LOOK_UP_MEMBER, organization, _membership(organization, member, group))


def add_member(organization: Organization, member: str, group: str) -> Request:
    """A request to put one into a group, by descriptors. Graph Memberships_Add."""
    return Request(ADD_MEMBER, organization, _membership(organization, member, group))


def read_group(reply: Reply, principal_name: str) -> tuple[str, str]:
    """The descriptor of a group or "", and the token of the next page or "". Raises BrokenReply."""
    named = (
        each.descriptor
        for each in read(_Subjects, reply).value
        if (each.principal_name or "").casefold() == principal_name.casefold()
    )
    return next(named, ""), _next_page(reply)


def read_identity(reply: Reply, object_id: str) -> tuple[str, str]:
    """The descriptor of an identity or "", and the token of the next page or "".

    Raises BrokenReply.
    """
    same = (
        each.descriptor
        for each in read(_Subjects, reply).value
        if (each.origin_id or "").lower() == object_id
    )
    return next(same, ""), _next_page(reply)


def read_added(organization: Organization, object_id: str, reply: Reply) -> str:
    """The descriptor of the identity that was added, "" where the reply leaves it out.

    A failure stands inside a 200. Raises IdentityNotFound, RequestRefused, BrokenReply.
    """
    added = read(_Addition, reply)
    if added.succeeded:
        return added.descriptor
    said = added.said
    if _NOT_FOUND in said:
        raise IdentityNotFound(
            f"{organization.name}: Azure DevOps finds no identity with the object id {object_id}.",
            remedy=_NO_SUCH_IDENTITY.format(organization=organization.name),
        )
    raise RequestRefused(
        f"{organization.name}: the identity was not added{said and f' ({said})'}.",
    )


def _membership(organization: Organization, member: str, group: str) -> str:
    path = f"graph/memberships/{quote(member, safe='')}/{quote(group, safe='')}"
    return address_of(organization, path)


def _next_page(reply: Reply) -> str:
    return reply.headers.get("x-ms-continuationtoken", "")
