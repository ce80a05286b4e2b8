"""Which address a user can be reached at. Pure."""

from __future__ import annotations

import re
from typing import Final

_ADDRESS: Final = re.compile(
    r"[^\s@<>()\[\]\\,;:\"#]+@[^\s@<>()\[\]\\,;:\"#.]+(\.[^\s@<>()\[\]\\,;:\"#.]+)+"
)
_LONGEST: Final = 254


def usable_address(*candidates: str | None) -> str:
    r"""The first candidate that mail can be sent to, in lower case, or "".

    Azure DevOps gives a `mailAddress` that may be empty and a `principalName` that may be no
    address (`DOMAIN\user`); a guest's principal name (`…#EXT#@…`) is one in form only.
    """
    for candidate in candidates:
        address = (candidate or "").strip()
        if len(address) <= _LONGEST and _ADDRESS.fullmatch(address) and address.isprintable():
            return address.lower()
    return ""
