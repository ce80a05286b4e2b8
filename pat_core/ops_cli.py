"""The commands by which those who run the service set it up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import quote
from uuid import UUID

import typer

from pat_core import console
from pat_core import owner_console as shown
from pat_core.arguments import run_to_end, settings_for
from pat_core.audit import AuditEntry, audit_json, audit_line
from pat_core.bootstrap import Services
from pat_core.errors import (
    ExitStatus,
    NotPermitted,
    NotSignedIn,
    RequestRefused,
    SettingsError,
)
from pat_core.joining import GROUP, Joining
from pat_core.model import Organization
from pat_core.settings import Settings

app: Final = typer.Typer()
_BY_HAND: Final = """
By hand, as one of the {group} of {name}:
  1. Organization settings > Users > Add users ({settings}/users)
     Users or Service Principals: the identity's name (its object id is {object_id})
     Access level: Basic
     Add
  2. Organization settings > Permissions ({settings}/groups)
     {group} > Members > Add > the same name > Save
"""
_EXAMPLE: Final = "--identity 92e26ce8-8e7c-4555-bdab-813b34b8e53a"


@app.command()
def join(
    organization: Annotated[str, typer.Option("--organization", "-o", help="The organization.")],
    identity: Annotated[
        str,
        typer.Option(metavar="OBJECT_ID", help="The managed identity's object (principal) id."),
    ],
    wait: Annotated[
        int, typer.Option(help="Seconds to wait for an identity that is new.", min=0, max=900)
    ] = 120,
) -> None:
    """Put the service's identity into an organization and its administrators; safe to repeat."""
    object_id = _object_id(identity)
    settings = settings_for([organization])
    place = settings.organizations[0]
    try:
        changed = run_to_end(_join(settings, place, object_id, wait))
    except (NotSignedIn, NotPermitted, RequestRefused) as refused:
        console.show_error(refused)
        console.show_beside(_by_hand(place, object_id))
        raise typer.Exit(ExitStatus.NOT_PERMITTED) from None
    if not changed:
        console.say("Nothing had to be changed.")
    console.show_next(f"python -m pat_core doctor -o {place.name} tries what scans need.")


@app.command()
def audit(
    organization: Annotated[str, typer.Option("--organization", "-o", help="The organization.")],
    days: Annotated[int, typer.Option(help="How many days back.", min=1, max=3650)] = 30,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON each.")] = False,
) -> None:
    """Print who did what to which token, and which settings changed; the oldest first."""
    settings = settings_for([organization])
    entries = run_to_end(_entries(settings, settings.organizations[0], days))
    for entry in entries:
        shown.put(audit_json(entry) if as_json else audit_line(entry))
    if not entries:
        shown.say(f"Nobody did anything to a token of {organization} in {days} days.")


async def _entries(settings: Settings, place: Organization, days: int) -> list[AuditEntry]:
    async with Services(settings) as services:
        since = services.clock() - timedelta(days=days)
        found = [
            entry
            for name in (place.name, "")
            async for entry in services.trail.entries(name, since)
        ]
        return sorted(found, key=lambda entry: entry.at)


async def _join(settings: Settings, place: Organization, object_id: str, wait: float) -> bool:
    async with Services(settings) as services:
        joining = Joining(services.enrolment, place, object_id, asyncio.sleep, console.say)
        return await joining.join(wait)


def _object_id(text: str) -> str:
    """The id as Azure DevOps writes it. Raises SettingsError for what is none."""
    try:
        return str(UUID(text.strip()))
    except ValueError:
        fault = f"--identity: {text!r} is not an object id, as `az identity show` calls principalId"
        raise SettingsError([f"{fault}. Example: {_EXAMPLE}"]) from None


def _by_hand(place: Organization, object_id: str) -> str:
    """The clicks that do the same."""
    settings = f"https://dev.azure.com/{quote(place.name, safe='')}/_settings"
    return _BY_HAND.format(
        group=GROUP, name=place.name, settings=settings, object_id=object_id
    ).strip()
