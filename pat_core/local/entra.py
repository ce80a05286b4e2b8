"""A Microsoft Entra on loopback, where one signs in as anybody of the embedded organization."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from itertools import islice
from secrets import token_urlsafe
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pat_core.azure_devops.wire import RESOURCE
from pat_core.local.changes import Changes
from pat_core.local.entra_codes import CANCEL, Asked, Codes, Form, Registration
from pat_core.local.entra_page import back, led_to, page
from pat_core.local.entra_tokens import ISSUER, LIFETIME, EntraTokens
from pat_core.local.shapes import TENANT, object_id
from pat_core.local.world import ADMINISTRATOR, Person, Trait, people
from pat_core.ports import Clock

AUTHORITY: Final = f"https://login.microsoftonline.com/{TENANT}"
OFFERED: Final = 6
_LOOKED_AT: Final = 200


class Entra:
    """The v2.0 endpoints of one tenant with one application."""

    def __init__(self, changes: Changes, clock: Clock, application: Registration) -> None:
        self.application = application
        self.tokens = EntraTokens(changes.world, clock)
        self._changes = changes
        self._clock = clock
        self._codes = Codes(clock)

    def token_for(self, person: Person) -> str:
        """A bearer token with which a person may manage their own PATs, for an hour."""
        scope = f"{RESOURCE}/vso.pats {RESOURCE}/vso.pats_manage"
        return self.tokens.access_token(person, scope, self.application.client_id)

    def discovery(self, request: Request) -> Response:
        """Where everything is: what a browser opens is on loopback, the rest as MSAL wants it."""
        here = f"{str(request.base_url).rstrip('/')}/{TENANT}/oauth2/v2.0"
        return JSONResponse(
            {
                "issuer": ISSUER,
                "authorization_endpoint": f"{here}/authorize",
                "jwks_uri": f"{AUTHORITY}/discovery/v2.0/keys",
                "token_endpoint": f"{AUTHORITY}/oauth2/v2.0/token",
                "end_session_endpoint": f"{here}/logout",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    def authorize(self, request: Request) -> Response:
        """The sign-in page, or back to the application where somebody was picked."""
        asked = Asked.model_validate(dict(request.query_params))
        if fault := self.application.fault(asked):
            # An address that is not registered is never led to, not even with an error.
            return page(400, "sign_in_failed.html", fault=fault)
        if asked.fault:
            return back(asked, error="invalid_request", error_description=asked.fault)
        return self._sign_in(asked) if asked.pick else self._choice(asked)

    def token(self, form: Form) -> Response:
        """Tokens for a code."""
        if form.grant_type not in ("authorization_code", "client_credentials"):
            return _refused("unsupported_grant_type", "AADSTS70003: This grant is not taken here.")
        if not self.application.proves(form):
            return _refused("invalid_client", "AADSTS7000215: The client is not proven.", 401)
        if form.grant_type == "client_credentials":
            return self._own_token()
        grant, fault = self._codes.take(form)
        if grant is None:
            return _refused("invalid_grant", fault)
        person, asked = grant.person, grant.asked
        body = {
            "token_type": "Bearer",
            "scope": asked.scope,
            "expires_in": int(LIFETIME.total_seconds()),
            "access_token": self.tokens.access_token(person, asked.scope, form.client_id),
            "id_token": self.tokens.id_token(person, form.client_id, asked.nonce),
            "client_info": _client_info(person),
        }
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    def _own_token(self) -> Response:
        # It is nobody's: Azure DevOps gives no tokens of its own to an application.
        seconds = int(LIFETIME.total_seconds())
        body = {"token_type": "Bearer", "expires_in": seconds, "access_token": token_urlsafe()}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    def logout(self, request: Request) -> Response:
        """Back to the application, or a page that says that one is signed out."""
        where = request.query_params.get("post_logout_redirect_uri", "")
        if where and self.application.redirects(where):
            return led_to(where)
        return page(200, "signed_out.html")

    def routes(self) -> list[Route]:
        """The endpoints."""

        async def token(request: Request) -> Response:
            fields = parse_qsl((await request.body()).decode(errors="replace"))
            return self.token(Form.model_validate(dict(fields)))

        async def discovery(request: Request) -> Response:
            return self.discovery(request)

        async def instance(_: Request) -> Response:
            # MSAL asks for other names of the host before it looks into its cache.
            return JSONResponse({"metadata": []})

        async def keys(_: Request) -> Response:
            return JSONResponse(self.tokens.keys())

        async def authorize(request: Request) -> Response:
            return self.authorize(request)

        async def logout(request: Request) -> Response:
            return self.logout(request)

        return [
            Route("/common/discovery/instance", instance),
            Route(f"/{TENANT}/v2.0/.well-known/openid-configuration", discovery),
            Route(f"/{TENANT}/discovery/v2.0/keys", keys),
            Route(f"/{TENANT}/oauth2/v2.0/authorize", authorize),
            Route(f"/{TENANT}/oauth2/v2.0/token", token, methods=["POST"]),
            Route(f"/{TENANT}/oauth2/v2.0/logout", logout),
        ]

    def _sign_in(self, asked: Asked) -> Response:
        if asked.is_cancelled:
            return back(asked, error="access_denied", error_description="It was cancelled.")
        person = self._changes.world.find(asked.pick)
        if person is None or not _may_sign_in(person):
            fault = "AADSTS50034: There is no such user."
            return page(400, "sign_in_failed.html", fault=fault)
        return back(asked, code=self._codes.give(person, asked))

    def _choice(self, asked: Asked) -> Response:
        query = asked.model_dump(exclude={"pick"}, exclude_defaults=True)

        def picking(whom: str) -> str:
            return f"?{urlencode(query | {'pick': whom})}"

        offered = self._offered(asked.login_hint)
        choices = [(person, picking(person.descriptor)) for person in offered]
        return page(
            200,
            "sign_in.html",
            choices=choices,
            cancel=picking(CANCEL),
            administrator=ADMINISTRATOR,
        )

    def _offered(self, hint: str) -> list[Person]:
        hinted = self._changes.world.named(hint) if hint else None
        first = [hinted] if hinted and _may_sign_in(hinted) else []
        return first + [each for each in islice(self._owners(), OFFERED) if each != hinted]

    def _owners(self) -> Iterator[Person]:
        now = self._clock()
        for person in people(self._changes.world, 0, _LOOKED_AT):
            tokens = self._changes.tokens(person)
            if _may_sign_in(person) and any(t.is_valid and t.valid_to > now for t in tokens):
                yield person


def _may_sign_in(person: Person) -> bool:
    return person.trait not in (Trait.LEFT, Trait.DISABLED)


def _refused(fault: str, message: str, status: int = 400) -> Response:
    return JSONResponse({"error": fault, "error_description": message}, status)


def _client_info(person: Person) -> str:
    text = json.dumps({"uid": object_id(person), "utid": TENANT})
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")
