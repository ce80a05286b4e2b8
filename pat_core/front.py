"""What the HTTP functions for owners answer: sessions and forms in, flows called, pages out."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from pydantic import SecretStr

from pat_core.acts import Acts
from pat_core.audit import Result
from pat_core.errors import (
    ActionRefused,
    NotPermitted,
    NotSignedIn,
    PatWardenError,
    TokenNotFound,
    TokenRefused,
)
from pat_core.model import Organization
from pat_core.owner_views import OwnerViews
from pat_core.ports import SILENT, Meter
from pat_core.posts import ACTIONS, AUTHORIZATION_ID, Post, as_answer
from pat_core.problems import UNREADABLE, problem_of
from pat_core.refusals import Why, refused
from pat_core.rotation import Hands, Rotated, Rotator
from pat_core.signals import ROTATION_COUNT
from pat_core.trail import Trail
from pat_core.views import Problem, TokenView
from pat_core.web.confirmations import confirmation
from pat_core.web.http import WebRequest, WebResponse, as_json, as_problem, to, to_sign_in
from pat_core.web.pages import Pages, Shown
from pat_core.web.session import Sessions
from pat_core.web.sign_in import SignIn, own_path

_SHOWN: Final[Mapping[str, Shown]] = {"active": "active", "expired": "expired", "all": "all"}
_REFUSALS: Final = (
    ActionRefused,
    NotPermitted,
    NotSignedIn,
    TokenNotFound,
    TokenRefused,
    ValueError,
    OverflowError,
)
_NOT_ACCEPTED: Final = "Azure DevOps does not accept your sign-in"
_UNKNOWN: Final = TokenNotFound("There is no such token, or it is not yours.")
_NO_BEARER: Final = problem_of(
    NotSignedIn(
        "The request brings no bearer token.",
        remedy="Send an Entra token of the token's owner for Azure DevOps.",
    )
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request: hands that act for them, and what to call them."""

    hands: Hands
    name: str = ""
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class _Done:
    """What came of an action; `view` is the token before it, where a page shows the two."""

    came: object
    view: TokenView | None


