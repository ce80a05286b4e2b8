"""Azure DevOps and Entra of the embedded organization, served together on one loopback address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from pydantic import SecretStr
from starlette.applications import Starlette

from pat_core.local.changes import Changes
from pat_core.local.entra import AUTHORITY, Entra
from pat_core.local.entra_codes import Registration
from pat_core.local.msal_http import MsalHttp
from pat_core.local.policies import Policies
from pat_core.local.serving import serving
from pat_core.local.shapes import TENANT
from pat_core.local.simulator import Fault, Simulator, simulator_routes
from pat_core.local.world import World
from pat_core.model import Organization
from pat_core.ports import Clock

CLIENT_ID: Final = "6b3f0a52-6c1e-4d0b-9a57-0c2b8f3f7a11"


@dataclass(frozen=True, slots=True)
class Estate:
    """What is served, and what leads to it.

    `secret` is the service's own for Azure DevOps; `client_secret` or `client_assertion` prove the
    application to Entra, and MSAL gets there with `msal_http`.
    """

    address: str
    simulator: Simulator
    entra: Entra
    secret: SecretStr
    msal_http: MsalHttp
    authority: str = AUTHORITY
    tenant: str = TENANT
    client_id: str = CLIENT_ID

    @property
    def organization(self) -> Organization:
        """The organization, with the address that it has here."""
        name = self.simulator.world.organization
        return Organization(name, f"{self.address}/{name}")

    @property
    def changes(self) -> Changes:
        """The tokens as they are now."""
        return self.simulator.changes

    @property
    def client_secret(self) -> SecretStr:
        """What proves the application as its client secret."""
        return SecretStr(self.entra.application.secret)

    @property
    def client_assertion(self) -> SecretStr:
        """What proves the application as a managed identity's assertion would."""
        return SecretStr(self.entra.application.assertion)


@asynccontextmanager
async def serving_estate(
    world: World,
    clock: Clock,
    *,
    redirects: Callable[[str], bool],
    changes_path: Path | None = None,
    policies: Policies | None = None,
    throttle_every: int = 0,
    fault: Fault = lambda _: None,
    port: int = 0,
) -> AsyncIterator[Estate]:
    """An estate that is served as long as the context; all its secrets are new.

    `redirects` tells which addresses one may be led back to. Raises SettingsError.
    """
    secret, client_secret, assertion = (token_urlsafe() for _ in range(3))
    changes = Changes(world, clock, changes_path)
    entra = Entra(changes, clock, Registration(CLIENT_ID, client_secret, redirects, assertion))
    simulator = Simulator(
        world,
        secret=secret,
        throttle_every=throttle_every,
        fault=fault,
        changes=changes,
        policies=policies,
        signed_in=entra.tokens.person_of,
    )
    app = Starlette(routes=[*entra.routes(), *simulator_routes(simulator)])
    async with serving(app, port=port) as address:
        http = MsalHttp(address)
        try:
            yield Estate(address, simulator, entra, SecretStr(secret), http)
        finally:
            http.close()
