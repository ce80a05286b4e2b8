"""Pages that show the outbox in a browser."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from pat_core.channels.card import unmarked
from pat_core.digest import date_and_time
from pat_core.local.outbox import Stored, read_stored, stored_names
from pat_core.summary import counted

MOST_LISTED: Final = 200
_PAGE: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'"
# A mail is somebody's text: it may neither run nor load, and leaves its frame by a new tab alone.
_MAIL: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; frame-ancestors 'self'"
)


def outbox_routes(folder: Path) -> list[Route]:
    """The pages of the mails in a folder: a list, and each mail as HTML, text and source."""

    async def listing(_: Request) -> Response:
        names = stored_names(folder)
        shown = [read_stored(folder, name, whole=False) for name in names[:MOST_LISTED]]
        total = counted(len(names), "message")
        hidden = len(names) > MOST_LISTED
        return _page("outbox.html", mails=list(filter(None, shown)), total=total, hidden=hidden)

    async def one(request: Request) -> Response:
        mail = read_stored(folder, request.path_params["name"])
        if mail is None:
            return _page("missing.html", status=404)
        if mail.is_card:
            return _page("card.html", mail=mail, unmarked=unmarked)
        return _page("mail.html", mail=mail, text=mail.part("plain"))

    async def part(request: Request) -> Response:
        mail = read_stored(folder, request.path_params["name"])
        known = mail and _parts(mail).get(request.path_params["part"])
        return known or _page("missing.html", status=404)

    async def home(_: Request) -> Response:
        return RedirectResponse("/outbox")

    return [
        Route("/", home),
        Route("/outbox", listing),
        Route("/outbox/{name}", one),
        Route("/outbox/{name}/{part}", part),
    ]


def _parts(mail: Stored) -> dict[str, Response]:
    source: dict[str, Response] = {
        "source": PlainTextResponse(mail.source, headers=_headers(_MAIL))
    }
    if mail.is_card:
        return source
    return source | {
        "html": HTMLResponse(mail.part("html"), headers=_headers(_MAIL)),
        "text": PlainTextResponse(mail.part("plain"), headers=_headers(_MAIL)),
    }


def _page(template: str, *, status: int = 200, **words: object) -> Response:
    html = _templates().get_template(template).render(sent_at=_sent_at, **words)
    return HTMLResponse(html, status, headers=_headers(_PAGE))


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _sent_at(name: str) -> str:
    return date_and_time(
        datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    )


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("pat_core.local"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
