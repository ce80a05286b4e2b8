"""Every setting, read from the environment and checked once, all faults at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pat_core.address import usable_address
from pat_core.allowance import Allowance
from pat_core.audit import AUDIT_DAYS
from pat_core.errors import SettingsError
from pat_core.expiry import DEFAULT_WINDOWS_DAYS
from pat_core.listing import RECOMMENDED_DAYS
from pat_core.model import Organization
from pat_core.retention import RETENTION_DAYS
from pat_core.routes import ESCALATE_DAYS, Route

EXAMPLES: Final = {
    "organizations": "contoso,fabrikam",
    "windows_days": "30,14,7,3,1",
    "admin_token": "the token's 84 characters",
    "bearer_token": "an Entra token for Azure DevOps",
    "max_concurrency": "16",
    "public_url": "https://pats.contoso.com",
    "local_dir": ".local",
    "null_targets_are_global": "false",
    "storage_account": "stpatwarden",
    "storage_connection_string": "UseDevelopmentStorage=true",
    "ops_address": "ops@contoso.com",
    "email_endpoint": "https://acs-pat-warden.communication.azure.com",
    "email_connection_string": "endpoint=https://acs-pat-warden.communication.azure.com/;accesskey=",
    "email_sender": "pat-warden@contoso.com",
    "email_reply_to": "devops@contoso.com",
    "email_calendar": "true",
    "email_per_minute": "30",
    "email_per_hour": "100",
    "teams_webhook_url": "the address that Teams gave, https://….logic.azure.com/…",
    "dry_run": "false",
    "routes": '[{"owner": "svc-*", "to": ["team@contoso.com"]}]',
    "escalate_days": "3",
    "max_mails_per_address_per_day": "3",
    "audit_days": "400",
    "retention_days": "90",
    "recommended_days": "90",
    "admin_group": "2f1a6c9e-8a0e-4a6e-9d0b-0f6f6a1c7d52",
    "scan_schedule": "0 0 5 * * *",
    "send_schedule": "0 */5 * * * *",
    "summary_schedule": "0 0 7 * * *",
    "finish_schedule": "0 15 * * * *",
    "tenant_id": "72f988bf-86f1-41af-91ab-2d7cd011db47",
    "client_id": "6b3f0a52-6c1e-4d0b-9a57-0c2b8f3f7a11",
    "client_secret": "the secret of the application",
    "key_vault_url": "https://kv-pat-warden.vault.azure.net",
    "lifetimes_days": "30,90,180,365",
}
_GUID: Final = r"^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$"
_ACCOUNT: Final = r"^([a-z0-9]{3,24})?$"
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,48}[A-Za-z0-9])?")
_MOST_COPIES: Final = 50
_SCHEDULE_FIELDS: Final = 6
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def parse_organizations(text: object) -> tuple[Organization, ...]:
    """The organizations that `contoso,fabrikam` or the same as JSON names. Raises ValueError."""
    if not isinstance(text, str):
        return TypeAdapter(tuple[Organization, ...]).validate_python(text)
    if text.lstrip().startswith("["):
        found = [_from_json(item) for item in _json_list(text)]
    else:
        found = [Organization(name.strip()) for name in text.split(",") if name.strip()]
    for organization in found:
        _check_organization(organization)
    names = [organization.name.lower() for organization in found]
    if len(set(names)) < len(names):
        raise ValueError("an organization is named twice")
    return tuple(found)


def parse_windows(text: object) -> tuple[int, ...]:
    """The windows in days that `30,14,7` names, the widest first. Raises ValueError."""
    parts = text.split(",") if isinstance(text, str) else text
    if not isinstance(parts, Sequence) or not parts:
        raise ValueError("no window is named")
    return tuple(sorted({_days(part) for part in parts}, reverse=True))


def parse_routes(text: object) -> tuple[Route, ...]:
    """The routes that a JSON list names. Raises ValueError."""
    if not isinstance(text, str):
        return TypeAdapter(tuple[Route, ...]).validate_python(text)
    routes = tuple(_route(item) for item in _json_list(text))
    named = {each for route in routes for each in (*route.to, *route.escalate_to, route.teams)}
    if len(named) > _MOST_COPIES:
        # A token and all its notices are written in one transaction of the ledger.
        raise ValueError(f"the routes name more than {_MOST_COPIES} addresses")
    return routes


def parse_url(text: str) -> str:
    """An https address (http on this machine alone), without a slash at its end, or "".

    Raises ValueError.
    """
    parts = urlsplit(text.strip())
    plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if text and not (parts.hostname and (parts.scheme == "https" or plain)):
        raise ValueError(f"{text!r} is not an https address")
    return text.strip().rstrip("/")


def parse_address(text: str) -> str:
    """A mail address, or "". Raises ValueError."""
    if text and not usable_address(text, None):
        raise ValueError(f"{text!r} is not a mail address")
    return text


def parse_schedule(text: str) -> str:
    """Six fields, the seconds first, as Azure Functions reads them in UTC. Raises ValueError."""
    if len(text.split()) != _SCHEDULE_FIELDS:
        raise ValueError(f"{text!r} has not six fields: {{second}} {{minute}} {{hour}} …")
    return text


def check_connection_string(text: SecretStr) -> SecretStr:
    """The connection string of a storage account. Raises ValueError, without its content."""
    names = {part.partition("=")[0] for part in text.get_secret_value().split(";")}
    if "UseDevelopmentStorage" not in names and not {"AccountName", "AccountKey"} <= names:
        raise ValueError("it has no AccountName and AccountKey")
    return text


def check_email_connection_string(text: SecretStr) -> SecretStr:
    """The connection string of a mail service. Raises ValueError, without its content."""
    names = {part.partition("=")[0].lower() for part in text.get_secret_value().split(";")}
    if not {"endpoint", "accesskey"} <= names:
        raise ValueError("it has no endpoint and accesskey")
    return text


EmailConnectionString = Annotated[SecretStr, AfterValidator(check_email_connection_string)]


def check_webhook(url: SecretStr) -> SecretStr:
    """The address of a Teams workflow. Raises ValueError, without the address: it is a secret."""
    parts = urlsplit(url.get_secret_value())
    host = parts.hostname or ""
    if host.endswith(("webhook.office.com", "outlook.office.com")):
        raise ValueError(
            "it is an Office 365 connector, which Microsoft has retired; make a webhook with the "
            "Teams template `Send webhook alerts to a channel` instead"
        )
    if parts.scheme != "https" and host not in _LOOPBACK:
        raise ValueError("it is not an https address")
    return url


Webhook = Annotated[SecretStr, AfterValidator(check_webhook)]
ConnectionString = Annotated[SecretStr, AfterValidator(check_connection_string)]
Url = Annotated[str, BeforeValidator(parse_url)]
Address = Annotated[str, BeforeValidator(parse_address)]
Schedule = Annotated[str, BeforeValidator(parse_schedule)]


class Settings(BaseSettings):
    """What the environment says, checked. Each field is PAT_ and its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix="PAT_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    organizations: Annotated[
        tuple[Organization, ...], NoDecode, BeforeValidator(parse_organizations)
    ] = ()
    windows_days: Annotated[tuple[int, ...], NoDecode, BeforeValidator(parse_windows)] = (
        DEFAULT_WINDOWS_DAYS
    )
    admin_token: SecretStr | None = None
    bearer_token: SecretStr | None = None
    max_concurrency: int = Field(default=16, ge=1, le=64)
    public_url: Url = ""
    local_dir: Path = Path(".local")
    null_targets_are_global: bool = False
    storage_account: str = Field(default="", pattern=_ACCOUNT)
    storage_connection_string: ConnectionString | None = None
    ops_address: Address = ""
    email_endpoint: Url = ""
    email_connection_string: EmailConnectionString | None = None
    email_sender: Address = ""
    email_reply_to: Address = ""
    email_calendar: bool = True
    email_per_minute: int | None = Field(default=None, ge=1, le=3000)
    email_per_hour: int | None = Field(default=None, ge=1, le=2500)
    max_mails_per_address_per_day: int = Field(default=3, ge=1, le=100)
    audit_days: int = Field(default=AUDIT_DAYS, ge=1, le=3650)
    retention_days: int = Field(default=RETENTION_DAYS, ge=1, le=3650)
    recommended_days: int = Field(default=RECOMMENDED_DAYS, ge=1, le=365)
    admin_group: str = Field(default="", pattern=_GUID)
    teams_webhook_url: Webhook | None = None
    dry_run: bool = False
    routes: Annotated[tuple[Route, ...], NoDecode, BeforeValidator(parse_routes)] = ()
    escalate_days: int = Field(default=ESCALATE_DAYS, ge=0, le=365)
    scan_schedule: Schedule = EXAMPLES["scan_schedule"]
    send_schedule: Schedule = EXAMPLES["send_schedule"]
    summary_schedule: Schedule = EXAMPLES["summary_schedule"]
    finish_schedule: Schedule = EXAMPLES["finish_schedule"]
    tenant_id: str = Field(default="", pattern=_GUID)
    client_id: str = Field(default="", pattern=_GUID)
    client_secret: SecretStr | None = None
    key_vault_url: Url = ""
    lifetimes_days: Annotated[tuple[int, ...], NoDecode, BeforeValidator(parse_windows)] = (
        365,
        180,
        90,
        30,
    )

    @property
    def email_allowance(self) -> Allowance:
        """What the provider allows: less for a domain that Azure manages, which can't be raised.

        Source: service limits of Azure Communication Services Email.
        """
        managed = self.email_sender.lower().endswith(".azurecomm.net")
        per_minute, per_hour = (5, 10) if managed else (30, 100)
        return Allowance(self.email_per_minute or per_minute, self.email_per_hour or per_hour)


