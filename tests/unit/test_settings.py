from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pat_core.azure_devops.remedies import FOR_PAT
from pat_core.errors import SettingsError
from pat_core.model import Organization
from pat_core.routes import Route
from pat_core.settings import EXAMPLES, Settings, load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PAT_{name.upper()}", raising=False)


def faults(monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return caught.value.faults


class TestOrganizations:
    @pytest.mark.parametrize(
        "text",
        [
            "contoso,fabrikam",
            " contoso , fabrikam ,",
            '[{"name": "contoso"}, {"name": "fabrikam"}]',
        ],
    )
    def test_they_may_be_written_in_two_ways(
        self, monkeypatch: pytest.MonkeyPatch, text: str
    ) -> None:
        monkeypatch.setenv("PAT_ORGANIZATIONS", text)
        assert load_settings().organizations == (Organization("contoso"), Organization("fabrikam"))

    def test_a_server_gives_its_own_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PAT_ORGANIZATIONS", '[{"name": "main", "base_url": "https://s/c/"}]')
        assert load_settings().organizations == (Organization("main", "https://s/c"),)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("con toso", "'con toso' is not the name of an organization"),
            ("https://dev.azure.com/contoso", "is not the name"),
            ("contoso,Contoso", "named twice"),
            ("[{", "JSON cannot be read"),
            ('[{"base_url": "https://s"}]', "needs a name"),
            ('[{"name": "a", "url": "https://s"}]', "may have name, base_url, api_version"),
            ('[{"name": "a", "base_url": "http://server/c"}]', "not an https address"),
            ('["a"]', "needs a name"),
        ],
    )
    def test_a_wrong_one_is_named(
        self, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
    ) -> None:
        (fault,) = faults(monkeypatch, PAT_ORGANIZATIONS=text)
        assert fault.startswith("PAT_ORGANIZATIONS: ")
        assert reason in fault
        assert fault.endswith("Example: PAT_ORGANIZATIONS=contoso,fabrikam")


class TestWindows:
    def test_they_are_sorted_and_named_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PAT_WINDOWS_DAYS", "1, 30,7,7")
        assert load_settings().windows_days == (30, 7, 1)

    @pytest.mark.parametrize("text", ["0", "-1", "soon", "366", "1.5", "30,,7", ","])
    def test_a_wrong_one_is_named(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        (fault,) = faults(monkeypatch, PAT_WINDOWS_DAYS=text)
        assert "is not a whole number of days from 1 to 365" in fault
        assert fault.endswith("Example: PAT_WINDOWS_DAYS=30,14,7,3,1")


class TestStorage:
    @pytest.mark.parametrize(
        "text", ["UseDevelopmentStorage=true", "AccountName=a;AccountKey=eA==;EndpointSuffix=x"]
    )
    def test_a_connection_string_is_taken(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setenv("PAT_STORAGE_CONNECTION_STRING", text)
        found = load_settings().storage_connection_string
        assert found
        assert found.get_secret_value() == text

    def test_a_wrong_one_is_refused_without_its_content(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (fault,) = faults(monkeypatch, PAT_STORAGE_CONNECTION_STRING="AccountKey=s3cret")
        assert "has no AccountName and AccountKey" in fault
        assert "s3cret" not in fault

    def test_the_name_of_an_account_is_checked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (fault,) = faults(monkeypatch, PAT_STORAGE_ACCOUNT="My-Account")
        assert fault.endswith("Example: PAT_STORAGE_ACCOUNT=stpatwarden")


class TestRoutes:
    def test_they_are_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text = '[{"owner": "svc-*", "to": "Team@contoso.com"}, {"escalate_to": ["a@b.com"]}]'
        monkeypatch.setenv("PAT_ROUTES", text)
        assert load_settings().routes == (
            Route(owner="svc-*", to=("team@contoso.com",)),
            Route(escalate_to=("a@b.com",)),
        )

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ('[{"owner": "svc-*"}]', "has nobody in to, escalate_to or teams"),
            ('[{"to": ["team"]}]', "'team' is not a mail address"),
            ('[{"to": [7]}]', "7 is not a mail address"),
            ('[{"too": ["a@b.com"]}]', "may have owner, token, to, escalate_to"),
            ('[{"teams": "http://x.logic.azure.com/s3cret"}]', "it is not an https address"),
            ('[{"teams": "https://x.webhook.office.com/s3cret"}]', "has retired"),
            ("[{", "JSON cannot be read"),
            ('["a@b.com"]', "each route may have"),
            (
                json.dumps([{"to": [f"u{number}@b.com" for number in range(51)]}]),
                "more than 50 addresses",
            ),
        ],
    )
    def test_a_wrong_one_is_named(
        self, monkeypatch: pytest.MonkeyPatch, text: str, says: str
    ) -> None:
        (fault,) = faults(monkeypatch, PAT_ROUTES=text)
        assert says in fault
        assert "s3cret" not in fault

    def test_a_webhook_is_a_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PAT_ROUTES", '[{"teams": "https://x.logic.azure.com/s3cret"}]')
        settings = load_settings()
        assert settings.routes[0].teams
        assert "s3cret" not in repr(settings)


class TestTeams:
    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("https://contoso.webhook.office.com/webhookb2/s3cret", "has retired"),
            ("https://outlook.office.com/webhook/s3cret", "Send webhook alerts to a channel"),
            ("http://prod.logic.azure.com/s3cret", "is not an https address"),
            ("s3cret", "is not an https address"),
        ],
    )
    def test_a_webhook_that_cannot_work_is_refused_without_its_address(
        self, monkeypatch: pytest.MonkeyPatch, url: str, says: str
    ) -> None:
        (fault,) = faults(monkeypatch, PAT_TEAMS_WEBHOOK_URL=url)
        assert says in fault
        assert "s3cret" not in fault


