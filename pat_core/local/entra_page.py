"""The pages of the simulated Entra, and the ways back to the application."""

from __future__ import annotations

from functools import cache
from typing import Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pat_core.local.entra_codes import Asked

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


def back(asked: Asked, **words: str) -> Response:
    """Back to the application with these words, by a redirect or a form as it wished."""
    words |= {"state": asked.state}
    if asked.response_mode == "form_post":
        return page(200, "sign_in_done.html", where=asked.redirect_uri, words=words)
    joint = "&" if "?" in asked.redirect_uri else "?"
    return led_to(f"{asked.redirect_uri}{joint}{urlencode(words)}")


def page(status: int, template: str, **words: object) -> Response:
    """A page made from a template."""
    return HTMLResponse(_templates().get_template(template).render(**words), status, _HEADERS)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("pat_core.local"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