def load_settings(env_file: Path | None = None) -> Settings:
    """The settings; the environment goes before the file.

    Raises SettingsError with a sentence for each fault.
    """
    try:
        return Settings(_env_file=env_file)
    except ValidationError as fault:
        errors = fault.errors(include_url=False, include_context=False)
        faults = [sentence(str(error["loc"][0]), error["msg"]) for error in errors]
        raise SettingsError(faults) from None


def sentence(field: str, fault: str) -> str:
    """What is wrong with a setting, with an example of what would be right."""
    setting = f"PAT_{field.upper()}"
    reason = fault.removeprefix("Value error, ").rstrip(".")
    return f"{setting}: {reason}. Example: {setting}={EXAMPLES[field]}"


def shown(settings: Settings) -> dict[str, str]:
    """Each setting by its name as it may be put on record: of a secret, only whether it is set."""
    return {
        f"PAT_{name.upper()}": _shown(getattr(settings, name))
        for name in sorted(Settings.model_fields)
    }


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "a secret"
    if isinstance(value, tuple):
        # What may hold secrets shows them as stars.
        return ", ".join(
            each.name if isinstance(each, Organization) else str(each) for each in value
        )
    return "" if value is None else str(value)


def _json_list(text: str) -> list[Any]:
    try:
        return list(json.loads(text))
    except ValueError as fault:
        raise ValueError(f"the JSON cannot be read ({fault})") from None


