"""Requests and responses of the pages, whoever serves them. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import SecretStr

from pat_core.bodies import MOST_BYTES, Body, ProblemDetails
from pat_core.views import Problem

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_NO_PAGE: Final = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
}
_HTML: Final = "text/html; charset=utf-8"
_KINDS: Final = {
    "style.css": "text/css; charset=utf-8",
    "copy.js": "text/javascript; charset=utf-8",
    "once.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
JSON: Final = "application/json"
LINES: Final = "application/jsonl"
PROBLEM: Final = "application/problem+json"
"""How problem details are sent (RFC 9457)."""


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One request; the keys of `headers` are lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def cookies(self) -> str:
        """The Cookie header."""
        return self.headers.get("cookie", "")

    @property
    def bearer(self) -> SecretStr | None:
        """The caller's own token, or None where a session is meant."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return SecretStr(token.strip()) if kind.lower() == "bearer" and token.strip() else None

    @property
    def is_of_browser(self) -> bool:
        """True where a cookie, or what browsers say of where they come from, goes with it."""
        return any(self.headers.get(each) for each in ("cookie", "sec-fetch-site", "origin"))

    @property
    def content(self) -> bytes:
        """The body. Raises ValueError where it is larger than anything we ask for."""
        if len(self.body) > MOST_BYTES:
            raise ValueError("the body is too large")
        return self.body

    @property
    def fields(self) -> dict[str, str]:
        """What the form in the body says. Raises ValueError."""
        return dict(parse_qsl(self.content.decode()))

    @property
    def is_from_elsewhere(self) -> bool:
        """True where a browser says that a page of another origin led here."""
        return self.headers.get("sec-fetch-site") in ("cross-site", "same-site")

    def is_same_origin(self, public_url: str) -> bool:
        """True where the browser says that a page of ours sent this, or by Origin where it is mute.

        Source: the Fetch Metadata request headers.
        """
        site = self.headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        ours = urlsplit(public_url)
        return self.headers.get("origin") == f"{ours.scheme}://{ours.netloc}"


@dataclass(frozen=True, slots=True)
class WebResponse:
    """One response."""

    status: int
    body: str | bytes = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = _HTML

    @property
    def all_headers(self) -> dict[str, str]:
        """Its headers, and those that guard every answer of its kind."""
        return {**guards(self.kind), **self.headers}


def guards(kind: str) -> dict[str, str]:
    """The headers that guard an answer of a media type: what is no page may load nothing."""
    is_page = kind.startswith("text/html")
    return HEADERS if is_page else {**HEADERS, "Content-Security-Policy": _NO_PAGE}


def to(place: str, cookie: str = "") -> WebResponse:
    """The response that leads the browser on, with a Set-Cookie header where there is one."""
    headers = {"Location": place} | ({"Set-Cookie": cookie} if cookie else {})
    return WebResponse(HTTPStatus.SEE_OTHER, headers=headers)


def to_sign_in(request: WebRequest) -> WebResponse:
    """The response that leads to signing in, and after it to the page that was asked for."""
    return to(f"/sign-in?{urlencode({'next': _landing(request)})}")


def _landing(request: WebRequest) -> str:
    # Never an act: its token's page is where it can be asked for again.
    if request.method != "GET":
        return request.path.rpartition("/")[0]
    return f"{request.path}?{urlencode(request.query)}" if request.query else request.path


def as_json(status: int, body: Body, kind: str = JSON) -> WebResponse:
    """A JSON object."""
    return WebResponse(status, json.dumps(body.model_dump()), kind=kind)


def as_problem(problem: Problem) -> WebResponse:
    """What went wrong, for programs (RFC 9457)."""
    body = ProblemDetails(
        type="about:blank",
        title=problem.title,
        status=problem.status,
        detail=f"{problem.detail} {problem.remedy}".strip(),
    )
    needed = {"WWW-Authenticate": "Bearer"} if problem.status == HTTPStatus.UNAUTHORIZED else {}
    return replace(as_json(problem.status, body, PROBLEM), headers=needed)


def static(name: str) -> WebResponse:
    """A file of the pages, or 404."""
    if name not in _KINDS:
        return WebResponse(HTTPStatus.NOT_FOUND, kind="text/plain; charset=utf-8")
    headers = {"Cache-Control": "public, max-age=3600"}
    return WebResponse(HTTPStatus.OK, _read(name), headers, _KINDS[name])


@cache
def _read(name: str) -> str:
    return (files("pat_core.web") / "static" / name).read_text(encoding="utf-8")
