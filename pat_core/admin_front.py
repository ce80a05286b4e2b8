"""What the HTTP functions for administrators answer: the fleet, one token, exports, revocation."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from pat_core.audit import audit_json
from pat_core.dossiers import Administrator, Dossiers
from pat_core.errors import ActionRefused, PatWardenError, TokenNotFound
from pat_core.export import csv_lines, file_name, json_lines
from pat_core.fleet import weeks_of_a_year
from pat_core.fleet_report import FleetReport
from pat_core.forecasting import Forecasting
from pat_core.model import Organization
from pat_core.ports import Queues
from pat_core.problems import problem_of
from pat_core.summarize import Watch
from pat_core.trail import Trail
from pat_core.views import Problem
from pat_core.web.fleet_pages import FleetAnswer, FleetPages
from pat_core.web.http import LINES, WebRequest, WebResponse, to
from pat_core.web.queries import FLEET, read_query
from pat_core.web.session import Sessions

TRAIL_DAYS: Final = 30
MOST_TRAIL: Final = 500
PARTS: Final = ("chart", "export.csv", "export.jsonl", "forecast", "trail", "trail.jsonl")
"""What stands under `/report/`, beside tokens."""
_TOLD: Final = {
    "revoke": "Its end is ordered. It may take Azure DevOps an hour. The owner is told."
}
_FORBIDDEN: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "This page is for administrators",
    "You are signed in, but you do not hold the role PatAdministrator of this service.",
    "Ask those who run this service for it. Your own tokens are under My tokens.",
)
_FOREIGN: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "The request did not come from this page",
    "Nothing was done.",
    "Open the token's page and choose there.",
)
_NO_PAGE: Final = TokenNotFound("There is no such page or token.")
_CHART_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_ENOUGH: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class AdminFront:
    """Answers for administrators, who are told by the session that signing in made."""

    sessions: Sessions
    fleet: FleetReport
    watch: Watch
    queues: Callable[[], Queues]
    dossiers: Dossiers
    forecasting: Forecasting
    trail: Trail
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

        return await self._as_admin(request, answer)

    async def part(self, request: WebRequest, part: str) -> WebResponse:
        """The chart, an export, the forecast or the audit trail."""

        async def answer(who: Administrator) -> WebResponse:
            if part not in PARTS:
                raise _NO_PAGE
            match part:
                case "chart":
                    return await self._chart(request)
                case "export.csv" | "export.jsonl":
                    return await self._export(request, part.rpartition(".")[2])
                case "forecast":
                    found = await self.forecasting.forecast()
                    page = self.pages.forecast(found, who=who.name, now=self._now)
                    return WebResponse(HTTPStatus.OK, page)
                case "trail":
                    return await self._trail(who)
                case _:
                    return await self._trail_export()

        return await self._as_admin(request, answer)

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

        return await self._as_admin(request, answer)

    async def revoke(
        self, request: WebRequest, organization: str, owner: str, authorization_id: str
    ) -> WebResponse:
        """The end of a token is ordered, with a reason; back to its page."""
        if not request.is_same_origin(self.public_url):
            return self._problem(_FOREIGN)

        async def answer(who: Administrator) -> WebResponse:
            place = self._place(organization)
            try:
                reason = request.fields.get("reason", "")
                await self.dossiers.revoke(place, owner, authorization_id, by=who, reason=reason)
            except (ValueError, ActionRefused) as fault:
                refused = fault if isinstance(fault, ActionRefused) else _unreadable()
                dossier = await self.dossiers.of(place, owner, authorization_id)
                problem = problem_of(refused)
                page = self.pages.fleet_token(dossier, who=who.name, now=self._now, problem=problem)
                return WebResponse(problem.status, page)
            parts = (place.name, owner, authorization_id)
            where = "/".join(quote(each, safe="") for each in parts)
            return to(f"{FLEET}/tokens/{where}?told=revoke")

        return await self._as_admin(request, answer)

    async def _as_admin(
        self, request: WebRequest, answer: Callable[[Administrator], Awaitable[WebResponse]]
    ) -> WebResponse:
        session = await self.sessions.read(request.cookies)
        name = str(session.get("name", ""))
        if "bearer" not in session:
            return to(f"/sign-in?{urlencode({'next': _landing(request)})}")
        if session.get("is_admin") is not True:
            return self._problem(_FORBIDDEN, name)
        try:
            return await answer(Administrator(f"entra:{session.get('id', '')}", name))
        except PatWardenError as fault:
            return self._problem(problem_of(fault), name)

    async def _chart(self, request: WebRequest) -> WebResponse:
        # Whoever signs in to their own tokens need not wait for what draws.
        from pat_core.web.chart import chart  # noqa: PLC0415 - said above

        tally = await self.fleet.tally(read_query(request.query).organization)
        headers = {"Content-Security-Policy": _CHART_POLICY}
        svg = chart(weeks_of_a_year(tally))
        return WebResponse(HTTPStatus.OK, svg, headers, "image/svg+xml")

    async def _export(self, request: WebRequest, kind: str) -> WebResponse:
        query = read_query(request.query)
        listings = self.fleet.stream(query)
        lines = csv_lines(listings) if kind == "csv" else json_lines(listings)
        name = file_name(query.organization, self._now, kind)
        media = "text/csv; charset=utf-8" if kind == "csv" else LINES
        return await _download(lines, name, media)

    async def _trail(self, who: Administrator) -> WebResponse:
        since = self._now - timedelta(days=TRAIL_DAYS)
        entries = [
            entry for name in self._trails async for entry in self.trail.entries(name, since)
        ]
        entries.sort(key=lambda entry: entry.at, reverse=True)
        page = self.pages.trail(entries[:MOST_TRAIL], days=TRAIL_DAYS, who=who.name)
        return WebResponse(HTTPStatus.OK, page)

    async def _trail_export(self) -> WebResponse:
        async def lines() -> AsyncIterator[str]:
            since = self._now - timedelta(days=self.trail.days)
            for name in self._trails:
                async for entry in self.trail.entries(name, since):
                    yield audit_json(entry) + "\n"

        name = file_name("trail", self._now, "jsonl")
        return await _download(lines(), name, LINES)

    def _place(self, organization: str) -> Organization:
        found = self.organizations.get(organization.lower())
        if found is None:
            raise _NO_PAGE
        return found

    def _problem(self, problem: Problem, who: str = "") -> WebResponse:
        return WebResponse(problem.status, self.pages.problem(problem, who=who))

    @property
    def _trails(self) -> list[str]:
        """Whose entries there are: each organization's, and those of the settings."""
        return [*(each.name for each in self.organizations.values()), ""]

    @property
    def _now(self) -> datetime:
        return self.fleet.clock()


async def _download(lines: AsyncIterator[str], name: str, media: str) -> WebResponse:
    """A file, packed line by line: the host takes no response in parts, so it is kept small."""
    packer, packed, waiting = zlib.compressobj(wbits=zlib.MAX_WBITS | 16), bytearray(), list[str]()
    size = 0
    async for line in lines:
        waiting.append(line)
        size += len(line)
        if size > _ENOUGH:
            packed += packer.compress("".join(waiting).encode())
            waiting, size = [], 0
    packed += packer.compress("".join(waiting).encode()) + packer.flush()
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Encoding": "gzip",
    }
    return WebResponse(HTTPStatus.OK, bytes(packed), headers, media)


def _landing(request: WebRequest) -> str:
    """Where to go on after signing in: the page that was asked for, never an act."""
    if request.method != "GET":
        return request.path.rpartition("/")[0]
    return f"{request.path}?{urlencode(request.query)}" if request.query else request.path


def _unreadable() -> ActionRefused:
    return ActionRefused("The form cannot be read.", remedy="Open the page again.")