def _from_json(item: object) -> Organization:
    known = Organization.__dataclass_fields__.keys()
    if not isinstance(item, dict) or not item.keys() <= known or "name" not in item:
        raise ValueError(f"each organization needs a name and may have {', '.join(known)}")
    text = {key: str(value) for key, value in item.items()}
    return Organization(**text | {"base_url": parse_url(text.get("base_url", ""))})


def _route(item: object) -> Route:
    known = Route.__dataclass_fields__.keys()
    if not isinstance(item, dict) or not item.keys() <= known or not item:
        raise ValueError(f"each route may have {', '.join(known)}")
    to, escalate_to = (_addresses(item.get(name, [])) for name in ("to", "escalate_to"))
    teams = check_webhook(SecretStr(str(item["teams"]))) if item.get("teams") else None
    if not to and not escalate_to and not teams:
        raise ValueError("a route has nobody in to, escalate_to or teams")
    return Route(str(item.get("owner", "*")), str(item.get("token", "*")), to, escalate_to, teams)


def _addresses(given: object) -> tuple[str, ...]:
    found = given if isinstance(given, list) else [given]
    for each in found:
        if not usable_address(str(each)):
            raise ValueError(f"{each!r} is not a mail address")
    return tuple(usable_address(str(each)) for each in found)


def _check_organization(organization: Organization) -> None:
    if not _NAME.fullmatch(organization.name):
        raise ValueError(
            f"{organization.name!r} is not the name of an organization "
            "(letters, digits and hyphens; the part after dev.azure.com/)"
        )


def _days(part: object) -> int:
    text = str(part).strip()
    if not text.isdecimal() or not 1 <= int(text) <= 365:  # noqa: PLR2004 - a PAT lives a year
        raise ValueError(f"{text!r} is not a whole number of days from 1 to 365")
    return int(text)
