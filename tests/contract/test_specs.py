"""Our requests and sample replies against Microsoft's published contracts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from jsonschema import Draft4Validator

from pat_core.azure_devops import wire
from pat_core.azure_devops.replies import read_my_tokens, read_tokens, read_users
from pat_core.model import Organization

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
    ("tokens.json", wire.list_my_tokens(CONTOSO, "x"), "/{organization}/_apis/tokens/pats?"),
]


class TestRequests:
    @pytest.mark.parametrize(("name", "request_", "path"), CALLS, ids=[call[2] for call in CALLS])
    def test_each_is_one_that_the_contract_knows(
        self, name: str, request_: wire.Request, path: str
    ) -> None:
        contract = spec(name)
        operation = (contract["paths"] | contract.get("x-ms-paths", {}))[path]["get"]
        url = urlsplit(request_.url)
        assert url.hostname == contract["host"]
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path.rstrip("?")))
        assert re.fullmatch(pattern, url.path)
        known = {parameter.get("name") for parameter in operation["parameters"]} | {"api-version"}
        assert parse_qs(url.query).keys() <= known

    def test_the_scope_named_in_a_remedy_is_one_that_the_contract_names(self) -> None:
        for name, request_, path in CALLS:
            contract = spec(name)
            operation = (contract["paths"] | contract.get("x-ms-paths", {}))[path]["get"]
            scopes = {s for way in operation["security"] for named in way.values() for s in named}
            assert request_.call.scope in scopes, path


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

    def test_graphs_example_is_read_without_service_identities(self) -> None:
        page = read_users(CONTOSO, example("GetAllUsers.json"))
        assert {owner.subject_descriptor[:4] for owner in page.owners} == {"aad."}
        assert page.faults == ()
