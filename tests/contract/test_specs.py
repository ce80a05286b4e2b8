"""Our requests and sample replies against Microsoft's published contracts."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from jsonschema import Draft4Validator

from pat_core.azure_devops import lifecycle, members, wire
from pat_core.azure_devops.replies import read_my_tokens, read_tokens, read_users
from pat_core.azure_devops.results import check, read_issued, read_token
from pat_core.azure_devops.token_errors import WORDS
from pat_core.errors import TokenNotFound, TokenRefused
from pat_core.model import NewToken, Organization, Token

SPECS = Path(__file__).parents[3] / "shared" / "specs" / "azure-devops"
CONTOSO = Organization("contoso")
DESCRIPTOR = "aad.YWZk"

pytestmark = pytest.mark.skipif(
    not SPECS.is_dir(),
    reason="Microsoft's contracts are not beside this checkout (../shared/specs)",
)


def spec(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SPECS / name).read_text(encoding="utf-8"))
    return found


def example(name: str) -> wire.Reply:
    sample = json.loads((SPECS / "examples" / name).read_text(encoding="utf-8"))
    return wire.Reply(200, {}, json.dumps(sample["responses"]["200"]["body"]).encode())


def operation_of(name: str, request_: wire.Request, path: str) -> dict[str, Any]:
    contract = spec(name)
    paths = contract["paths"] | contract.get("x-ms-paths", {})
    operation: dict[str, Any] = paths[path][request_.call.method.lower()]
    return operation


def inherited(definition: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The properties of a definition and of those that it is made of."""
    found: dict[str, Any] = dict(definition.get("properties", {}))
    for base in definition.get("allOf", []):
        if "$ref" in base:
            found |= inherited(definitions[base["$ref"].rpartition("/")[2]], definitions)
    return found


def schema(name: str, definition: dict[str, Any]) -> Draft4Validator:
    """What the contract says of a body; a field that it does not name is a fault too."""
    definitions = spec(name)["definitions"]
    for each in definitions.values():
        # What a definition inherits is named elsewhere, so it takes that in.
        each["properties"] = inherited(each, definitions)
        each.pop("allOf", None)
        each["additionalProperties"] = False
    return Draft4Validator(
        definition | {"definitions": definitions}, format_checker=Draft4Validator.FORMAT_CHECKER
    )


PATS = "/{organization}/_apis/tokens/pats"
ID = "3d3aca0c-9ad3-4b07-8334-08ec8b1ddc32"
UNTIL = datetime(2020, 12, 25, 23, 46, 23, 319000, UTC)
TOKEN = Token(ID, "updated_token", "vso.analytics", UNTIL, UNTIL)
CREATE = lifecycle.create_token(CONTOSO, NewToken("new_token", "app_token", UNTIL))
EXTEND = lifecycle.extend_token(CONTOSO, TOKEN, UNTIL)
REVOKE = lifecycle.revoke_token(CONTOSO, ID)
REVOKE_TOKENS = lifecycle.revoke_tokens(CONTOSO, [ID, ID])

MEMBER, GROUP, IDENTITY = "aadsp.bWU", "vssgp.cGNh", "92e26ce8-8e7c-4555-bdab-813b34b8e53a"
MEMBERSHIPS = "/{organization}/_apis/graph/memberships/{subjectDescriptor}/{containerDescriptor}"
ENTITLEMENTS = "/{organization}/_apis/serviceprincipalentitlements"
ENTITLEMENT = "POST__memberEntitlementManagement_ServicePrincipalEntitlement.json"
ADD_IDENTITY = members.add_identity(CONTOSO, IDENTITY)

