"""What the HTTP functions for administrators answer: the fleet, one token, exports, revocation."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from pat_core.dossiers import Administrator, Dossiers
from pat_core.downloads import Downloads
from pat_core.errors import ActionRefused, NotSignedIn, PatWardenError, TokenNotFound
from pat_core.fleet import weeks_of_a_year
from pat_core.fleet_report import FleetReport
from pat_core.forecasting import Forecasting
from pat_core.model import Organization
from pat_core.ports import Queues
from pat_core.problems import problem_of
from pat_core.refusals import Why, noted, refused
from pat_core.signals import Event
from pat_core.summarize import Watch
from pat_core.trail import Trail
from pat_core.views import Problem
from pat_core.web.administrators import Administrators, name_in
from pat_core.web.fleet_pages import FleetAnswer, FleetPages
from pat_core.web.http import WebRequest, WebResponse, to, to_sign_in
from pat_core.web.queries import FLEET, read_query
from pat_core.web.session import Sessions

_LOG: Final = logging.getLogger("pat_warden")
TRAIL_DAYS: Final = 30
MOST_TRAIL: Final = 500
PARTS: Final = ("chart", "export.csv", "export.jsonl", "forecast", "trail", "trail.jsonl")
"""What stands under `/report/`, beside tokens."""
_TOLD: Final = {
    "revoke": "Its end is ordered. It may take Azure DevOps an hour. The owner is told."
}
_NO_PAGE: Final = TokenNotFound("There is no such page or token.")
_CHART_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class AdminFront:
    """Answers for administrators, who are told by the session that signing in made."""

    sessions: Sessions
    administrators: Administrators | None
    fleet: FleetReport
    watch: Watch
    queues: Callable[[], Queues]
    dossiers: Dossiers
    forecasting: Forecasting
    trail: Trail
    downloads: Downloads
    organizations: Mapping[str, Organization]
    pages: FleetPages
    public_url: str

    async def report(self, request: WebRequest) -> WebResponse:
        """The counts, the chart and a page of tokens."""

        async def answer(who: Administrator) -> WebResponse:
            query = read_query(request.query)
            page = await self.fleet.page(query)
            found = FleetAnswer(
                query,
                await self.fleet.tally(query.organization),
                await self.watch.look(self.queues()),
                page.listings,
                page.following,
                page.was_cut,
            )
            shown = self.pages.fleet(found, who=who.name, now=self._now)
            return WebResponse(HTTPStatus.OK, shown)

        return await self._as_admin(request, answer, "fleet")

    async def part(self, request: WebRequest, part: str) -> WebResponse:
        """The chart, an export, the forecast or the audit trail."""

        async def answer(who: Administrator) -> WebResponse:
            if part not in PARTS:
                raise _NO_PAGE
            match part:
                case "chart":
                    return await self._chart(request)
                case "export.csv" | "export.jsonl" | "trail.jsonl" if request.is_from_elsewhere:
                    return self._problem(refused(Why.ORIGIN), who.name)
                case "export.csv" | "export.jsonl":
                    return await self.downloads.of_fleet(
                        read_query(request.query), part.rpartition(".")[2], who
                    )
                case "forecast":
                    found = await self.forecasting.forecast()
                    page = self.pages.forecast(found, who=who.name, now=self._now)
                    return WebResponse(HTTPStatus.OK, page)
                case "trail":
                    return await self._trail(who)
                case _:
                    return await self.downloads.of_trail(who)

        return await self._as_admin(request, answer, part)

    async def token(
        self, request: WebRequest, organization: str, owner: str, authorization_id: str
    ) -> WebResponse:
        """All that is known of one token."""
        told = _TOLD.get(request.query.get("told", ""), "")

        async def answer(who: Administrator) -> WebResponse:
            place = self._place(organization)
            dossier = await self.dossiers.of(place, owner, authorization_id)
            page = self.pages.fleet_token(dossier, who=who.name, now=self._now, told=told)
            return WebResponse(HTTPStatus.OK, page)

        return await self._as_admin(request, answer, "token")

    async def revoke(
        self, request: WebRequest, organization: str, owner: str, authorization_id: str
    ) -> WebResponse:
        """The end of a token is ordered, with a reason; back to its page."""
        if not request.is_same_origin(self.public_url):
            return self._problem(refused(Why.ORIGIN))

        async def answer(who: Administrator) -> WebResponse:
            place = self._place(organization)
            try:
                reason = request.fields.get("reason", "")
                await self.dossiers.revoke(place, owner, authorization_id, by=who, reason=reason)
            except (ValueError, ActionRefused) as fault:
                refusal = fault if isinstance(fault, ActionRefused) else _unreadable()
                dossier = await self.dossiers.of(place, owner, authorization_id)
                problem = problem_of(refusal)
                page = self.pages.fleet_token(dossier, who=who.name, now=self._now, problem=problem)
                return WebResponse(problem.status, page)
            parts = (place.name, owner, authorization_id)
            where = "/".join(quote(each, safe="") for each in parts)
            return to(f"{FLEET}/tokens/{where}?told=revoke")

        return await self._as_admin(request, answer)

    async def _as_admin(
        self,
        request: WebRequest,
        answer: Callable[[Administrator], Awaitable[WebResponse]],
        part: str = "",
    ) -> WebResponse:
        """What an administrator is answered; `part` is what of the fleet that shows."""
        name = ""
        try:
            session = await self.sessions.read(request.cookies)
            name = str(session.get("name", ""))
            who = await self._who(request, session)
            shown = who if isinstance(who, WebResponse) else await answer(who)
        except PatWardenError as fault:
            return self._problem(problem_of(fault, as_service=True), name)
        if part and shown.status == HTTPStatus.OK:
            _LOG.info(Event.FLEET_READ, extra={"part": part})
        return shown

    async def _who(
        self, request: WebRequest, session: Mapping[str, Any]
    ) -> Administrator | WebResponse:
        """Who asks, or what is told to somebody else."""
        if "bearer" not in session:
            return to_sign_in(request)
        claims, name = None, str(session.get("name", ""))
        if self.administrators and session.get("id_token"):
            try:
                claims = await self.administrators.claims(str(session["id_token"]))
            except NotSignedIn as fault:
                noted(Why.SIGNATURE)
                # A browser that is led to signing in might come back with the same, and go round.
                return self._problem(problem_of(fault), name)
        if claims is None:
            return self._problem(refused(Why.ROLE), name)
        return Administrator(f"entra:{claims['oid']}", name_in(claims))

    async def _chart(self, request: WebRequest) -> WebResponse:
        # Whoever signs in to their own tokens need not wait for what draws.
        from pat_core.web.chart import chart  # noqa: PLC0415 - said above

        tally = await self.fleet.tally(read_query(request.query).organization)
        headers = {"Content-Security-Policy": _CHART_POLICY}
        svg = chart(weeks_of_a_year(tally))
        return WebResponse(HTTPStatus.OK, svg, headers, "image/svg+xml")

    async def _trail(self, who: Administrator) -> WebResponse:
        since = self._now - timedelta(days=TRAIL_DAYS)
        entries = [
            entry for name in self._trails async for entry in self.trail.entries(name, since)
        ]
        entries.sort(key=lambda entry: entry.at, reverse=True)
        page = self.pages.trail(entries[:MOST_TRAIL], days=TRAIL_DAYS, who=who.name)
        return WebResponse(HTTPStatus.OK, page)

    def _place(self, organization: str) -> Organization:
        found = self.organizations.get(organization.lower())
        if found is None:
            raise _NO_PAGE
        return found

    def _problem(self, problem: Problem, who: str = "") -> WebResponse:
        return WebResponse(problem.status, self.pages.problem(problem, who=who))

    @property
    def _trails(self) -> list[str]:
        """Whose entries there are: each organization's, and those of none."""
        return [*(each.name for each in self.organizations.values()), ""]

    @property
    def _now(self) -> datetime:
        return self.fleet.clock()


def _unreadable() -> ActionRefused:
    return ActionRefused("The form cannot be read.", remedy="Open the page again.")
