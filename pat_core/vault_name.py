"""Replaced by what the vault brings."""

from __future__ import annotations


def secret_name(organization: str, display_name: str, line: str) -> str:
    """Replaced."""
    return organization + display_name + line