CALLS = [
    ("graph.json", wire.list_users(CONTOSO, "a+b"), "/{organization}/_apis/graph/users"),
    (
        "tokenAdmin.json",
        wire.list_tokens(CONTOSO, DESCRIPTOR, "952858d3-7084-4635-964e-3c2a57645185"),
        "/{organization}/_apis/tokenadmin/personalaccesstokens/{subjectDescriptor}",
    ),
    (
        "graph.json",
        wire.membership_state(CONTOSO, DESCRIPTOR),
        "/{organization}/_apis/graph/membershipstates/{subjectDescriptor}",
    ),
    ("tokens.json", wire.list_my_tokens(CONTOSO, "x"), PATS + "?"),
    ("tokens.json", lifecycle.read_my_token(CONTOSO, ID), PATS),
    ("tokens.json", CREATE, PATS),
    ("tokens.json", EXTEND, PATS),
    ("tokens.json", REVOKE, PATS),
    ("tokenAdmin.json", REVOKE_TOKENS, "/{organization}/_apis/tokenadmin/revocations"),
    ("graph.json", members.list_groups(CONTOSO, "a+b"), "/{organization}/_apis/graph/groups"),
    (
        "graph.json",
        members.list_identities(CONTOSO, "a+b"),
        "/{organization}/_apis/graph/serviceprincipals",
    ),
    ("graph.json", members.look_up_member(CONTOSO, MEMBER, GROUP), MEMBERSHIPS),
    ("graph.json", members.add_member(CONTOSO, MEMBER, GROUP), MEMBERSHIPS),
    ("memberEntitlementManagement.json", ADD_IDENTITY, ENTITLEMENTS),
]


class TestRequests:
    @pytest.mark.parametrize(
        ("name", "request_", "path"),
        CALLS,
        ids=[f"{call[1].call.method} {call[2]}" for call in CALLS],
    )
    def test_each_is_one_that_the_contract_knows(
        self, name: str, request_: wire.Request, path: str
    ) -> None:
        operation = operation_of(name, request_, path)
        url = urlsplit(request_.url)
        assert url.hostname == spec(name)["host"]
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path.rstrip("?")))
        assert re.fullmatch(pattern, url.path)
        asked = parse_qs(url.query)
        known = {each["name"]: each for each in operation["parameters"] if "name" in each}
        assert asked.keys() <= known.keys() | {"api-version"}
        for name_, parameter in known.items():
            if name_ in asked and "enum" in parameter:
                assert asked[name_][0] in parameter["enum"]
            if parameter["in"] == "query" and parameter["required"]:
                assert name_ in asked

    @pytest.mark.parametrize(("name", "request_", "path"), CALLS)
    def test_a_body_is_what_the_contract_asks_for(
        self, name: str, request_: wire.Request, path: str
    ) -> None:
        given = operation_of(name, request_, path)["parameters"]
        bodies = [each["schema"] for each in given if each.get("in") == "body"]
        assert len(bodies) == bool(request_.body)
        for body in bodies:
            schema(name, body).validate(json.loads(request_.body))

    @pytest.mark.parametrize(
        ("request_", "sample", "differs"),
        [
            (CREATE, "CreatePat.json", {"validTo": "2020-12-01T23:46:23.319Z"}),
            (EXTEND, "UpdatePat.json", {"validTo": "2020-12-25T23:46:23.319Z", "allOrgs": True}),
        ],
    )
    def test_a_body_has_the_fields_of_microsofts_example(
        self, request_: wire.Request, sample: str, differs: dict[str, object]
    ) -> None:
        shown = json.loads((SPECS / "examples" / sample).read_text(encoding="utf-8"))
        assert json.loads(request_.body) | differs == shown["parameters"]["body"]

    def test_an_entitlement_asks_as_microsofts_example_does(self) -> None:
        shown = json.loads((SPECS / "examples" / ENTITLEMENT).read_text(encoding="utf-8"))
        asked = json.loads(ADD_IDENTITY.body)
        assert asked["servicePrincipal"] == shown["parameters"]["body"]["servicePrincipal"]

    def test_an_administrators_body_is_microsofts_example(self) -> None:
        path = SPECS / "examples" / "RevokeAuthorizations.json"
        shown = json.loads(path.read_text(encoding="utf-8"))["parameters"]["body"]
        ids = [each["authorizationId"] for each in shown]
        assert json.loads(lifecycle.revoke_tokens(CONTOSO, ids).body) == shown

    def test_the_scope_named_in_a_remedy_is_one_that_the_contract_names(self) -> None:
        for name, request_, path in CALLS:
            operation = operation_of(name, request_, path)
            scopes = {s for way in operation["security"] for named in way.values() for s in named}
            assert request_.call.scope in scopes, path


