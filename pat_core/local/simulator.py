"""An Azure DevOps on loopback that behaves as the real one does, its oddities included."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from pat_core.local.world import Person, Trait, World, people
from pat_core.model import Token

USERS_PAGE: Final = 500
TOKENS_PAGE: Final = 100
ZERO_GUID: Final = "00000000-0000-0000-0000-000000000000"
Answer = Callable[[Request], Response]
Fault = Callable[[Request], Response | None]
"""Asked before each call: a reply to give instead, or None."""


class Simulator:
    """One embedded organization behind the addresses of the REST API.

    `secret` is the one password or bearer token that is accepted. Every `throttle_every`-th reply
    asks for a pause of a second (0: none does).
    """

    def __init__(
        self,
        world: World,
        *,
        secret: str,
        throttle_every: int = 0,
        fault: Fault = lambda _: None,
    ) -> None:
        self.world = world
        self.calls = 0
        self._secret = secret
        self._throttle_every = throttle_every
        self._fault = fault

    def reply(self, request: Request, answer: Answer) -> Response:
        """The reply to one call: a fault, a refusal, or what the call asks for."""
        self.calls += 1
        if reply := self._fault(request) or self._refusal(request):
            return reply
        reply = answer(request)
        if self._throttle_every and self.calls % self._throttle_every == 0:
            reply.headers.update({"Retry-After": "1", "X-RateLimit-Delay": "1.0"})
        return reply

    def users(self, request: Request) -> Response:
        """A page of users. Graph Users_List."""
        token = request.query_params.get("continuationToken", "")
        start = _page_start(token)
        if start is None:
            return _error(400, "The continuation token is not valid.")
        page = [graph_user(each) for each in people(self.world, start, start + USERS_PAGE)]
        more = start + USERS_PAGE < self.world.users
        # The real ones hold characters that get lost where they are not quoted.
        headers = {"X-MS-ContinuationToken": f"{start + USERS_PAGE}+/=="} if more else {}
        return JSONResponse({"count": len(page), "value": page}, headers=headers)

    def tokens(self, request: Request) -> Response:
        """A page of a user's tokens. Token Admin PersonalAccessTokens_List."""
        person = self._person(request)
        if person is None or person.trait is Trait.LEFT:
            return _error(404, "The user with the given subject descriptor cannot be found.")
        found = [session_token(token) for token in self.world.tokens(person)]
        keys = [_ssh_key(person)]
        wanted = {"true": keys, "false": found}
        shown = wanted.get(request.query_params.get("isPublic", ""), found + keys)
        start = _token_page_start(request.query_params.get("continuationToken", ZERO_GUID))
        if start is None:
            return _error(400, "The continuation token is not valid.")
        end = start + TOKENS_PAGE
        return JSONResponse({"value": shown[start:end]} | _next_page(person, end, len(shown)))

    def membership(self, request: Request) -> Response:
        """Whether a user is an active member. Graph MembershipStates_Get."""
        person = self._person(request)
        if person is None:
            return _error(404, "The subject cannot be found.")
        return JSONResponse({"active": person.trait not in (Trait.LEFT, Trait.DISABLED)})

    def my_tokens(self, request: Request) -> Response:
        """Refused: nobody signs in with Entra here. PAT Lifecycle Pats_List."""
        return _error(403, f"{request.url.path}: access denied.")

    def _person(self, request: Request) -> Person | None:
        return self.world.find(request.path_params["descriptor"])

    def _refusal(self, request: Request) -> Response | None:
        if request.path_params["organization"] != self.world.organization:
            return HTMLResponse("<!DOCTYPE html><title>404 - not found</title>", 404)
        if not self._is_signed_in(request.headers.get("authorization", "")):
            if request.headers.get("x-tfs-fedauthredirect") != "Suppress":
                return RedirectResponse("/_signin", 302)
            return HTMLResponse(
                "<!DOCTYPE html><title>Azure DevOps Services | Sign In</title>", 203
            )
        if "api-version" not in request.query_params:
            return _error(400, "No api-version was supplied.")
        return None

    def _is_signed_in(self, header: str) -> bool:
        kind, _, value = header.partition(" ")
        if kind == "Basic":
            try:
                value = b64decode(value).decode(errors="replace").partition(":")[2]
            except NotBase64:
                return False
        return value == self._secret


def create_app(simulator: Simulator) -> Starlette:
    """The simulator as an application; its organization is at `/{organization}`."""

    def route(path: str, answer: Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            return simulator.reply(request, answer)

        return Route("/{organization}/_apis/" + path, endpoint)

    return Starlette(
        routes=[
            route("graph/users", simulator.users),
            route("tokenadmin/personalaccesstokens/{descriptor}", simulator.tokens),
            route("graph/membershipstates/{descriptor}", simulator.membership),
            route("tokens/pats", simulator.my_tokens),
        ]
    )


def graph_user(person: Person) -> dict[str, Any]:
    """A person as Graph shows a user."""
    kind, _, subject = person.descriptor.partition(".")
    return {
        "subjectKind": "user",
        "metaType": "guest" if person.trait is Trait.GUEST else "member",
        "domain": "45aa3d2d-7442-473d-b4d3-3c670da9dd96",
        "principalName": person.principal_name,
        "mailAddress": person.mail_address,
        "origin": kind,
        "originId": subject,
        "displayName": person.display_name,
        "isDeletedInOrigin": None,
        "descriptor": person.descriptor,
    }


def session_token(token: Token) -> dict[str, Any]:
    """A token as tokenadmin shows it: times without a zone, no name where there is none."""
    return {
        "clientId": ZERO_GUID,
        "accessId": ZERO_GUID,
        "authorizationId": token.authorization_id,
        "hostAuthorizationId": ZERO_GUID,
        "userId": token.authorization_id,
        "validFrom": _zoneless(token.valid_from),
        "validTo": _zoneless(token.valid_to),
        "displayName": token.display_name or None,
        "scope": token.scope,
        # Null for every token, global or not, as in the documented example.
        "targetAccounts": None,
        "token": None,
        "alternateToken": None,
        "isValid": token.is_valid,
        "isPublic": False,
        "publicData": None,
        "source": None,
    }


def _ssh_key(person: Person) -> dict[str, Any]:
    key = Token(
        ZERO_GUID[:-12] + f"{person.number:012x}",
        "ssh key",
        "app_token",
        datetime(2020, 1, 1, tzinfo=UTC),
        datetime(2020, 1, 1, tzinfo=UTC),
    )
    return session_token(key) | {"isPublic": True, "publicData": "ssh-rsa AAAA"}


def _zoneless(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat()


def _page_start(token: str) -> int | None:
    if not token:
        return 0
    number, mark = token[:-4], token[-4:]
    return int(number) if mark == "+/==" and number.isdecimal() else None


def _token_page_start(token: str) -> int | None:
    head, _, tail = token.rpartition("-")
    return int(tail) if tail.isdecimal() and head == ZERO_GUID[:-13] else None


def _next_page(person: Person, end: int, total: int) -> dict[str, str | None]:
    if end < total:
        return {"continuationToken": f"{ZERO_GUID[:-12]}{end:012d}"}
    # All three mean the end, and all three are met.
    ends: tuple[dict[str, str | None], ...] = (
        {"continuationToken": ZERO_GUID},
        {"continuationToken": None},
        {},
    )
    return ends[person.number % len(ends)]


def _error(status: int, message: str) -> Response:
    return JSONResponse({"$id": "1", "message": message, "errorCode": 0}, status)
