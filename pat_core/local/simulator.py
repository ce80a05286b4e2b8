"""An Azure DevOps on loopback that behaves as the real one does, its oddities included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from pat_core.local.calls import (
    SERVICE,
    Answer,
    Call,
    Caller,
    credential,
    error,
    page_mark,
    page_start,
)
from pat_core.local.changes import Changes
from pat_core.local.lifecycle import Lifecycle
from pat_core.local.members import Members
from pat_core.local.metering import Charge, Metering
from pat_core.local.policies import Policies
from pat_core.local.shapes import (
    ZERO_GUID,
    connection_data,
    graph_user,
    session_token,
    ssh_key,
)
from pat_core.local.world import Person, Trait, World, people

USERS_PAGE: Final = 500
TOKENS_PAGE: Final = 100
Fault = Callable[[Request], Response | None]
"""Asked before each call: a reply to give instead, or None."""
SignedIn = Callable[[str], Person | None]
"""Tells whom a bearer token signs in."""


class _Revocation(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    authorization_id: str


_REVOCATIONS: Final = TypeAdapter(list[_Revocation])


class Simulator:
    """One embedded organization behind the addresses of the REST API.

    `secret` is the password or bearer token of the service. Every `throttle_every`-th reply asks
    for a pause of a second (0: none does). Without `changes`, time stands still at the world's
    birth; people sign in by what `signed_in` knows, or a PAT that was created here. `metering`
    charges each call.
    """

    def __init__(
        self,
        world: World,
        *,
        secret: str,
        throttle_every: int = 0,
        fault: Fault = lambda _: None,
        changes: Changes | None = None,
        policies: Policies | None = None,
        signed_in: SignedIn = lambda _: None,
        metering: Metering | None = None,
    ) -> None:
        self.world = world
        self.changes = changes or Changes(world, lambda: world.born)
        self.policies = policies or Policies()
        self.lifecycle = Lifecycle(self.changes, self.policies)
        self.members = Members(world.organization, self.changes.now, self.policies)
        self.calls = 0
        self._secret = secret
        self._throttle_every = throttle_every
        self._fault = fault
        self._signed_in = signed_in
        self.metering = metering

    def reply(
        self, request: Request, answer: Answer, body: bytes = b"", *, for_all: bool = False
    ) -> Response:
        """The reply to one call: a fault, a refusal, or what the call asks for.

        Where it is not `for_all`, people are refused and the service alone is answered.
        """
        self.calls += 1
        caller = self._caller(request)
        if reply := self._fault(request) or self._refusal(request, caller):
            return reply
        if caller is None or (caller != SERVICE and not for_all):
            return error(403, f"{request.url.path}: access denied.")
        reply = answer(Call(request, caller, body))
        if self._throttle_every and self.calls % self._throttle_every == 0:
            reply.headers.update({"Retry-After": "1", "X-RateLimit-Delay": "1.0"})
        return reply

    def charge(self) -> Charge:
        """What a call that comes now costs its identity; nothing where nobody meters."""
        return self.metering.charge() if self.metering else Charge()

    def users(self, call: Call) -> Response:
        """A page of users. Graph Users_List."""
        start = page_start(call.request.query_params.get("continuationToken", ""))
        if start is None:
            return error(400, "The continuation token is not valid.")
        page = [graph_user(each) for each in people(self.world, start, start + USERS_PAGE)]
        more = start + USERS_PAGE < self.world.users
        headers = {"X-MS-ContinuationToken": page_mark(start + USERS_PAGE)} if more else {}
        return JSONResponse({"count": len(page), "value": page}, headers=headers)

    def tokens(self, call: Call) -> Response:
        """A page of a user's tokens. Token Admin PersonalAccessTokens_List."""
        person, query = self._person(call), call.request.query_params
        if person is None or person.trait is Trait.LEFT:
            return error(404, "The user with the given subject descriptor cannot be found.")
        found = [session_token(token) for token in self.changes.tokens(person)]
        keys = [ssh_key(person)]
        shown = {"true": keys, "false": found}.get(query.get("isPublic", ""), found + keys)
        start = _token_page_start(query.get("continuationToken", ZERO_GUID))
        if start is None:
            return error(400, "The continuation token is not valid.")
        end = start + TOKENS_PAGE
        return JSONResponse({"value": shown[start:end]} | _next_page(person, end, len(shown)))

    def revoke(self, call: Call) -> Response:
        """End tokens, whoever owns them. Token Admin Revocations_Revoke Authorizations."""
        if not self.policies.service_may_revoke:
            return error(403, "TF401027: You need the permission to revoke tokens.")
        try:
            asked = _REVOCATIONS.validate_json(call.body)
        except ValidationError:
            return error(400, "The request is not valid.")
        if call.request.query_params.get("isPublic") != "true":
            at = self.changes.now() + self.policies.revocation_delay
            self.changes.revoke([each.authorization_id for each in asked], at)
        return Response(status_code=204)

    def membership(self, call: Call) -> Response:
        """Whether a user is an active member. Graph MembershipStates_Get."""
        if self.members.knows(call.request.path_params["descriptor"]):
            return JSONResponse({"active": True})
        person = self._person(call)
        if person is None:
            return error(404, "The subject cannot be found.")
        return JSONResponse({"active": person.trait not in (Trait.LEFT, Trait.DISABLED)})

    def connection(self, call: Call) -> Response:
        """Who makes the call. No contract describes it."""
        return JSONResponse(connection_data(call.caller.person))

    def _person(self, call: Call) -> Person | None:
        return self.world.find(call.request.path_params["descriptor"])

    def _refusal(self, request: Request, caller: Caller | None) -> Response | None:
        if request.path_params["organization"] != self.world.organization:
            return HTMLResponse("<!DOCTYPE html><title>404 - not found</title>", 404)
        if caller is None:
            if request.headers.get("x-tfs-fedauthredirect") != "Suppress":
                return RedirectResponse("/_signin", 302)
            return HTMLResponse(
                "<!DOCTYPE html><title>Azure DevOps Services | Sign In</title>", 203
            )
        if "api-version" not in request.query_params:
            return error(400, "No api-version was supplied.")
        return None

    def _caller(self, request: Request) -> Caller | None:
        kind, value = credential(request)
        if value == self._secret:
            return SERVICE
        by_pat = kind == "Basic"
        person = self.changes.owner_of(value) if by_pat else self._signed_in(value)
        return Caller(person, by_pat) if person else None


