"""What a token's secret is called in Key Vault."""

from __future__ import annotations

import re
from base64 import b32encode
from hashlib import blake2b
from typing import Final
from unicodedata import combining, normalize

LONGEST: Final = 127
"""How many characters Key Vault takes for a name."""
_LONGEST_ORGANIZATION: Final = 50
_MARK: Final = 6
_STRANGE: Final = re.compile(r"[^0-9a-z]+")


def secret_name(organization: str, display_name: str, line: str) -> str:
    """The one name for a token and all that replace it; `line` is any text that tells them apart.

    It has only what Key Vault takes, and people find it by the token's name.
    """
    head = f"pat-{_slug(organization, 'organization', _LONGEST_ORGANIZATION)}-"
    slug = _slug(display_name, "token", LONGEST - len(head) - 1 - _MARK)
    return f"{head}{slug}-{_mark(f'{organization}|{line}')}"


def _slug(text: str, otherwise: str, longest: int) -> str:
    # Key Vault takes "CI" and "ci" for the same name, so there is no difference to keep.
    parts = normalize("NFKD", text.lower())
    plain = "".join(part for part in parts if not combining(part))
    return _STRANGE.sub("-", plain).strip("-")[:longest].rstrip("-") or otherwise


def _mark(text: str) -> str:
    # A name may hold half a surrogate pair, which no strict encoding takes.
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=5).digest()
    return b32encode(digest).decode().lower()[:_MARK]
