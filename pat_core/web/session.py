"""Sessions that only their cookie opens: it is the key, and the ledger holds the sealed rest.

Neither the cookie alone nor the ledger alone reveals the delegated token.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from pat_core.errors import Conflict
from pat_core.ports import Clock, Store
from pat_core.rows import Change, Row, Verb, key_time

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

COOKIE: Final = "__Host-pat-warden"
SESSIONS: Final = "sessions"
LIFETIME: Final = timedelta(minutes=15)
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_PARTITION: Final = "session"
_ATTRIBUTES: Final = "Path=/; Secure; HttpOnly; SameSite=Lax"


@dataclass(frozen=True, slots=True)
class Sessions:
    """Opens, reads and closes sessions; each is one row, and over after 15 minutes."""

    store: Store
    clock: Clock

    async def open(self, content: dict[str, Any]) -> str:
        """The Set-Cookie header of a new session. Raises LedgerUnavailable."""
        key, nonce = secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
        name = _name(key)
        until = key_time(self.clock() + LIFETIME)
        sealed = _cipher(key).encrypt(nonce, json.dumps(content).encode(), _bound(name, until))
        values = {"sealed": b64encode(nonce + sealed).decode(), "until": until}
        await self.store.write(SESSIONS, [Change(Verb.INSERT, Row(_PARTITION, name, values))])
        value = urlsafe_b64encode(key).decode().rstrip("=")
        return f"{COOKIE}={value}; Max-Age={int(LIFETIME.total_seconds())}; {_ATTRIBUTES}"

    async def read(self, cookies: str) -> dict[str, Any]:
        """What the session of a Cookie header holds; empty where there is none or it is over."""
        key = _key(cookies)
        row = await self.store.row(SESSIONS, _PARTITION, _name(key)) if key else None
        if row is None or str(row.values["until"]) <= key_time(self.clock()):
            return {}
        return _opened(key, row)

    async def close(self, cookies: str) -> str:
        """The Set-Cookie header that ends a session, whose row is deleted."""
        key = _key(cookies)
        row = await self.store.row(SESSIONS, _PARTITION, _name(key)) if key else None
        if row:
            await self._delete(row)
        return f"{COOKIE}=; Max-Age=0; {_ATTRIBUTES}"

    async def purge(self) -> None:
        """Delete the rows of sessions that are over. Raises LedgerUnavailable."""
        now = key_time(self.clock())
        async for row in self.store.rows(SESSIONS, _PARTITION):
            if str(row.values["until"]) <= now:
                await self._delete(row)

    async def _delete(self, row: Row) -> None:
        # A row is written once, so that a conflict means that it is gone already.
        with suppress(Conflict):
            await self.store.write(SESSIONS, [Change(Verb.DELETE, row)])


def _opened(key: bytes, row: Row) -> dict[str, Any]:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as for the cipher

    raw = b64decode(str(row.values["sealed"]))
    try:
        bound = _bound(row.key, str(row.values["until"]))
        opened = _cipher(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound)
    except InvalidTag:
        return {}
    content: dict[str, Any] = json.loads(opened)
    return content


def _bound(name: str, until: str) -> bytes:
    """What the seal holds beside the content: nobody moves it, or makes it last longer."""
    return f"{name}|{until}".encode()


def _cipher(key: bytes) -> AESGCM:
    # Whoever follows a link has no session yet, and waits for a process to start.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - said above

    return AESGCM(key)


def _name(key: bytes) -> str:
    """What the row is called: nobody finds the key from it."""
    return sha256(b"session" + key).hexdigest()


def _key(cookies: str) -> bytes:
    """The key in a Cookie header; empty where there is none, or where two differ.

    Browsers hold one cookie of a `__Host-` name, so that of two one was slipped in by somebody.
    """
    named = f"{COOKIE}="
    # A whole-header parser stops at what other hosts of the domain set, and ours would be lost.
    # As browsers do, no other space is left out: a name behind one is not protected by `__Host-`.
    parts = (part.strip(" \t") for part in cookies.split(";"))
    found = {part.removeprefix(named) for part in parts if part.startswith(named)}
    try:
        key = urlsafe_b64decode(found.pop() + "=") if len(found) == 1 else b""
    except ValueError:
        return b""
    return key if len(key) == _KEY_BYTES else b""
