"""What the commands for owners show: tables and sentences for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime

from rich.markup import escape
from rich.table import Table

from pat_core.console import ERR, OUT
from pat_core.digest import date_and_time, distance, shown_name
from pat_core.expiry import effective_expiry
from pat_core.model import Token
from pat_core.renewal import Settled
from pat_core.rotation import Rotated
from pat_core.rotations import RotationState


def show_tokens(tokens: Sequence[Token], now: datetime) -> None:
    """Print a row for each token."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    # The id is there to be copied, so it is never broken.
    for column, is_whole in (("id", True), ("expires", True), ("token", False)):
        table.add_column(column, overflow="fold", no_wrap=is_whole)
    for token in tokens:
        ends = effective_expiry(token)
        when = f"{ends:%Y-%m-%d}, {distance(ends, now)}" if token.is_valid else "revoked"
        table.add_row(token.authorization_id, when, escape(shown_name(token.display_name)))
    OUT.print(table)


def tokens_json(organization: str, tokens: Sequence[Token]) -> str:
    """The one JSON object of `tokens --json`."""
    found = [_token_json(token) for token in tokens]
    return json.dumps({"organization": organization, "tokens": found})


def token_json(token: Token) -> str:
    """One token as JSON."""
    return json.dumps(_token_json(token))


def _token_json(token: Token) -> dict[str, object]:
    return {
        "authorization_id": token.authorization_id,
        "display_name": token.display_name,
        "scope": token.scope,
        "valid_from": token.valid_from.isoformat(),
        "valid_to": effective_expiry(token).isoformat(),
        "is_global": token.is_global,
        "is_valid": token.is_valid,
    }


def rotated_json(old: Token, done: Rotated, old_ends_at: datetime) -> str:
    """The line of JSON for one rotation, the secret in it where there is one to print."""
    rotation = done.rotation
    body: dict[str, object] = {
        "replaced": old.authorization_id,
        "display_name": old.display_name,
        "authorization_id": rotation.new_id,
        "valid_to": rotation.new_valid_to and rotation.new_valid_to.isoformat(),
        "old_revoked_at": old_ends_at.isoformat(),
    }
    if done.secret:
        body["secret"] = done.secret.get_secret_value()
    elif rotation.vault_version:
        body["vault_secret"] = {"name": rotation.vault_name, "version": rotation.vault_version}
    return json.dumps(body)


def show_settled(old: Token, settled: Settled) -> None:
    """Say on standard error what came of a rotation; standard output is for what was made."""
    rotation, name = settled.rotation, shown_name(old.display_name)
    until = f" until {date_and_time(rotation.new_valid_to)}" if rotation.new_valid_to else ""
    say(f"{name}: the new token lives{until}; its id is {rotation.new_id}.")
    if rotation.vault_version:
        say(f"  It is in the Key Vault as {rotation.vault_name}.")
    say(f"  The old one works until {date_and_time(settled.old_ends_at)}.")
    if old.is_global and rotation.state is RotationState.SUPERSEDED:
        say(
            "  It is global, so its end cannot be moved. The next `rotate` after the overlap "
            "revokes it in every organization. To do that now: "
            f"revoke --id {old.authorization_id}"
        )


def say(text: str) -> None:
    """Print a line on standard error."""
    ERR.print(escape(text), highlight=False, soft_wrap=True)


def put(line: str) -> bool:
    """Print a line on standard output; false where nobody took it."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except OSError:
        # What is left in the buffer would fail once more when the program ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
