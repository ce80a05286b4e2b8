"""The commands by which those who run the service look at the whole fleet, and forget an owner."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final, TextIO

import typer
from rich.markup import escape
from rich.table import Table

from pat_core import console
from pat_core.arguments import run_to_end, settings_for
from pat_core.bootstrap import Services
from pat_core.digest import distance, shown_name
from pat_core.errors import ExitStatus, SettingsError
from pat_core.export import csv_lines, json_lines
from pat_core.fleet import Query
from pat_core.fleet_report import FleetReport
from pat_core.listing import Flag, Listing, Order
from pat_core.risk import RISK_WORDS, Risk
from pat_core.settings import Settings
from pat_core.summary import counted

app: Final = typer.Typer()
MOST_SHOWN: Final = 200


@app.command()
def report(
    organization: Annotated[
        list[str] | None,
        typer.Option("--organization", "-o", help="An organization; may be given more than once."),
    ] = None,
    *,
    window: Annotated[
        int | None,
        typer.Option(help="Tokens that expire within so many days; 0: expired.", min=0, max=366),
    ] = None,
    risk: Annotated[Risk | None, typer.Option(help="Tokens of this risk alone.")] = None,
    only: Annotated[Flag | None, typer.Option(help="Tokens of this kind alone.")] = None,
    search: Annotated[str, typer.Option(help="Part of an owner's or a token's name.")] = "",
    sort: Annotated[Order, typer.Option(help="What comes first.")] = Order.EXPIRES,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV for a spreadsheet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON each.")] = False,
) -> None:
    """Print which tokens die when, whose they are and who was told, out of the service's ledger."""
    if as_csv and as_json:
        raise SettingsError(["--csv and --json: only one of them. Example: --csv"])
    settings = settings_for(organization)
    query = Query(window=window, flag=only, risk=risk, search=search, order=sort)
    kind = "csv" if as_csv else "json" if as_json else ""
    troubles = run_to_end(_report(settings, query, kind))
    for trouble in troubles:
        console.ERR.print(escape(trouble), highlight=False, soft_wrap=True)
    raise typer.Exit(ExitStatus.INCOMPLETE if troubles else ExitStatus.COMPLETE)


@app.command()
def forget(
    owner: Annotated[str, typer.Argument(help="The owner's address, name or descriptor.")],
    organization: Annotated[str, typer.Option("--organization", "-o", help="The organization.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete all that the ledger holds of one owner, but for the audit trail."""
    settings = settings_for([organization])
    run_to_end(_forget(settings, owner, yes=yes))


async def _report(settings: Settings, query: Query, kind: str) -> list[str]:
    async with Services(settings) as services:
        fleet = services.fleet
        if kind:
            await _write(fleet, query, kind, sys.stdout)
        else:
            await _show(fleet, query)
        return await services.watch.troubles()


async def _write(fleet: FleetReport, query: Query, kind: str, out: TextIO) -> None:
    listings = fleet.stream(query)
    # As bytes: a terminal's own encoding and line ends would change what a spreadsheet reads.
    try:
        async for line in csv_lines(listings) if kind == "csv" else json_lines(listings):
            out.buffer.write(line.encode())
        out.buffer.flush()
    except BrokenPipeError:
        # Whoever read has seen enough; what is left in the buffer would fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


async def _show(fleet: FleetReport, query: Query) -> None:
    now, shown = fleet.clock(), list[Listing]()
    async for listing in fleet.stream(query):
        if len(shown) == MOST_SHOWN:
            console.show_next(f"these are the first {MOST_SHOWN}; --csv and --json give all.")
            break
        shown.append(listing)
    if not shown:
        console.say("No such token is known.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column, is_whole in (("expires", True), ("owner", False), ("token", False)):
        table.add_column(column, no_wrap=is_whole, overflow="fold")
    table.add_column("may", overflow="fold")
    table.add_column("told", overflow="fold")
    for each in shown:
        ends = each.expires_at
        table.add_row(
            f"{ends:%Y-%m-%d}, {distance(ends, now)}",
            escape(shown_name(each.owner_name, 60)),
            escape(shown_name(each.token.display_name, 60)),
            RISK_WORDS[each.risk],
            told_in_words(each),
        )
    console.OUT.print(table)


def told_in_words(listing: Listing) -> str:
    """The last notice of a token in a few words; "" where there was none."""
    notice = listing.notice
    if notice is None:
        return ""
    which = counted(notice.window, "day") if notice.window else "expired"
    return f"{which}: {notice.state}"


async def _forget(settings: Settings, wanted: str, *, yes: bool) -> None:
    async with Services(settings) as services:
        place = settings.organizations[0].name
        found = await services.forgetting.find(place, wanted)
        if len(found) != 1:
            many = f"fits {len(found)} owners" if found else "is no owner that the ledger knows"
            example = "the descriptor, as `report --json` prints it"
            raise SettingsError([f"{wanted!r} {many} in {place}. Example: {example}"])
        (owner,) = found
        name = f"{owner.display_name} ({owner.address or owner.subject_descriptor})"
        if not yes and not typer.confirm(f"Delete all that is kept of {name}?", err=True):
            raise typer.Exit(ExitStatus.INCOMPLETE)
        count = await services.forgetting.forget(owner)
        console.say(f"Deleted {count} rows of {name}. The audit trail keeps its entries.")
        console.say(f"While {place} lists this user, the next scan will know them again.")