def create_app(simulator: Simulator) -> Starlette:
    """The simulator as an application; its organization is at `/{organization}`."""
    return Starlette(routes=simulator_routes(simulator))


def simulator_routes(simulator: Simulator) -> list[Route]:
    """The addresses of the REST API."""

    def route(path: str, answer: Answer, *methods: str, for_all: bool = False) -> Route:
        async def endpoint(request: Request) -> Response:
            charge = simulator.charge()
            if charge.is_refused:
                reply: Response = error(429, "TF400733: The request has been canceled.")
            else:
                await asyncio.sleep(charge.delay)
                body = await request.body()
                reply = simulator.reply(request, answer, body, for_all=for_all)
            reply.headers.update(charge.headers)
            return reply

        return Route("/{organization}/_apis/" + path, endpoint, methods=methods or ["GET"])

    every, members = ("GET", "POST", "PUT", "DELETE"), simulator.members
    return [
        route("graph/users", simulator.users),
        route("tokenadmin/personalaccesstokens/{descriptor}", simulator.tokens),
        route("tokenadmin/revocations", simulator.revoke, "POST"),
        route("graph/membershipstates/{descriptor}", simulator.membership),
        route("graph/groups", members.groups),
        route("graph/serviceprincipals", members.identities),
        route("graph/memberships/{member}/{group}", members.membership, "HEAD", "PUT"),
        route("serviceprincipalentitlements", members.add, "POST"),
        route("tokens/pats", simulator.lifecycle.answer, *every, for_all=True),
        route("connectionData", simulator.connection, for_all=True),
    ]


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
