"""A small fixed cast, and makers of what tests need again and again."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pat_core.expiry import DEFAULT_WINDOWS_DAYS, current_window
from pat_core.model import EXPIRED, Notice, Owner, Token
from pat_core.records import as_notice
from tests.fakes import NOW

ANA: Final = Owner("contoso", "aad.ana", "Ana Almeida", "ana@contoso.example")
BO: Final = Owner("contoso", "aad.bo", "Bo Bakker", "bo@contoso.example")
MUTE: Final = Owner("contoso", "aad.mute", "No Address", "")
HOSTILE_NAMES: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "left\u202etfel\u2066",
    "x" * 500,
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "line\r\nBcc: everyone@contoso.example",
    "{{ 7 * 7 }}",
    "nul\x00\x1b[31m",
)


def a_token(
    name: str = "ci",
    days: float = 5,
    *,
    lifetime: float = 90,
    is_valid: bool = True,
    scope: str = "vso.code",
) -> Token:
    """A token that expires so many days from now."""
    end = NOW + timedelta(days=days)
    return Token(name, name, scope, end - timedelta(days=lifetime), end, is_valid)


def a_notice(
    name: str = "ci", days: float = 5, *, owner: Owner = ANA, scope: str = "vso.code"
) -> Notice:
    """The notice that is due for such a token."""
    token = a_token(name, days, scope=scope)
    window = current_window(token, NOW, DEFAULT_WINDOWS_DAYS)
    return as_notice(owner, token, EXPIRED if window is None else window)
