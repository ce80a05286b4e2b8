"""What is asked of the simulated Entra's sign-in page, and the codes that it gives."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Final

from pydantic import BaseModel

from pat_core.local.world import Person
from pat_core.ports import Clock

CODE_LIFETIME: Final = timedelta(minutes=5)
CANCEL: Final = "nobody"
_JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Registration:
    """An application that may ask: it proves itself by a secret, or an assertion if it has one."""

    client_id: str
    secret: str
    redirects: Callable[[str], bool]
    assertion: str = ""

    def fault(self, asked: Asked) -> str:
        """A sentence on why nobody is led back to where it was asked, or ""."""
        if asked.client_id != self.client_id:
            return "AADSTS700016: The application is not registered here."
        if not self.redirects(asked.redirect_uri):
            return "AADSTS50011: The redirect_uri is not registered."
        return ""

    def proves(self, form: Form) -> bool:
        """True where a request for a token comes from this application."""
        if form.client_id != self.client_id:
            return False
        if form.client_assertion_type == _JWT_BEARER:
            return _same(self.assertion, form.client_assertion)
        return _same(self.secret, form.client_secret)


class Asked(BaseModel):
    """The query of the sign-in page."""

    client_id: str = ""
    redirect_uri: str = ""
    response_type: str = ""
    response_mode: str = "query"
    scope: str = ""
    state: str = ""
    nonce: str = ""
    code_challenge: str = ""
    code_challenge_method: str = ""
    login_hint: str = ""
    pick: str = ""

    @property
    def is_cancelled(self) -> bool:
        """True where nobody is to be signed in."""
        return self.pick == CANCEL

    @property
    def fault(self) -> str:
        """A sentence on what is missing, or ""."""
        wanted = {
            "response_type": ["code"],
            "response_mode": ["query", "form_post"],
            "code_challenge_method": ["S256"],
        }
        for name, values in wanted.items():
            if getattr(self, name) not in values:
                return f"{name} must be {' or '.join(values)}."
        missing = [name for name in ("state", "nonce", "code_challenge") if not getattr(self, name)]
        return f"{missing[0]} is missing." if missing else ""


class Form(BaseModel):
    """What an application brings to get tokens."""

    grant_type: str = ""
    client_id: str = ""
    client_secret: str = ""
    client_assertion_type: str = ""
    client_assertion: str = ""
    code: str = ""
    code_verifier: str = ""
    redirect_uri: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code stands for, until a time."""

    person: Person
    asked: Asked
    until: datetime

    def fault(self, form: Form, now: datetime) -> str:
        """A sentence on why the code gives no tokens, or ""."""
        if now >= self.until:
            return "AADSTS70008: The code has expired."
        if form.redirect_uri != self.asked.redirect_uri:
            return "AADSTS500112: The redirect_uri is not that of the code."
        digest = sha256(form.code_verifier.encode()).digest()
        challenge = urlsafe_b64encode(digest).decode().rstrip("=")
        if not _same(self.asked.code_challenge, challenge):
            return "AADSTS501481: The code_verifier does not match the code_challenge."
        return ""


class Codes:
    """The codes that were given and not yet brought back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._grants: dict[str, Grant] = {}

    def give(self, person: Person, asked: Asked) -> str:
        """A code for a person who signed in."""
        code = token_urlsafe(32)
        self._grants[code] = Grant(person, asked, self._clock() + CODE_LIFETIME)
        return code

    def take(self, form: Form) -> tuple[Grant | None, str]:
        """What a code stands for, or a sentence on why there is nothing. No code works twice."""
        grant = self._grants.pop(form.code, None)
        if grant is None:
            return None, "AADSTS54005: The code is unknown or was used before."
        fault = grant.fault(form, self._clock())
        return (None, fault) if fault else (grant, "")


def _same(wanted: str, given: str) -> bool:
    return bool(wanted) and compare_digest(wanted.encode(), given.encode())
