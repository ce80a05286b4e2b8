"""What is deployed against what the code reads, writes and says."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml
from pydantic_core import PydanticUndefined

from function_app import STORAGE, app
from pat_core import messages, rows
from pat_core.local.host import _Function, _functions
from pat_core.settings import Settings
from pat_core.signals import METRICS, Event
from pat_core.web.session import SESSIONS
from pat_core.web.sign_in import CALLBACK, RESOURCE, SCOPES
from tests import bicep

ROOT: Final = bicep.INFRA.parent
DESK_ONLY: Final = {
    "local_dir": "a function app keeps its ledger in tables",
    "bearer_token": "only a person at a command line acts by one",
    "storage_connection_string": "the account takes no keys",
    "email_connection_string": "the mail service takes no keys",
    "client_secret": "the managed identity proves the application",
}
MADE_HERE: Final = {
    "storage_account": "storage.outputs.name",
    "email_endpoint": "email.outputs.endpoint",
    "email_sender": "email.outputs.sender",
    "tenant_id": "tenant().tenantId",
    "client_id": "clientId",
    "key_vault_url": "vault.outputs.url",
    "public_url": "pagesUrl",
}
FROM_VAULT: Final = {"admin_token", "teams_webhook_url", "routes"}
SETTINGS: Final = bicep.pairs("main.bicep", "settings: {")
PLATFORM: Final = bicep.pairs("app/settings.bicep", "properties: union(settings, {")
PARAMS: Final = bicep.params("main.bicep")
FLEX_FORBIDS: Final = (
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_RUNTIME",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "TZ",
    "WEBSITE_CONTENT",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_TIME_ZONE",
    "linuxFxVersion",
)
EVENTS: Final = {str(event) for event in Event}
ALERTS: Final = (
    "no-complete-scan",
    "poison-message",
    "mail-failing",
    "outbox-at-capacity",
    "credential-refused",
    "identity-lost",
    "exceptions",
)
QUERIES: Final = sorted(
    path.relative_to(bicep.INFRA).as_posix() for path in (bicep.INFRA / "alerts").glob("*.kql")
)
JOIN: Final = ROOT / "infra" / "hooks" / "join.sh"


def camel(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(part.capitalize() for part in rest)


def in_azure() -> list[str]:
    return sorted(Settings.model_fields.keys() - DESK_ONLY.keys())


def app_settings() -> set[str]:
    return SETTINGS.keys() | PLATFORM.keys()


FUNCTIONS: Final = {each.name: each for each in _functions(app)}


class TestSettings:
    def test_both_sides_know_the_same(self) -> None:
        assert sorted(SETTINGS) == sorted(f"PAT_{field.upper()}" for field in in_azure())

    @pytest.mark.parametrize("field", in_azure())
    def test_each_gets_what_its_name_says(self, field: str) -> None:
        source = SETTINGS[f"PAT_{field.upper()}"]
        wanted = MADE_HERE.get(field, camel(field))
        if field in FROM_VAULT:
            wanted = f"/ops-{field.replace('_', '-')})"
        assert re.search(rf"(?<![\w.]){re.escape(wanted)}(?!\w)", source), source

    @pytest.mark.parametrize("field", sorted(set(in_azure()) - MADE_HERE.keys() - FROM_VAULT))
    def test_defaults_are_equal(self, field: str) -> None:
        param = PARAMS[camel(field)]
        own = getattr(Settings.model_validate({}), field)
        if param.default is None:
            assert param.optional or field == "organizations"
            assert not own
        else:
            assert getattr(Settings.model_validate({field: param.default}), field) == own

    @pytest.mark.parametrize("field", sorted(FROM_VAULT))
    def test_a_secret_is_secure_and_goes_into_the_vault(self, field: str) -> None:
        assert "@secure()" in PARAMS[camel(field)].decorators
        assert not PARAMS[camel(field)].default
        assert f"name: 'ops-{field.replace('_', '-')}'" in bicep.text("app/vault.bicep")
        assert SETTINGS[f"PAT_{field.upper()}"].count("@Microsoft.KeyVault(SecretUri=") == 1

    def test_numbers_have_the_same_limits(self) -> None:
        compared = 0
        for field, info in Settings.model_fields.items():
            limits = {type(each).__name__: each for each in info.metadata}
            if {"Ge", "Le"} <= limits.keys():
                param = PARAMS[camel(field)]
                assert param.limit("minValue") == limits["Ge"].ge, field
                assert param.limit("maxValue") == limits["Le"].le, field
                compared += 1
        assert compared == 8

    def test_the_address_of_the_pages_ends_without_a_slash(self) -> None:
        # Settings leave it out; with it Entra would not know the redirect address again.
        source = bicep.text("main.bicep")
        given = re.findall(r"^var (?:given|own|pages)Url = (.+)$", source, re.MULTILINE)
        assert given == [
            "trim(publicUrl)",
            "endsWith(givenUrl, '/') ? substring(givenUrl, 0, length(givenUrl) - 1) : givenUrl",
            "empty(ownUrl) ? functions.outputs.url : ownUrl",
        ]
        assert re.findall(r"(?:= |: |\(|\{)publicUrl\b", source) == ["(publicUrl"]

    def test_the_names_that_are_left_out_exist(self) -> None:
        assert DESK_ONLY.keys() | MADE_HERE.keys() | FROM_VAULT <= Settings.model_fields.keys()
        assert all(info.default is not PydanticUndefined for info in Settings.model_fields.values())


class TestHosting:
    def test_queues_and_their_poison(self) -> None:
        queues = (messages.ORGANIZATIONS, messages.USERS)
        made = bicep.strings("app/storage.bicep", "var queueNames = [")
        assert sorted(made) == sorted([*queues, *(each + messages.POISON for each in queues)])

    def test_tables(self) -> None:
        made = bicep.strings("app/storage.bicep", "var tableNames = [")
        assert sorted(made) == sorted(
            [rows.AUDIT, rows.INVENTORY, rows.LEDGER, rows.OWNERS, rows.OUTBOX, rows.RUNS, SESSIONS]
        )

    def test_nothing_that_flex_forbids(self) -> None:
        for path in bicep.files():
            assert not [name for name in FLEX_FORBIDS if name in bicep.text(path)], path

    @pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
    def test_a_function_finds_what_its_bindings_name(self, function: _Function) -> None:
        needed = set(re.findall("%([^%]+)%", json.dumps(function.trigger, default=str)))
        connection = function.trigger.get("connection", STORAGE)
        needed |= {f"{connection}__{way}" for way in ("accountName", "credential", "clientId")}
        assert needed <= app_settings()

    def test_the_account_is_opened_by_the_identity(self) -> None:
        assert PLATFORM["AzureWebJobsStorage__credential"] == "'managedidentity'"
        assert "AzureWebJobsStorage" not in app_settings()

    def test_telemetry_goes_by_the_identity(self) -> None:
        authentication = PLATFORM["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]
        assert authentication == "'ClientId=${identityClientId};Authorization=AAD'"
        assert PLATFORM["PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME"] == "'pat_warden'"

    def test_event_grid_knows_the_function(self) -> None:
        named = re.findall(r"/functions/(\w+)'", bicep.text("app/delivery-reports.bicep"))
        triggers = [each.name for each in FUNCTIONS.values() if each.kind == "eventGridTrigger"]
        assert named == triggers == ["delivery_report"]

    def test_no_keys(self) -> None:
        assert "allowSharedKeyAccess: false" in bicep.text("app/storage.bicep")
        assert "disableLocalAuth: true" in bicep.text("app/email.bicep")
        assert "DisableLocalAuth: true" in bicep.text("app/monitoring.bicep")
        assert "enablePurgeProtection: true" in bicep.text("app/vault.bicep")
        assert not [path for path in bicep.files() if "listKeys" in bicep.text(path)]


class TestParameters:
    @pytest.mark.parametrize("path", bicep.files())
    def test_each_is_described_and_limited(self, path: str) -> None:
        source = bicep.text(path)
        found = bicep.params(path)
        assert len(found) == len(re.findall(r"^param ", source, re.MULTILINE))
        for param in found.values():
            said = param.decorators
            assert "@description('" in said, param.name
            if param.kind == "int" and "@allowed" not in said:
                assert {param.limit("minValue"), param.limit("maxValue")}.isdisjoint({None})
            # Whoever opens a module finds the limits of what it is given in main.bicep.
            if param.kind == "string" and path == "main.bicep":
                assert re.search("@(allowed|minLength|maxLength)", said), param.name

    def test_azd_may_choose_each(self) -> None:
        given = json.loads(bicep.text("main.parameters.json"))["parameters"]
        assert given.keys() == PARAMS.keys() - {"tags", "names"}
        for name, param in PARAMS.items():
            if name in given:
                found = re.fullmatch(r"\$\{[A-Z_]+(?:=([^}]*))?\}", given[name]["value"])
                assert found, name
                assert (found[1] or "") == (param.default or ""), name

    def test_no_output_is_read_back_as_a_choice(self) -> None:
        read = set(re.findall(r"\$\{([A-Z_]+)", bicep.text("main.parameters.json")))
        assert read.isdisjoint(bicep.outputs("main.bicep"))

    def test_what_is_read_is_no_setting_of_a_desk(self) -> None:
        # azd looks into the environment too, where a person may keep a token to scan with.
        read = set(re.findall(r"\$\{([A-Z_]+)", bicep.text("main.parameters.json")))
        desk = {f"PAT_{field.upper()}" for field in FROM_VAULT | DESK_ONLY.keys()}
        assert read.isdisjoint(desk)

    def test_az_names_what_has_no_default(self) -> None:
        named = set(re.findall(r"^param (\w+)", bicep.text("main.bicepparam"), re.MULTILINE))
        needed = {p.name for p in PARAMS.values() if p.default is None and not p.optional}
        assert needed <= named <= PARAMS.keys()


class TestSigns:
    @pytest.mark.parametrize("path", [*QUERIES, "workbook/workbook.toml"])
    def test_a_query_asks_only_for_what_the_code_emits(self, path: str) -> None:
        assert set(bicep.calls(path)) <= EVENTS | {metric.name for metric in METRICS}

    def test_every_query_is_used(self) -> None:
        used = re.findall(r"alerts/[a-z-]+\.kql", bicep.text("app/alerts.bicep"))
        assert sorted(set(used)) == QUERIES

    def test_attributes_exist(self) -> None:
        known = {name for metric in METRICS for name in metric.attributes}
        fields = {"queue", "kind", "organization", "status"}
        for path in (*QUERIES, "workbook/workbook.toml"):
            asked = set(re.findall(r"customDimensions\.(\w+)", bicep.text(path)))
            assert asked <= known | fields, path

    def test_every_metric_is_in_the_workbook(self) -> None:
        shown = set(bicep.calls("workbook/workbook.toml"))
        assert [metric.name for metric in METRICS if metric.name not in shown] == []

    def test_the_workbook_is_built(self) -> None:
        made = runpy.run_path(str(bicep.INFRA / "workbook" / "build.py"))["build"]()
        assert bicep.text("workbook/workbook.json") == made, "run: python infra/workbook/build.py"

    def test_each_alert_has_its_name_and_says_where_to_look(self) -> None:
        source = bicep.text("app/alerts.bicep")
        names = re.findall(r"^    name: '([a-z-]+)'$", source, re.MULTILINE)
        assert sorted(names) == sorted(ALERTS)
        texts = re.findall(r"^    description: '([A-Z].+)'$", source, re.MULTILINE)
        assert [text for text in texts if " Look at " in text] == texts
        assert "${readme}#${alert.name}" in source

    def test_silence_is_a_year(self) -> None:
        # A join that finds nothing must not mean that nothing is wrong.
        query = bicep.text("alerts/no-complete-scan.kql")
        assert "kind=leftouter" in query
        assert "coalesce(age, 31536000.0)" in query


class TestAzd:
    PROJECT: Final = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))

    def test_the_service(self) -> None:
        service = {"project": ".", "language": "python", "host": "function"}
        assert self.PROJECT["services"] == {"api": service}
        assert self.PROJECT.keys() == {"name", "requiredVersions", "services", "hooks"}
        assert "'azd-service-name': 'api'" in bicep.text("app/functions.bicep")
        assert "'azd-env-name': environmentName" in bicep.text("main.bicep")

    @pytest.mark.parametrize("hook", ["postprovision", "postdeploy"])
    def test_a_hook_is_there_for_both_shells(self, hook: str) -> None:
        ways = self.PROJECT["hooks"][hook]
        assert {ways["posix"]["shell"], ways["windows"]["shell"]} == {"sh", "pwsh"}
        for way in ways.values():
            assert way.keys() <= {"shell", "run", "continueOnError", "interactive"}
            assert (ROOT / way["run"]).is_file()
            used = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", (ROOT / way["run"]).read_text()))
            known = {*bicep.outputs("main.bicep"), "AZURE_SUBSCRIPTION_ID"}
            assert used - known <= {"REPORTS_PAUSE", "DELIVERY_REPORTS"}

    def test_hooks_are_named_as_azd_names_them(self) -> None:
        assert self.PROJECT["hooks"].keys() == {"postprovision", "postdeploy", "predown"}


@pytest.mark.skipif(not shutil.which("sh"), reason="there is no sh on this machine")
class TestJoin:
    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        shutil.copytree(JOIN.parent, tmp_path / "infra" / "hooks")
        return tmp_path

    def run(self, checkout: Path, **given: str) -> subprocess.CompletedProcess[str]:
        script = checkout / "infra" / "hooks" / "join.sh"
        return subprocess.run(  # noqa: S603 - our own script
            ["/bin/sh", str(script)],
            env={"PATH": "/usr/bin:/bin", **given},
            capture_output=True,
            text=True,
            check=False,
        )

    def with_python(self, checkout: Path, script: str) -> None:
        python = checkout / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\n[ "$4" = --help ] && exit 0\n{script}\n')
        python.chmod(0o755)

    def test_it_says_what_is_missing_before_anything_else(self, checkout: Path) -> None:
        self.with_python(checkout, "echo called")
        for given, missing in (
            ({}, "IDENTITY_OBJECT_ID"),
            ({"IDENTITY_OBJECT_ID": "id"}, "ORGANIZATION_NAMES"),
        ):
            ended = self.run(checkout, **given)
            assert (ended.returncode, ended.stdout) == (2, "")
            assert ended.stderr.startswith(f"join: {missing} is not set.")

    def test_it_says_that_there_is_no_environment(self, checkout: Path) -> None:
        ended = self.run(checkout, IDENTITY_OBJECT_ID="id", ORGANIZATION_NAMES="contoso")
        assert ended.returncode == 2
        assert ended.stderr == "join: There is no .venv here. Run: make .venv/cli\n"

    def test_it_joins_each_and_tells_of_the_worst(self, checkout: Path) -> None:
        self.with_python(checkout, 'echo "$@"; [ "$5" = fabrikam ] && exit 3; exit 0')
        given = {"IDENTITY_OBJECT_ID": "id", "ORGANIZATION_NAMES": "fabrikam,contoso"}
        ended = self.run(checkout, **given)
        assert ended.returncode == 3
        assert ended.stdout.splitlines() == [
            "-m pat_core join --organization fabrikam --identity id",
            "-m pat_core join --organization contoso --identity id",
        ]

    def test_there_may_be_none_to_join(self, checkout: Path) -> None:
        ended = self.run(checkout, IDENTITY_OBJECT_ID="id", ORGANIZATION_NAMES="")
        assert ended.returncode == 0


def test_each_alert_leads_to_a_section_of_the_readme() -> None:
    source = (bicep.INFRA / "app" / "alerts.bicep").read_text(encoding="utf-8")
    names = re.findall(r"^ +name: '([a-z-]+)'$", source, re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert len(names) == 7
    assert set(names) <= {heading.lower().replace(" ", "-") for heading in headings}


def test_the_readme_lists_each_function() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("| function | runs | does |") :].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(FUNCTIONS)


def test_each_output_that_the_readme_names_is_one() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    deploy = readme[readme.index("## Deploy") : readme.index("## Configure")]
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", deploy))
    outputs = set(re.findall(r"^output ([A-Z_]+) ", bicep.text("main.bicep"), re.MULTILINE))
    parameters = (bicep.INFRA / "main.parameters.json").read_text(encoding="utf-8")
    known = set(re.findall(r"\$\{([A-Z_]+)", parameters))
    # azd says which subscription it chose.
    assert named - outputs - known <= {"RUN_ID", "AZURE_SUBSCRIPTION_ID"}


class TestGuarded:
    """What SECURITY.md says of `infra/`."""

    # The identity's roles, each by its name at Microsoft, and the one resource that each is for.
    ROLES: Final = {
        "app/email.bicep": ("communication", {"09976791-48a7-449e-bb21-39d1a415f350"}),
        "app/monitoring.bicep": ("insights", {"3913510d-42f4-4e42-8a64-420c390055eb"}),
        "app/storage.bicep": (
            "account",
            {
                "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
                "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
                "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
            },
        ),
        "app/vault.bicep": ("vault", {"b86a8fe4-44ce-4948-aee5-eccb2c155cd7"}),
    }
    GUID: Final = re.compile(r"'([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'")
    SIGN_IN: Final = bicep.text("app/sign-in.bicep")

    def test_all_goes_by_tls_of_this_time(self) -> None:
        app, storage = bicep.text("app/functions.bicep"), bicep.text("app/storage.bicep")
        assert re.findall(r"httpsOnly: (\w+)", app) == ["true"]
        assert re.findall(r"(?i)minTlsVersion: '([\d.]+)'", app) == ["1.2", "1.2"]
        assert re.findall(r"minimumTlsVersion: '(\w+)'", storage) == ["TLS1_2"]
        assert re.findall(r"supportsHttpsTrafficOnly: (\w+)", storage) == ["true"]
        assert not [path for path in bicep.files() if "http://" in bicep.text(path)]

    def test_nobody_deploys_with_a_password_by_ftp_or_else(self) -> None:
        app = bicep.text("app/functions.bicep")
        policies = re.findall(
            r"'basicPublishingCredentialsPolicies' = \{\s+name: '(\w+)'\s+"
            r"properties: \{ allow: (\w+) \}",
            app,
        )
        assert policies == [("ftp", "false"), ("scm", "false")]

    @pytest.mark.parametrize("path", bicep.files())
    def test_nothing_lets_another_origin_in(self, path: str) -> None:
        assert "cors" not in bicep.text(path).lower()

    def test_no_host_file_lets_another_origin_in(self) -> None:
        for name in ("host.json", "local.settings.json.example"):
            assert "cors" not in (ROOT / name).read_text(encoding="utf-8").lower()

    def test_each_role_is_on_the_one_resource_that_it_is_for(self) -> None:
        kind = "Microsoft.Authorization/roleAssignments@"
        assert {path for path in bicep.files() if kind in bicep.text(path)} == self.ROLES.keys()
        for path, (resource, roles) in self.ROLES.items():
            source = bicep.text(path)
            assert set(self.GUID.findall(source)) == roles, path
            (assignment,) = (each.partition("\n}")[0] for each in source.split(kind)[1:])
            assert re.findall(r"^  scope: (.+)$", assignment, re.MULTILINE) == [resource], path
            given = re.findall(r"^    principalId: (.+)$", assignment, re.MULTILINE)
            assert given == ["principalId"], path

    def test_no_role_is_made_or_given_at_a_wider_place(self) -> None:
        for path in bicep.files():
            source = bicep.text(path)
            assert not re.search("Microsoft.Authorization/roleDefinitions@", source), path
            assert not re.search("oauth2PermissionGrants|appRoleAssignedTo", source), path
        scopes = re.findall(r"^targetScope = '(\w+)'$", bicep.text("main.bicep"), re.MULTILINE)
        assert scopes in ([], ["resourceGroup"], ["subscription"])

    def test_people_of_one_tenant_sign_in_and_come_back_to_one_address(self) -> None:
        source = self.SIGN_IN
        assert re.findall(r"signInAudience: '(\w+)'", source) == ["AzureADMyOrg"]
        assert re.findall(r"(\w*[rR]edirectUris): (.+)", source) == [
            ("redirectUris", f"['${{publicUrl}}{CALLBACK}']")
        ]
        assert "web: {" in source
        assert not re.search(r"\b(spa|publicClient|isFallbackPublicClient):", source)

    def test_no_token_comes_back_in_an_address(self) -> None:
        found = re.findall(r"implicitGrantSettings: \{(.+)\}", self.SIGN_IN)
        assert [each.strip() for each in found] == [
            "enableIdTokenIssuance: false, enableAccessTokenIssuance: false"
        ]

    def test_the_application_asks_for_two_scopes_and_no_more(self) -> None:
        wanted = bicep.strings("app/sign-in.bicep", "var wanted = [")
        assert [f"{RESOURCE}/{scope}" for scope in wanted] == list(SCOPES)
        assert self.SIGN_IN.count("resourceAppId:") == 1
        assert f"var azureDevOps = '{RESOURCE}'" in self.SIGN_IN
        assert re.findall(r"type: '(\w+)'", self.SIGN_IN) == ["Scope"]

    def test_the_application_has_no_secret(self) -> None:
        assert not re.search(r"(password|key)Credentials|addPassword", self.SIGN_IN)
        assert self.SIGN_IN.count("federatedIdentityCredentials@") == 1
        assert re.findall(r"^  subject: (.+)$", self.SIGN_IN, re.MULTILINE) == ["principalId"]
