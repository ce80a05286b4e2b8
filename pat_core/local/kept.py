"""Writes what the embedded organization keeps between runs."""

from __future__ import annotations

from pathlib import Path

from pat_core.errors import SettingsError


def keep(path: Path, text: str) -> None:
    """Put a text in a file, all of it or nothing. Raises SettingsError where that cannot be."""
    draft = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as fault:
        raise SettingsError(
            [f"{path} cannot be written ({fault.strerror}). PAT_LOCAL_DIR names another folder."]
        ) from None
