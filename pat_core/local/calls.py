"""A call to the simulated Azure DevOps: who makes it and what it brings."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pat_core.local.world import Person

_MARK: Final = "+/=="


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call: the service where `person` is None, else a person, by Entra or a PAT."""

    person: Person | None = None
    by_pat: bool = False


SERVICE: Final = Caller()


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was let in."""

    request: Request
    caller: Caller
    body: bytes = b""


Answer = Callable[[Call], Response]


def credential(request: Request) -> tuple[str, str]:
    """How a call is signed, `Basic` or `Bearer`, and with which password or token; "" for none."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind == "Basic":
        try:
            value = b64decode(value).decode(errors="replace").partition(":")[2]
        except NotBase64:
            return kind, ""
    return kind, value


def error(status: int, message: str) -> Response:
    """A refusal as Azure DevOps words it."""
    return JSONResponse({"$id": "1", "message": message, "errorCode": 0}, status)


def page_mark(start: int) -> str:
    """The continuation token of the page that begins there.

    The real ones hold characters that get lost where they are not quoted.
    """
    return f"{start}{_MARK}"


def page_start(token: str) -> int | None:
    """Where the page of a continuation token begins, 0 for none, or None for a wrong one."""
    number = token.removesuffix(_MARK)
    if not token:
        return 0
    return int(number) if token.endswith(_MARK) and number.isdecimal() else None
