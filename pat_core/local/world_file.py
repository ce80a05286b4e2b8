"""Where the embedded world is kept between runs: what it follows from, a few words of JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pat_core.errors import SettingsError
from pat_core.local.kept import keep
from pat_core.local.world import USERS, World

_VERSION: Final = 1


def load_world(path: Path, *, users: int, now: datetime) -> World:
    """The world kept in a file, or a new one born `now`, which is then kept there.

    `users` of 0 means as many as there were. Raises SettingsError for a file that holds no world.
    """
    kept = _read(path)
    world = kept or World(now, USERS)
    world = replace(world, users=users or world.users)
    if world != kept:
        _write(path, world)
    return world


def _read(path: Path) -> World | None:
    try:
        return _parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise SettingsError(
            [f"{path} holds no embedded world ({fault}). Delete the file to begin anew."]
        ) from None


def _parse(text: str) -> World:
    kept = json.loads(text)
    if kept["version"] != _VERSION:
        raise ValueError(f"version {kept['version']}")
    born = datetime.fromisoformat(kept["born"]).astimezone(UTC)
    return World(born, int(kept["users"]), int(kept["seed"]), str(kept["organization"]))


def _write(path: Path, world: World) -> None:
    kept = {
        "version": _VERSION,
        "organization": world.organization,
        "seed": world.seed,
        "users": world.users,
        "born": world.born.isoformat(),
    }
    keep(path, json.dumps(kept, indent=1))
