"""Every kind of page that an administrator may see, by name, filled with the small fixed cast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from pat_core.audit import SERVICE, AuditEntry, Result
from pat_core.coverage import Coverage
from pat_core.digest import compose
from pat_core.fleet import Query, Tally, weeks_of_a_year
from pat_core.fleet_views import Dossier, Forecast, Unreached
from pat_core.listing import Flag, LastNotice, Listing, Order
from pat_core.model import Deed, Standing
from pat_core.records import NoticeRecord, NoticeState
from pat_core.risk import Risk
from pat_core.rotations import Rotation, RotationState
from pat_core.run_records import RunReport
from pat_core.summary import OrganizationSummary, Summary
from pat_core.views import Problem
from pat_core.web.chart import chart
from pat_core.web.fleet_pages import FleetAnswer, FleetPages
from tests.builders import ANA, BO, HOSTILE_NAMES, MUTE, a_notice, a_token
from tests.fakes import NOW

PAGES: Final = FleetPages()
WHO: Final = "Olga Operator"
SCOPES: Final = ("app_token", "vso.tokens", "vso.code_write", "vso.work_write", "vso.code")
_FAILED: Final = "contoso: Bo Bakker: the reply cannot be read."


def fleet() -> list[Listing]:
    """A token of each kind, the soonest expiry first."""
    states = list(NoticeState)
    return [
        Listing(
            (ANA, BO, MUTE)[number % 3],
            a_token(f"token {number}", -6 + number * 5, scope=SCOPES[number % len(SCOPES)]),
            flags=frozenset({list(Flag)[number % len(Flag)]}),
            notice=LastNotice(number % 2 * 7, states[number % len(states)], NOW, "a reason")
            if number % 5
            else None,
            rotation="superseded" if number % 4 == 3 else "",
            line=number % 3,
        )
        for number in range(14)
    ]


def hostile() -> list[Listing]:
    """Tokens and owners with the worst names there are."""
    return [
        Listing(
            replace(ANA, display_name=name, address=name),
            replace(a_token("x", 3), display_name=name),
            notice=LastNotice(7, NoticeState.UNSENT, NOW, name),
        )
        for name in HOSTILE_NAMES
    ]


def tally(listings: Iterable[Listing]) -> Tally:
    """The counts of these."""
    found = Tally(NOW)
    for each in listings:
        found.add(each)
    return found


def summary(*, whole: bool = True) -> Summary:
    """How the scans of two organizations went."""
    coverage = Coverage(users=1200, failed=0 if whole else 3, faults=() if whole else (_FAILED,))
    run = RunReport(
        "contoso", "r", NOW, coverage, users=1200, listed=True, batches=1, done=1, ended_at=NOW
    )
    found = [OrganizationSummary("contoso", run, NOW if whole else NOW - timedelta(days=2))]
    if not whole:
        found.append(OrganizationSummary("fabrikam", None, None))
    poison = {} if whole else {"users-poison": ["contoso, run r, 40 users"]}
    return Summary(NOW, (30, 7, 1), found, waiting=7, poison=poison, poisoned=len(poison))


def a_fleet(
    listings: Sequence[Listing],
    query: Query = Query(),  # noqa: B008 - it is frozen
    *,
    whole: bool = True,
    following: str = "",
    was_cut: bool = False,
) -> str:
    """The first page of administrators."""
    answer = FleetAnswer(
        query, tally(listings), summary(whole=whole), listings, following, was_cut=was_cut
    )
    return PAGES.fleet(answer, who=WHO, now=NOW)


def a_dossier(listing: Listing, over: str = "") -> Dossier:
    """A token with notices, a rotation and a trail."""
    notice = NoticeRecord(
        "old", listing.token.valid_to, 7, ANA.address, NoticeState.DELIVERED, NOW, settled_at=NOW
    )
    notices = [
        notice,
        replace(notice, window=30, state=NoticeState.UNSENT, reason="The mail bounced."),
        replace(notice, recipient="webhook 0123456789abcdef", is_copy=True),
        replace(notice, deed=Deed.TAKEN, detail="By Olga, who says: it leaked."),
    ]
    rotation = Rotation(
        "old",
        RotationState.SUPERSEDED,
        NOW,
        NOW + timedelta(days=90),
        timedelta(hours=24),
        vault_name="pat-contoso-ci",
        new_id=listing.token.authorization_id,
        new_valid_to=NOW + timedelta(days=90),
        trouble="The service may not revoke tokens in contoso.",
    )
    line = ["00000000-0000-4000-8000-000000000000", listing.token.authorization_id]
    return Dossier(listing, None, notices, [rotation], line, trail(), over)


def trail() -> list[AuditEntry]:
    """What an owner, an administrator, the service and a new setting did."""
    entry = AuditEntry(
        NOW, "contoso", "aad.ana", "Ana Almeida", "rotate", "token 1", Result.DONE, "m"
    )
    return [
        entry,
        replace(
            entry, who="entra:1", who_name="Olga", action="revoke as administrator", detail="why"
        ),
        replace(entry, who=SERVICE, who_name="", action="revoke", result=Result.FAILED),
        replace(
            entry,
            organization="",
            who=SERVICE,
            who_name="",
            action="set PAT_WINDOWS_DAYS",
            authorization_id="",
            detail="from '30, 7' to '60, 7'",
        ),
    ]


def a_forecast() -> Forecast:
    """Digests that wait, digests that a scan would add, and whom nobody can tell."""
    first = compose([a_notice("ci"), a_notice("nightly", 1)], ANA.address)
    second = compose([a_notice("laptop", 20, owner=BO)], BO.address)
    return Forecast([first], [second], [Unreached(fleet()[2], "no usable address")], was_cut=True)


def a_chart() -> str:
    """The chart of a year in which every week has something."""
    year = (Listing(ANA, a_token("x", day, scope=SCOPES[day % 5])) for day in range(1, 365))
    return chart(weeks_of_a_year(tally(year)))


def a_token_page(listing: Listing, over: str = "", **more: str | Problem) -> str:
    """The page of one token."""
    return PAGES.fleet_token(a_dossier(listing, over), who=WHO, now=NOW, **more)  # type: ignore[arg-type] # as the page names them


# Axe takes seconds for each, so that one page shows all that can stand beside each other.
FLEET_SAMPLES: Final[dict[str, Callable[[], str]]] = {
    "fleet": lambda: a_fleet(fleet(), whole=False, following="x"),
    "fleet-filtered": lambda: a_fleet(
        fleet()[:2], Query("contoso", 7, Flag.GLOBAL, Risk.SUPPLY, "ana", Order.OWNER, "x")
    ),
    "fleet-none": lambda: a_fleet([], Query(search="rare"), following="x", was_cut=True),
    "fleet-hostile": lambda: a_fleet(hostile(), Query(search=HOSTILE_NAMES[1])),
    "fleet-token": lambda: a_token_page(fleet()[5]),
    "fleet-token-over": lambda: a_token_page(
        replace(
            fleet()[5], standing=Standing(snoozed_until=NOW + timedelta(days=1), lets_expire=True)
        ),
        "It was revoked.",
        told="Done.",
        problem=Problem(409, "That cannot be done now", "No reason was given.", "Say why."),
    ),
    "fleet-token-hostile": lambda: a_token_page(hostile()[1]),
    "forecast": lambda: PAGES.forecast(a_forecast(), who=WHO, now=NOW),
    "forecast-none": lambda: PAGES.forecast(Forecast([], [], []), who=WHO, now=NOW),
    "trail": lambda: PAGES.trail(trail(), days=30, who=WHO),
}
