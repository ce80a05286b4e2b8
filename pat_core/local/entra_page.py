"""The pages of the simulated Entra, and the ways back to the application."""

from __future__ import annotations

from functools import cache
from typing import Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pat_core.local.entra_codes import Asked
from pat_core.local.world import Person

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def led_to(address: str) -> Response:
    """On to an address, without letting it know from where."""
    return RedirectResponse(address, 303, _HEADERS)


def leading_back(asked: Asked, **words: str) -> str:
    """The address that leads back to the application with these words."""
    joint = "&" if "?" in asked.redirect_uri else "?"
    return f"{asked.redirect_uri}{joint}{urlencode(words | {'state': asked.state})}"


def back(asked: Asked, **words: str) -> Response:
    """Back to the application with these words."""
    return led_to(leading_back(asked, **words))


def page(
    status: int,
    *,
    choices: list[tuple[Person, str]] | None = None,
    cancel: str = "",
    fault: str = "",
) -> Response:
    """A page to pick somebody from, on what went wrong, or else on being signed out."""
    html = _template().render(choices=choices, cancel=cancel, fault=fault)
    return HTMLResponse(html, status, _HEADERS)


@cache
def _template() -> Template:
    return Environment(
        loader=PackageLoader("pat_core.local"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("sign_in.html")