def errors() -> list[str]:
    if not SPECS.is_dir():
        return []
    found = spec("tokens.json")["definitions"]["PatTokenResult"]["properties"]
    return [code for code in found["patTokenError"]["enum"] if code != "none"]


class TestErrors:
    @pytest.mark.parametrize("code", errors())
    def test_each_that_the_contract_names_has_a_cause_and_a_remedy(self, code: str) -> None:
        body = json.dumps({"patToken": None, "patTokenError": code}).encode()
        for read in (check, read_token, read_issued):
            with pytest.raises((TokenRefused, TokenNotFound)) as caught:
                read(wire.Reply(200, {}, body))
            assert caught.value.cause.endswith(".")
            assert caught.value.remedy.endswith(".")
            if isinstance(caught.value, TokenRefused):
                assert caught.value.code == code

    def test_only_what_the_contract_names_has_words(self) -> None:
        assert WORDS.keys() <= set(errors())


class TestSampleReplies:
    @pytest.mark.parametrize(
        ("name", "definition", "sample", "items"),
        [
            (
                "tokenAdmin.json",
                "SessionToken",
                "GetPersonalAccessTokensForAUserInYourOrganization.json",
                "value",
            ),
            ("tokens.json", "PatToken", "ListPats.json", "patTokens"),
            ("graph.json", "GraphUser", "GetAllUsers.json", "value"),
        ],
    )
    def test_they_are_what_the_contract_says_but_for_nulls(
        self, name: str, definition: str, sample: str, items: str
    ) -> None:
        contract = spec(name)
        definitions = contract["definitions"]
        validator = Draft4Validator(
            {"allOf": [definitions[definition]], "definitions": definitions}
        )
        for item in json.loads(example(sample).body)[items]:
            given = {key: value for key, value in item.items() if value is not None}
            assert not list(validator.iter_errors(given))

    def test_an_entitlements_example_is_read(self) -> None:
        found = members.read_added(CONTOSO, IDENTITY, example(ENTITLEMENT))
        assert found == "aadsp.YjM0Y2RiZmQtMWYyZC03MGM2LWIwNGEtOGE5OWQzMDFhNmNk"

    def test_tokenadmins_example_is_read(self) -> None:
        reading, after = read_tokens(
            example("GetPersonalAccessTokensForAUserInYourOrganization.json")
        )
        assert [token.scope.split()[0] for token in reading.tokens] == [
            "app_token",
            "vso.dashboards",
            "vso.graph_manage",
        ]
        assert (after, reading.faults) == ("", ())

    def test_the_lifecycle_apis_example_is_read(self) -> None:
        reading, _ = read_my_tokens(example("ListPats.json"))
        assert [token.is_global for token in reading.tokens] == [True, False, False, False]

    def test_the_example_of_a_new_token_is_read(self) -> None:
        issued = read_issued(example("CreatePat.json"))
        assert (issued.token.display_name, issued.token.is_global) == ("new_token", False)
        assert issued.token.valid_to == datetime(2020, 12, 1, 23, 46, 23, 320000, UTC)
        assert len(issued.secret.get_secret_value()) == 52

    @pytest.mark.parametrize(
        ("sample", "name", "is_global"),
        [("GetPat.json", "analytics_token", False), ("UpdatePat.json", "updated_token", True)],
    )
    def test_the_examples_of_one_token_are_read(
        self, sample: str, name: str, is_global: bool
    ) -> None:
        token = read_token(example(sample))
        assert (token.display_name, token.is_global) == (name, is_global)

    def test_graphs_example_is_read_without_service_identities(self) -> None:
        page = read_users(CONTOSO, example("GetAllUsers.json"))
        assert {owner.subject_descriptor[:4] for owner in page.owners} == {"aad."}
        assert page.faults == ()
