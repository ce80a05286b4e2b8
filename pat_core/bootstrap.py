"""The only place that chooses adapters, and the only one that knows the time.

What a function does not need is not imported for it: start-up is billed, and it makes people wait.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar

from pat_core.errors import SettingsError
from pat_core.ledger_version import FOR_FILE, FOR_TABLES
from pat_core.ports import Clock, Meter, OpsChannel, Queues, Store
from pat_core.routes import ROUTED, Routes, webhook_recipient
from pat_core.settings import Settings, load_settings, sentence, shown

if TYPE_CHECKING:
    import httpx
    from azure.data.tables.aio import TableServiceClient
    from azure.identity.aio import DefaultAzureCredential
    from azure.storage.queue.aio import QueueServiceClient
    from pydantic import SecretStr

    from pat_core.admin_front import AdminFront
    from pat_core.azure_devops.client import Client
    from pat_core.azure_devops.credential import Credential
    from pat_core.azure_devops.enrolment import Enrolment
    from pat_core.book import Book
    from pat_core.channels.email import EmailChannel
    from pat_core.channels.teams import TeamsChannel
    from pat_core.delivery import Outlet, Sender
    from pat_core.finishing import Finisher
    from pat_core.fleet_keeping import FleetKeeping
    from pat_core.fleet_report import FleetReport
    from pat_core.forgetting import Forgetting
    from pat_core.front import Front
    from pat_core.inventory import Inventory
    from pat_core.model import Organization
    from pat_core.ports import Vault
    from pat_core.recording import Recorder
    from pat_core.reports import Reports
    from pat_core.runs import Runner
    from pat_core.summarize import Watch
    from pat_core.trail import Trail
    from pat_core.web.administrators import Administrators
    from pat_core.web.session import Sessions
    from pat_core.web.sign_in import Application, SignIn

StorageClient = TypeVar("StorageClient", "TableServiceClient", "QueueServiceClient")


def system_clock() -> datetime:
    """The time now, aware UTC."""
    return datetime.now(UTC)


def clock_from(start: datetime) -> Clock:
    """A clock that shows `start` now and goes on from there: for the embedded world only."""
    ahead = start - system_clock()
    return lambda: system_clock() + ahead


@dataclass(eq=False)
class Services:
    """What the functions share, each made when it is first asked for and kept for the process.

    `given` are channels to use instead of those that the settings name, `application` is what
    signs people in instead of the one that the settings name; `entra` is where its keys are then.
    """

    settings: Settings
    clock: Clock = system_clock
    given: Mapping[str, Outlet] | None = None
    application: Callable[[], Application] | None = None
    entra: str = ""

    def __post_init__(self) -> None:
        self._closing = AsyncExitStack()
        self._noted = False

    @cached_property
    def store(self) -> Store:
        """The ledger: in Azure Table Storage, or without a storage account in a SQLite file."""
        if not self.has_storage:
            from pat_core.ledger.sqlite import SqliteStore

            embedded = SqliteStore(self.settings.local_dir / "ledger.sqlite")
            self._closing.callback(embedded.close)
            return self.current(embedded, FOR_FILE)
        from pat_core.ledger.later import LaterStore

        return self.current(LaterStore(self._table_store), FOR_TABLES)

    def current(self, store: Store, remedy: str) -> Store:
        """The ledger, of the version that this program writes; `remedy` is for a newer one."""
        from pat_core.current import CurrentStore

        return CurrentStore(store, [each.name for each in self.settings.organizations], remedy)

    def _table_store(self) -> Store:
        from azure.data.tables.aio import TableServiceClient

        from pat_core.ledger.table import TableStore

        return TableStore(self._connected(TableServiceClient, "table"))

    @cached_property
    def inventory(self) -> Inventory:
        """What keeps the copy of all tokens that administrators ask for."""
        from pat_core.inventory import Inventory

        return Inventory(self.store, self.clock, self.settings.recommended_days)

    @cached_property
    def fleet(self) -> FleetReport:
        """What answers administrators out of the inventory."""
        from pat_core.fleet_report import FleetReport

        return FleetReport(self.store, self.clock, self.settings.organizations)

    @cached_property
    def fleet_keeping(self) -> FleetKeeping:
        """What counts the inventory, notices who left, and forgets what is long gone."""
        from pat_core.fleet_keeping import FleetKeeping

        return FleetKeeping(self.fleet, self.recorder, self.forgetting)

    @cached_property
    def forgetting(self) -> Forgetting:
        """What deletes all that is known of an owner."""
        from pat_core.forgetting import Forgetting

        return Forgetting(self.inventory)

    @cached_property
    def listed_store(self) -> Store:
        """The ledger, for whoever changes what the inventory shows."""
        from pat_core.listed import ListedStore

        return ListedStore(self.store, self.inventory)

    @cached_property
    def queues(self) -> Queues:
        """The queues in Azure Queue Storage. Raises SettingsError where there is no account."""
        if not self.has_storage:
            raise SettingsError([sentence("storage_account", "is not set")])
        from azure.storage.queue.aio import QueueServiceClient

        from pat_core.queues import StorageQueues

        return StorageQueues(self._connected(QueueServiceClient, "queue"))

    @cached_property
    def azure_devops(self) -> Client:
        """A client for Azure DevOps, signed in as the settings say."""
        from pat_core.azure_devops.client import Client
        from pat_core.azure_devops.pace import Pace

        return Client(
            self._transport,
            self._credential,
            Pace(clock=self.clock, sleep=asyncio.sleep, most=self.settings.max_concurrency),
            clock=self.clock,
            sleep=asyncio.sleep,
            jitter=random.random,
            null_means_global=self.settings.null_targets_are_global,
            meter=self.meter,
        )

    @cached_property
    def recorder(self) -> Recorder:
        """What records which notices are due."""
        from pat_core.recording import Recorder

        settings = self.settings
        routes = Routes(settings.routes, settings.escalate_days)
        retention = timedelta(days=settings.retention_days)
        return Recorder(self.inventory, settings.windows_days, routes, retention)

    @cached_property
    def runner(self) -> Runner:
        """What carries out the orders on the queues."""
        from pat_core.runs import Runner
        from pat_core.scan import Scanner

        scanner = Scanner(self.azure_devops, self.recorder)
        return Runner(scanner, self.queues, self.settings.organizations, self.meter)

    @cached_property
    def watch(self) -> Watch:
        """What looks at the ledger and the queues."""
        from pat_core.summarize import Watch

        windows = self.settings.windows_days
        return Watch(
            self.store,
            self.clock,
            self.settings.organizations,
            windows,
            dry_run=self.settings.dry_run,
            meter=self.meter,
        )

    @cached_property
    def email(self) -> EmailChannel | None:
        """The channel that sends mails, or None where none is set up."""
        settings, secret = self.settings, self.settings.email_connection_string
        if not settings.email_sender or not (settings.email_endpoint or secret):
            return None
        from azure.communication.email.aio import EmailClient

        from pat_core.channels.email import EmailChannel
        from pat_core.channels.render import Renderer

        client = (
            EmailClient.from_connection_string(secret.get_secret_value())
            if secret
            else EmailClient(settings.email_endpoint, self._identity)
        )
        self._closing.push_async_callback(client.close)
        return EmailChannel(
            client,
            Renderer(settings.public_url),
            self.clock,
            sender=settings.email_sender,
            reply_to=settings.email_reply_to,
            ops_address=settings.ops_address,
            with_calendar=settings.email_calendar,
        )

    @cached_property
    def teams(self) -> TeamsChannel | None:
        """The channel that posts cards, or None where no webhook is set up."""
        routed = [route.teams for route in self.settings.routes if route.teams]
        if self.settings.teams_webhook_url is None and not routed:
            return None
        import httpx

        from pat_core.channels.render import Renderer
        from pat_core.channels.teams import TeamsChannel

        # It logs whole addresses, and a webhook's own is a secret.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        http = httpx.AsyncClient(transport=http_transport(1), timeout=30)
        self._closing.push_async_callback(http.aclose)
        return TeamsChannel(
            http,
            Renderer(self.settings.public_url),
            self.clock,
            asyncio.sleep,
            webhook=self.settings.teams_webhook_url,
            routed={webhook_recipient(webhook): webhook for webhook in routed},
        )

    @cached_property
    def outlets(self) -> Mapping[str, Outlet]:
        """The channels to owners by name, the first to be tried first."""
        if self.given is not None:
            return self.given
        from pat_core.delivery import Outlet

        email = Outlet(self.email, self.settings.email_allowance) if self.email else None
        cards = Outlet(self.teams) if self.teams else None
        teams = cards if self.settings.teams_webhook_url else None
        # Last, since what another channel could not send goes to no route's webhook.
        found = {"email": email, "teams": teams, ROUTED: cards}
        return {name: outlet for name, outlet in found.items() if outlet}

    @cached_property
    def ops(self) -> Sequence[OpsChannel]:
        """The channels to those who run the service: a mail and a card, as far as set up."""
        mail = self.email if self.settings.ops_address else None
        card = self.teams if self.settings.teams_webhook_url else None
        return [channel for channel in (mail, card) if channel]

    @cached_property
    def sender(self) -> Sender | None:
        """What empties the outbox, or None where there is no channel or nothing is to be sent."""
        if self.settings.dry_run or not self.outlets:
            return None
        from pat_core.delivery import Sender

        most_a_day = self.settings.max_mails_per_address_per_day
        return Sender(self.listed_store, self.outlets, self.clock, most_a_day, self.meter)

    @cached_property
    def reports(self) -> Reports:
        """What hears whether mails arrived."""
        from pat_core.desk import Desk
        from pat_core.reports import Reports

        desk = Desk(self.listed_store, self.clock, tuple(self.outlets) or ("email",))
        return Reports(desk, self.meter)

    @cached_property
    def book(self) -> Book:
        """What writes down what owners decide."""
        from pat_core.book import Book

        return Book(self.listed_store, self.clock)

    @cached_property
    def sessions(self) -> Sessions:
        """The sessions of those who are signed in."""
        from pat_core.web.session import Sessions

        return Sessions(self.store, self.clock)

    @cached_property
    def vault(self) -> Vault | None:
        """The Key Vault that new tokens go into, or None where none is set up."""
        if not self.settings.key_vault_url:
            return None
        from azure.keyvault.secrets.aio import SecretClient

        from pat_core.vault import KeyVault

        # The client's own limits of minutes are for batches; here somebody waits for a page.
        client = SecretClient(
            self.settings.key_vault_url,
            self._identity,
            connection_timeout=5,
            read_timeout=15,
            retry_total=3,
        )
        self._closing.push_async_callback(client.close)
        return KeyVault(client)

    @cached_property
    def front(self) -> Front:
        """What answers for the owners' pages."""
        from pat_core.acts import Acts
        from pat_core.front import Front
        from pat_core.owner_views import OwnerViews
        from pat_core.rotation import Rotator
        from pat_core.web.pages import Pages

        settings, book = self.settings, self.book
        lifetimes = tuple(sorted(settings.lifetimes_days))
        return Front(
            self.sessions,
            self.sign_in,
            self.hands,
            self._organizations,
            OwnerViews(book, settings.windows_days, lifetimes, settings.key_vault_url),
            Rotator(book, self.vault),
            Acts(book, settings.windows_days),
            self.trail,
            Pages(),
            settings.public_url,
            self.meter,
        )

    @cached_property
    def admin_front(self) -> AdminFront:
        """What answers for the administrators' pages."""
        from pat_core.admin_front import AdminFront
        from pat_core.dossiers import Dossiers
        from pat_core.downloads import Downloads
        from pat_core.forecasting import Forecasting
        from pat_core.web.fleet_pages import FleetPages

        settings = self.settings
        routes = Routes(settings.routes, settings.escalate_days)
        return AdminFront(
            self.sessions,
            self.administrators,
            self.fleet,
            self.watch,
            lambda: self.queues,
            Dossiers(self.book, self.azure_devops, self.trail, settings.recommended_days),
            Forecasting(self.fleet, self.inventory, settings.windows_days, routes),
            self.trail,
            Downloads(self.fleet, self.trail, self._organizations),
            self._organizations,
            FleetPages(),
            settings.public_url,
        )

    @cached_property
    def trail(self) -> Trail:
        """What remembers who did what."""
        from pat_core.trail import Trail

        return Trail(self.store, self.clock, self.settings.audit_days)

    async def note_settings(self) -> None:
        """Put on record which settings changed since another process began, once for this one.

        Raises LedgerError.
        """
        if not self._noted:
            await self.trail.settings_seen(shown(self.settings))
            self._noted = True

    @cached_property
    def meter(self) -> Meter:
        """Where figures go."""
        from pat_core.telemetry import OtelMeter

        return OtelMeter()

    @cached_property
    def finisher(self) -> Finisher:
        """What brings rotations to their end."""
        from pat_core.finishing import Finisher

        return Finisher(
            self.book,
            self.azure_devops,
            self._organizations,
            self.vault,
            meter=self.meter,
            trail=self.trail,
        )

    def hands(self, bearer: SecretStr) -> Client:
        """What acts for the owner whose token this is."""
        from pat_core.azure_devops.credential import BearerCredential

        return self._hands(BearerCredential(bearer))

    @cached_property
    def own_hands(self) -> Client:
        """What acts for whoever sits at this machine: a bearer token, or the Azure CLI's user."""
        if self.settings.bearer_token:
            return self.hands(self.settings.bearer_token)
        from azure.identity.aio import AzureCliCredential

        from pat_core.azure_devops.credential import EntraCredential
        from pat_core.azure_devops.remedies import FOR_OWNER

        return self._hands(EntraCredential(AzureCliCredential(), self.clock, FOR_OWNER))

    def _hands(self, credential: Credential) -> Client:
        from pat_core.azure_devops.client import Client

        return Client.for_owner(
            self._transport,
            credential,
            clock=self.clock,
            sleep=asyncio.sleep,
            jitter=random.random,
            meter=self.meter,
        )

    @cached_property
    def enrolment(self) -> Enrolment:
        """What adds identities to organizations: by the admin PAT, or as whoever sits here."""
        from pat_core.azure_devops.enrolment import Enrolment
        from pat_core.azure_devops.pace import Pace
        from pat_core.azure_devops.remedies import LATER
        from pat_core.azure_devops.sending import FOR_A_SCAN, Sender

        return Enrolment(
            Sender(
                self._transport,
                self._enroller,
                Pace(clock=self.clock, sleep=asyncio.sleep, most=1, later=LATER),
                clock=self.clock,
                sleep=asyncio.sleep,
                jitter=random.random,
                patience=FOR_A_SCAN,
            )
        )

    @property
    def _enroller(self) -> Credential:
        from azure.identity.aio import AzureCliCredential

        from pat_core.azure_devops.credential import (
            BearerCredential,
            EntraCredential,
            PatCredential,
        )
        from pat_core.azure_devops.remedies import FOR_ENROLMENT, FOR_ENROLMENT_BY_PAT

        if self.settings.admin_token:
            return PatCredential(self.settings.admin_token, FOR_ENROLMENT_BY_PAT)
        if self.settings.bearer_token:
            return BearerCredential(self.settings.bearer_token, FOR_ENROLMENT)
        return EntraCredential(AzureCliCredential(), self.clock, FOR_ENROLMENT)

    @property
    def _organizations(self) -> dict[str, Organization]:
        return {each.name.lower(): each for each in self.settings.organizations}

    @cached_property
    def sign_in(self) -> SignIn | None:
        """What signs owners in, or None where that is not set up."""
        if self.administrators is None:
            return None
        from pat_core.web.sign_in import SignIn

        return SignIn(
            self.application or self._application,
            public_url=self.settings.public_url,
            tenant=self.settings.tenant_id,
            administrators=self.administrators,
        )

    @cached_property
    def administrators(self) -> Administrators | None:
        """What knows administrators, or None where signing in is not set up."""
        settings = self.settings
        if not (settings.public_url and settings.tenant_id and settings.client_id):
            return None
        from pat_core.web.administrators import ENTRA, Administrators

        return Administrators(
            self.clock,
            tenant=settings.tenant_id,
            client_id=settings.client_id,
            group=settings.admin_group,
            entra=self.entra or ENTRA,
        )

    def _application(self) -> Application:
        """MSAL's application, which proves itself by the managed identity or by its secret."""
        import msal
        from azure.identity import ManagedIdentityCredential

        from pat_core.web.administrators import ENTRA
        from pat_core.web.sign_in import forgetful

        def assertion() -> str:
            scope = "api://AzureADTokenExchange/.default"
            # On App Service this credential does not look for the variable by itself.
            identity = ManagedIdentityCredential(client_id=os.environ.get("AZURE_CLIENT_ID"))
            return str(identity.get_token(scope).token)

        secret = self.settings.client_secret
        made: Application = msal.ConfidentialClientApplication(
            self.settings.client_id,
            authority=f"{ENTRA}/{self.settings.tenant_id}",
            client_credential=secret.get_secret_value()
            if secret
            else {"client_assertion": assertion},
            exclude_scopes=["offline_access"],
            token_cache=forgetful(msal.TokenCache()),
        )
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection that was opened."""
        await self._closing.aclose()

    def _connected(self, kind: type[StorageClient], service: str) -> StorageClient:
        """A client of the storage account, closed at the end."""
        given, account = self.settings.storage_connection_string, self.settings.storage_account
        address = f"https://{account}.{service}.core.windows.net"
        proxied = has_proxies()
        client = (
            kind.from_connection_string(given.get_secret_value(), use_env_settings=proxied)
            if given
            else kind(address, credential=self._identity, use_env_settings=proxied)
        )
        self._closing.push_async_callback(client.close)
        return client

    @cached_property
    def _transport(self) -> httpx.AsyncBaseTransport:
        transport = http_transport(self.settings.max_concurrency)
        self._closing.push_async_callback(transport.aclose)
        return transport

    @property
    def has_storage(self) -> bool:
        """True where a storage account is set up."""
        return bool(self.settings.storage_account or self.settings.storage_connection_string)

    @cached_property
    def _identity(self) -> DefaultAzureCredential:
        from azure.identity.aio import DefaultAzureCredential

        identity = DefaultAzureCredential()
        self._closing.push_async_callback(identity.close)
        return identity

    @cached_property
    def _credential(self) -> Credential:
        from pat_core.azure_devops.credential import EntraCredential, PatCredential

        if self.settings.admin_token:
            return PatCredential(self.settings.admin_token)
        return EntraCredential(self._identity, self.clock)


_made: list[Services] = []


def services() -> Services:
    """What this process shares, made from the environment at the first call.

    Raises SettingsError, at each call until the settings are right.
    """
    if not _made:
        settings = load_settings()
        _check_for_azure(settings)
        _made.append(Services(settings))
    return _made[-1]


def _check_for_azure(settings: Settings) -> None:
    """Raise SettingsError for what a desk can do without and a service can't."""
    missing = []
    if not settings.organizations:
        missing.append("organizations")
    if not settings.storage_account and not settings.storage_connection_string:
        missing.append("storage_account")
    if missing:
        raise SettingsError([sentence(field, "is not set") for field in missing])


@asynccontextmanager
async def sharing(given: Services) -> AsyncIterator[Services]:
    """Let this process share these services instead, and close them at the end."""
    _made.append(given)
    try:
        async with given:
            yield given
    finally:
        _made.remove(given)


def http_transport(connections: int) -> httpx.AsyncBaseTransport:
    """An httpx transport over aiohttp: httpx' own slows down above 16 connections."""
    import aiohttp
    from httpx_aiohttp import AiohttpTransport

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=transport.ssl_context),
            # A cookie of one organization has no business with the next.
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=has_proxies(),
        )

    transport = AiohttpTransport(client=session)
    return transport


def has_proxies() -> bool:
    """True where the environment names a proxy. To look at each call costs more than the call."""
    from urllib.request import getproxies

    return bool(getproxies())