@dataclass(frozen=True, slots=True)
class Front:
    """Answers for the owner's pages. `hands` gives what acts by a bearer token."""

    sessions: Sessions
    sign_in: SignIn | None
    hands: Callable[[SecretStr], Hands]
    organizations: Mapping[str, Organization]
    views: OwnerViews
    rotator: Rotator
    acts: Acts
    trail: Trail
    pages: Pages
    public_url: str
    meter: Meter = SILENT

    async def begin_sign_in(self, request: WebRequest) -> WebResponse:
        """The way to Entra; where one lands afterwards is kept in the sealed flow.

        The session before is over: its cookie is about to be lost, and a copy must not outlive it.
        """
        return await self._or_problem(self._begin_sign_in(request))

    async def _begin_sign_in(self, request: WebRequest) -> WebResponse:
        if self.sign_in is None:
            missing = "Signing in is not set up."
            remedy = "Those who run this service set PAT_CLIENT_ID, PAT_TENANT_ID, PAT_PUBLIC_URL."
            return self._problem(Problem(503, missing, "Nobody can sign in here yet.", remedy))
        address, flow = await self.sign_in.begin()
        kept = {"flow": flow, "next": own_path(request.query.get("next", ""))}
        await self.sessions.close(request.cookies)
        return to(address, await self.sessions.open(kept))

    async def end_sign_in(self, request: WebRequest) -> WebResponse:
        """Back from Entra: a new session takes the place of the flow, which works only once."""
        return await self._or_problem(self._end_sign_in(request))

    async def _end_sign_in(self, request: WebRequest) -> WebResponse:
        kept = await self.sessions.read(request.cookies)
        ended = await self.sessions.close(request.cookies)
        if self.sign_in is None or "flow" not in kept:
            return to("/sign-in")
        try:
            who = await self.sign_in.end(kept["flow"], request.query)
        except NotSignedIn as fault:
            page = self.pages.problem(problem_of(fault), who="")
            return WebResponse(HTTPStatus.UNAUTHORIZED, page, {"Set-Cookie": ended})
        session = {
            "bearer": who.bearer,
            "name": who.name,
            "id": who.object_id,
            "id_token": who.id_token,
        }
        return to(own_path(str(kept["next"])), await self.sessions.open(session))

    async def sign_out(self, request: WebRequest) -> WebResponse:
        """The session is over and its row is gone."""
        if not request.is_same_origin(self.public_url):
            return self._problem(refused(Why.ORIGIN))
        return await self._or_problem(self._sign_out(request))

    async def _sign_out(self, request: WebRequest) -> WebResponse:
        ended = await self.sessions.close(request.cookies)
        return WebResponse(HTTPStatus.OK, self.pages.signed_out(), {"Set-Cookie": ended})

    async def _or_problem(self, answer: Awaitable[WebResponse]) -> WebResponse:
        try:
            return await answer
        except PatWardenError as fault:
            return self._problem(problem_of(fault))

    async def my_tokens(self, request: WebRequest) -> WebResponse:
        """All tokens of whoever is signed in."""

        async def answer(caller: Caller) -> WebResponse:
            found = await self.views.all(caller.hands, tuple(self.organizations.values()))
            shown = _SHOWN.get(request.query.get("show", ""), "active")
            page = self.pages.tokens(
                found.views,
                shown=shown,
                faults=found.faults,
                left_out=found.left_out,
                who=caller.name,
                now=self._now,
                is_admin=caller.is_admin,
            )
            return WebResponse(HTTPStatus.OK, page)

        return await self._as_caller(request, answer)

    async def token(
        self, request: WebRequest, organization: str, authorization_id: str
    ) -> WebResponse:
        """One token and its choices."""
        authorization_id = authorization_id.lower()

        async def answer(caller: Caller) -> WebResponse:
            place = self._place(organization, authorization_id)
            view = await self.views.one(caller.hands, place, authorization_id)
            told = confirmation(request.query.get("told", ""), view, self._now)
            return self._token_page(caller, view, told=told)

        return await self._as_caller(request, answer)

    async def act(
        self, request: WebRequest, organization: str, authorization_id: str, action: str
    ) -> WebResponse:
        """What the owner asked for, done: a page for people, JSON for callers with a bearer."""
        if request.bearer is None and not request.is_same_origin(self.public_url):
            foreign = refused(Why.ORIGIN)
            return self._problem(foreign) if request.is_of_browser else as_problem(_NO_BEARER)
        # Azure DevOps writes them small, and the ledger has them as it writes them.
        authorization_id = authorization_id.lower()

        async def answer(caller: Caller) -> WebResponse:
            place = self._place(organization, authorization_id)
            post = Post(
                self.rotator,
                self.acts,
                self.views.lifetimes,
                caller.hands,
                place,
                authorization_id,
                request,
            )
            try:
                done = await self._on_record(post, action)
            except (ValueError, OverflowError):
                return self._refuse(request, UNREADABLE)
            if request.bearer:
                return as_json(HTTPStatus.OK, as_answer(done.came))
            if isinstance(done.came, Rotated) and done.view:
                return self._rotated_page(caller, done.view, done.came)
            return to(f"{_path(place, authorization_id)}?told={action}")

        return await self._as_caller(request, answer)

    async def _on_record(self, post: Post, action: str) -> _Done:
        """What came of it, counted and in the audit trail. Raises TokenNotFound for no action."""
        if action not in ACTIONS:
            raise _UNKNOWN
        owner = await post.hands.caller(post.place)
        asked = await self.trail.asked(owner, action, post.authorization_id)
        result = Result.FAILED
        try:
            done = await self._done(post, action)
            result = Result.DONE
        except _REFUSALS:
            result = Result.REFUSED
            raise
        finally:
            self.meter.record(ROTATION_COUNT, 1, action=action, outcome=result.value)
            await self.trail.ended(asked, result)
        return done

    async def _done(self, post: Post, action: str) -> _Done:
        # Read before the new token is made: its secret is not to be lost to a read that fails.
        view = None
        if action == "rotate" and post.request.bearer is None:
            view = await self.views.one(post.hands, post.place, post.authorization_id)
        return _Done(await post.do(action), view)

    async def _as_caller(
        self, request: WebRequest, answer: Callable[[Caller], Awaitable[WebResponse]]
    ) -> WebResponse:
        name = ""
        try:
            caller = await self._caller(request)
            if caller is None:
                return to_sign_in(request)
            name = caller.name
            return await answer(caller)
        except NotSignedIn as fault:
            # Entra may sign in the same person unseen: a browser led there would go in a circle.
            problem = problem_of(fault)
            if request.bearer is None:
                problem = replace(problem, title=_NOT_ACCEPTED)
            return self._refuse(request, problem, name)
        except TokenNotFound:
            # The same words whatever it is: whose a token is, or that it exists, is not revealed.
            return self._refuse(request, problem_of(_UNKNOWN), name)
        except PatWardenError as fault:
            return self._refuse(request, problem_of(fault), name)

    async def _caller(self, request: WebRequest) -> Caller | None:
        if request.bearer:
            return Caller(self.hands(request.bearer), "", is_admin=False)
        session = await self.sessions.read(request.cookies)
        if not session.get("bearer"):
            return None
        bearer, is_admin = SecretStr(session["bearer"]), bool(session.get("id_token"))
        return Caller(self.hands(bearer), str(session.get("name", "")), is_admin)

    def _token_page(self, caller: Caller, view: TokenView, *, told: str) -> WebResponse:
        page = self.pages.token(
            view, self.views.choices(view), who=caller.name, now=self._now, told=told
        )
        return WebResponse(HTTPStatus.OK, page)

    def _rotated_page(self, caller: Caller, view: TokenView, done: Rotated) -> WebResponse:
        page = self.pages.rotated(
            view,
            done.rotation,
            secret=done.secret.get_secret_value() if done.secret else None,
            tried=done.tried,
            who=caller.name,
            now=self._now,
            vault_url=self.views.vault_url,
        )
        return WebResponse(HTTPStatus.OK, page)

    def _place(self, organization: str, authorization_id: str) -> Organization:
        found = self.organizations.get(organization.lower())
        if found is None or not re.fullmatch(AUTHORIZATION_ID, authorization_id):
            raise _UNKNOWN
        return found

    def _refuse(self, request: WebRequest, problem: Problem, who: str = "") -> WebResponse:
        if request.bearer is None:
            return self._problem(problem, who)
        return as_problem(problem)

    def _problem(self, problem: Problem, who: str = "") -> WebResponse:
        return WebResponse(problem.status, self.pages.problem(problem, who=who))

    @property
    def _now(self) -> datetime:
        return self.sessions.clock()


def _path(place: Organization, authorization_id: str) -> str:
    return f"/tokens/{quote(place.name, safe='')}/{quote(authorization_id, safe='')}"
