"""Groups and service identities of the simulated Azure DevOps, and how they come together.

Replies are those of Microsoft's contracts and examples. That an identity which is not found comes
as VS403283 inside a 200 is what is reported; that adding one twice succeeds is a guess.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from starlette.responses import JSONResponse, Response

from pat_core.local.calls import Call, error, page_mark, page_start
from pat_core.local.policies import Policies
from pat_core.local.shapes import TENANT

PAGE: Final = 50
PROJECTS: Final = ("Apollo", "Billing", "Crane", "Data", "Edge", "Forge", "Grid", "Harbor")
OF_PROJECT: Final = (
    "Build Administrators",
    "Contributors",
    "Endpoint Administrators",
    "Project Administrators",
    # Nobody keeps a project from giving a group of its own this name.
    "Project Collection Administrators",
    "Project Valid Users",
    "Readers",
)
OF_COLLECTION: Final = (
    "Project Collection Administrators",
    "Project Collection Build Administrators",
    "Project Collection Valid Users",
    "Project-Scoped Users",
)


class _Identity(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    origin: Literal["aad"]
    origin_id: UUID
    subject_kind: Literal["servicePrincipal"]


class _AccessLevel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    account_license_type: Literal["express", "stakeholder", "advanced", "professional"]


class _Entitlement(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    access_level: _AccessLevel
    service_principal: _Identity


class Members:
    """Who was added since the organization began, and to what."""

    def __init__(self, organization: str, now: Callable[[], datetime], policies: Policies) -> None:
        self._organization = organization
        self._now = now
        self._policies = policies
        self._groups = list(_all_groups(organization))
        self._asked: dict[str, datetime] = {}
        self._added: dict[str, datetime] = {}
        self.memberships: set[tuple[str, str]] = set()

    def administrators(self) -> set[str]:
        """The descriptors of those who were added to the Project Collection Administrators."""
        group = group_descriptor(self._organization, OF_COLLECTION[0])
        return {member for member, container in self.memberships if container == group}

    def knows(self, descriptor: str) -> bool:
        """True for an identity that Graph lists."""
        return descriptor in {each["descriptor"] for each in self._listed()}

    def groups(self, call: Call) -> Response:
        """A page of groups. Graph Groups_List."""
        return _page(call, self._groups)

    def identities(self, call: Call) -> Response:
        """A page of service identities. Graph Service Principals_List."""
        return _page(call, self._listed())

    def add(self, call: Call) -> Response:
        """Make an identity a user. Service Principal Entitlements_Add."""
        if not self._policies.may_invite:
            return error(403, "TF401027: You need the permission to add users.")
        try:
            asked = _Entitlement.model_validate_json(call.body)
        except ValidationError:
            return error(400, "The request is not valid.")
        object_id, now = str(asked.service_principal.origin_id), self._now()
        since = self._asked.setdefault(object_id, now)
        if object_id in self._policies.strangers or now < since + self._policies.entra_delay:
            message = f"VS403283: Could not add user '{object_id}' at this time."
            return _added(None, [{"key": 5000, "value": message}])
        self._added.setdefault(object_id, now)
        return _added(_entitlement(object_id, asked.access_level.account_license_type, now), [])

    def membership(self, call: Call) -> Response:
        """Whether one is in a group, or have one be. Graph Memberships_Check and _Add."""
        member, group = (call.request.path_params[name] for name in ("member", "group"))
        if call.request.method == "HEAD":
            return Response(status_code=200 if (member, group) in self.memberships else 404)
        if not self._policies.may_add_members:
            return error(
                403, "TF50309: The following account does not have sufficient permissions."
            )
        is_group = group in {each["descriptor"] for each in self._groups}
        if not (self.knows(member) and is_group):
            return error(404, "The subject cannot be found.")
        self.memberships.add((member, group))
        return JSONResponse({"containerDescriptor": group, "memberDescriptor": member}, 201)

    def _listed(self) -> list[dict[str, Any]]:
        latest = self._now() - self._policies.graph_delay
        return [identity(each) for each, added in self._added.items() if added <= latest]


def identity(object_id: str) -> dict[str, Any]:
    """A service identity as Graph shows it."""
    storage_key = uuid5(NAMESPACE_URL, f"identity:{object_id}")
    application = str(uuid5(NAMESPACE_URL, f"application:{object_id}"))
    return {
        "subjectKind": "servicePrincipal",
        "applicationId": application,
        "metaType": "managedIdentity",
        "directoryAlias": object_id,
        "domain": TENANT,
        "principalName": application,
        "mailAddress": None,
        "origin": "aad",
        "originId": object_id,
        "displayName": "id-pat-warden",
        "descriptor": f"aadsp.{_encoded(str(storage_key))}",
    }


def group_descriptor(scope: str, name: str) -> str:
    """The descriptor of a group of a project or of the organization."""
    return f"vssgp.{_encoded(f'S-1-9-1551374245-{uuid5(NAMESPACE_URL, scope + name).int}')}"


def _all_groups(organization: str) -> list[dict[str, Any]]:
    names = [(project, name) for project in PROJECTS for name in OF_PROJECT]
    return [_group(*each) for each in [*names, *((organization, name) for name in OF_COLLECTION)]]


def _group(scope: str, name: str) -> dict[str, Any]:
    return {
        "subjectKind": "group",
        "description": "",
        "domain": f"vstfs:///Framework/IdentityDomain/{uuid5(NAMESPACE_URL, scope)}",
        "principalName": f"[{scope}]\\{name}",
        "mailAddress": None,
        "origin": "vsts",
        "originId": str(uuid5(NAMESPACE_URL, scope + name)),
        "displayName": name,
        "descriptor": group_descriptor(scope, name),
    }


def _page(call: Call, found: list[dict[str, Any]]) -> Response:
    start = page_start(call.request.query_params.get("continuationToken", ""))
    if start is None:
        return error(400, "The continuation token is not valid.")
    end = start + PAGE
    page = found[start:end]
    headers = {"X-MS-ContinuationToken": page_mark(end)} if end < len(found) else {}
    return JSONResponse({"count": len(page), "value": page}, headers=headers)


def _entitlement(object_id: str, license_type: str, now: datetime) -> dict[str, Any]:
    return {
        "servicePrincipal": identity(object_id),
        "id": str(uuid5(NAMESPACE_URL, f"identity:{object_id}")),
        "accessLevel": {
            "licensingSource": "account",
            "accountLicenseType": license_type,
            "msdnLicenseType": "none",
            "licenseDisplayName": "Basic" if license_type == "express" else license_type.title(),
            "status": "pending",
            "statusMessage": "",
            "assignmentSource": "unknown",
        },
        "lastAccessedDate": "0001-01-01T00:00:00Z",
        "dateCreated": now.isoformat(),
        "projectEntitlements": [],
        "groupAssignments": [],
    }


def _added(entitlement: dict[str, Any] | None, errors: list[dict[str, Any]]) -> Response:
    """The reply: a failure stands inside a 200."""
    operation = {
        "servicePrincipalId": entitlement["id"] if entitlement else None,
        "isSuccess": not errors,
        "errors": errors,
        "result": entitlement,
    }
    return JSONResponse(
        {
            "operationResult": operation,
            "isSuccess": not errors,
            "servicePrincipalEntitlement": entitlement,
        }
    )


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode().rstrip("=")