class TestEmail:
    @pytest.mark.parametrize(
        ("sender", "given", "allowed"),
        [
            ("a@contoso.com", {}, (30, 100)),
            ("DoNotReply@x.azurecomm.net", {}, (5, 10)),
            ("a@contoso.com", {"PAT_EMAIL_PER_HOUR": "500"}, (30, 500)),
        ],
    )
    def test_the_allowance_follows_from_the_sender(
        self,
        monkeypatch: pytest.MonkeyPatch,
        sender: str,
        given: dict[str, str],
        allowed: tuple[int, int],
    ) -> None:
        for name, value in {"PAT_EMAIL_SENDER": sender, **given}.items():
            monkeypatch.setenv(name, value)
        allowance = load_settings().email_allowance
        assert (allowance.per_minute, allowance.per_hour) == allowed

    def test_a_wrong_connection_string_is_refused_without_its_content(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (fault,) = faults(monkeypatch, PAT_EMAIL_CONNECTION_STRING="accesskey=s3cret")
        assert "has no endpoint and accesskey" in fault
        assert "s3cret" not in fault


class TestOps:
    def test_an_address_is_checked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (fault,) = faults(monkeypatch, PAT_OPS_ADDRESS="ops")
        assert "'ops' is not a mail address" in fault

    @pytest.mark.parametrize("text", ["0 5 * * *", "daily"])
    def test_a_schedule_has_six_fields(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        (fault,) = faults(monkeypatch, PAT_SCAN_SCHEDULE=text)
        assert "six fields" in fault


class TestLoadSettings:
    def test_all_faults_are_said_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said = faults(
            monkeypatch,
            PAT_ORGANIZATIONS="a b",
            PAT_WINDOWS_DAYS="0",
            PAT_MAX_CONCURRENCY="0",
            PAT_PUBLIC_URL="pats.contoso.com",
        )
        assert [fault.split(":")[0] for fault in said] == [
            "PAT_ORGANIZATIONS",
            "PAT_WINDOWS_DAYS",
            "PAT_MAX_CONCURRENCY",
            "PAT_PUBLIC_URL",
        ]

    def test_an_empty_setting_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PAT_ADMIN_TOKEN", "")
        assert load_settings().admin_token is None

    def test_the_environment_goes_before_the_file(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        file = tmp_path / ".env"
        file.write_text("PAT_ORGANIZATIONS=filed\nPAT_WINDOWS_DAYS=5\n")
        monkeypatch.setenv("PAT_WINDOWS_DAYS", "9")
        settings = load_settings(file)
        assert settings.organizations == (Organization("filed"),)
        assert settings.windows_days == (9,)

    def test_a_secret_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PAT_ADMIN_TOKEN", "s3cret")
        assert "s3cret" not in repr(load_settings())


class TestEnvExample:
    def test_it_names_each_setting_and_no_other(self) -> None:
        text = (ROOT / ".env.example").read_text(encoding="utf-8")
        named = re.findall(r"^#?(PAT_[A-Z_]+)=", text, flags=re.MULTILINE)
        assert sorted(named) == sorted(f"PAT_{name.upper()}" for name in Settings.model_fields)

    def test_it_can_be_used_as_it_is(self) -> None:
        assert load_settings(ROOT / ".env.example").organizations

    def test_every_setting_has_an_example(self) -> None:
        assert EXAMPLES.keys() == Settings.model_fields.keys()


class TestReadme:
    def test_its_table_names_each_setting_and_no_other(self) -> None:
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        named = re.findall(r"^\| `(PAT_[A-Z_]+)` \|", text, flags=re.MULTILINE)
        assert sorted(named) == sorted(f"PAT_{name.upper()}" for name in Settings.model_fields)

    def test_the_scopes_of_an_admin_pat_are_the_same_everywhere(self) -> None:
        # Azure DevOps offers no scope that only reads tokens.
        assert "Graph (read) and Token Administration (read & manage)" in FOR_PAT.sign_in
        for name in ("README.md", ".env.example"):
            text = re.sub(r"[\s#*]+", " ", (ROOT / name).read_text(encoding="utf-8"))
            found = re.findall(r"Token Administration ?\(([^)]+)\)", text)
            assert set(found) == {"read & manage"}, name

    def test_its_first_block_is_what_ci_runs(self) -> None:
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        (first, *_) = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
        assert first.splitlines() == ["make demo", "make test"]
