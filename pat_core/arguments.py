"""What the commands share: settings by arguments, times and durations, running to the end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import typer

from pat_core import console
from pat_core.errors import SettingsError
from pat_core.model import Organization
from pat_core.settings import EXAMPLES, Settings, load_settings, parse_organizations

ENV_FILE: Final = Path(".env")
INTERRUPTED: Final = 130
_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2999
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1)}
Answer = TypeVar("Answer")


def run_to_end(work: Coroutine[Any, Any, Answer]) -> Answer:
    """What the work gives; Ctrl+C ends the command in words."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        console.ERR.print("Stopped. Nothing is lost: the same command goes on from here.")
        raise typer.Exit(INTERRUPTED) from None


def settings_for(names: list[str] | None) -> Settings:
    """The settings; organizations named as arguments go before those of the environment.

    Raises SettingsError.
    """
    settings = load_settings(ENV_FILE)
    known = {organization.name.lower(): organization for organization in settings.organizations}
    if names:
        chosen = tuple(known.get(name.lower()) or _organization(name) for name in names)
        return settings.model_copy(update={"organizations": tuple(dict.fromkeys(chosen))})
    if not known:
        example = EXAMPLES["organizations"]
        fault = f"PAT_ORGANIZATIONS: no organization is named. Example: PAT_ORGANIZATIONS={example}"
        raise SettingsError([f"{fault}, or --organization contoso"])
    return settings


def time_of(text: str) -> datetime:
    """The moment that `--now` names, aware UTC. Raises SettingsError."""
    try:
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        fault = f"--now: {text!r} is no time. Example: --now 2026-12-24T08:00:00Z"
        raise SettingsError([fault]) from None
    if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        # Far from these there is no time left for a token to begin, or to end.
        fault = f"--now: {text!r} is not from {_FIRST_YEAR} to {_LAST_YEAR}"
        raise SettingsError([f"{fault}. Example: --now 2026-12-24T08:00:00Z"])
    return time


def duration(option: str, text: str, least: timedelta, most: timedelta) -> timedelta:
    """The duration that `24h`, `7d` or `0` names. Raises SettingsError outside of the bounds."""
    found = re.fullmatch(r"(\d{1,5})([hd]?)", text.strip())
    if found and (found[2] or found[1] == "0"):
        length = int(found[1]) * _UNITS.get(found[2], timedelta())
        if least <= length <= most:
            return length
    bounds = f"from {_short(least)} to {_short(most)}"
    raise SettingsError(
        [f"{option}: {text!r} is no time {bounds}. Example: {option} {_short(most)}"]
    )


def _short(length: timedelta) -> str:
    return f"{length.days}d" if length else "0"


def _organization(name: str) -> Organization:
    try:
        (organization,) = parse_organizations(name)
    except ValueError as fault:
        raise SettingsError([f"--organization: {fault}. Example: --organization contoso"]) from None
    return organization
