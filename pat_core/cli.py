"""The command line: `python -m pat_core …`."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from types import ModuleType
from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from pat_core import console, ops_cli, owner_cli, report_cli
from pat_core.address import usable_address
from pat_core.arguments import ENV_FILE, run_to_end, settings_for, time_of
from pat_core.bootstrap import Services, system_clock
from pat_core.doctor import (
    Trial,
    Verdict,
    examine,
    examine_channels,
    examine_rotation,
    examine_storage,
    send_test,
)
from pat_core.errors import ExitStatus, PatWardenError, SettingsError
from pat_core.routes import webhook_recipient
from pat_core.settings import Settings, load_settings, sentence
from pat_core.survey import survey

app: Final = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="No Azure DevOps personal access token dies unnoticed.",
)
app.add_typer(owner_cli.app)
app.add_typer(ops_cli.app)
app.add_typer(report_cli.app)
Organizations = Annotated[
    list[str] | None,
    typer.Option("--organization", "-o", help="An organization; may be given more than once."),
]


class Storage(StrEnum):
    """Where `serve` keeps ledger and queues."""

    EMBEDDED = "embedded"
    AZURITE = "azurite"


@app.command()
def demo(
    users: Annotated[int, typer.Option(help="How many users.", min=0, max=10_000_000)] = 0,
    now: Annotated[str, typer.Option(help="Move the clock: 2026-12-24T08:00:00Z.")] = "",
) -> None:
    """Scan an embedded organization and write the mails into .local/outbox."""
    settings = load_settings(ENV_FILE)
    moved = time_of(now) if now else None
    with console.watch(console.ERR) as watch:
        work = embedded().run_demo(settings, users=users, now=moved, told=watch.told)
        result, scanned_at = run_to_end(work)
    console.show_survey(result, settings.windows_days, scanned_at)
    console.show_outbox(settings.local_dir / "outbox", result.delivered.sent)
    raise typer.Exit(result.exit_status)


@app.command()
def scan(
    organization: Organizations = None,
    *,
    send: Annotated[bool, typer.Option("--send", help="Write the mails.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Scan organizations; without --send, say what would be sent and change nothing."""
    settings = settings_for(organization)
    channel = embedded().outbox_channel(settings) if send else None
    with console.watch(console.ERR) as watch:
        result = run_to_end(survey(settings, system_clock, channel, told=watch.told))
    if as_json:
        sys.stdout.write(console.survey_json(result, settings.windows_days) + "\n")
        console.show_faults(result)
    else:
        console.show_survey(result, settings.windows_days, system_clock())
        if send:
            console.show_outbox(settings.local_dir / "outbox", result.delivered.sent)
        else:
            console.show_next("the same with --send writes the mails.")
    raise typer.Exit(result.exit_status)


@app.command()
def doctor(
    organization: Organizations = None,
    send_test_to: Annotated[
        str, typer.Option("--send-test", metavar="ADDRESS", help="Send a test mail and card.")
    ] = "",
) -> None:
    """Try what scans, notices and rotations need, and say what to do about a refusal."""
    if send_test_to:
        trials = run_to_end(_send_test(load_settings(ENV_FILE), send_test_to))
    else:
        trials = run_to_end(_examine(settings_for(organization)))
    console.OUT.print(_trial_table(trials))
    for trial in trials:
        if trial.detail:
            line = f"{trial.organization}, {trial.permission}: {trial.detail}"
            console.OUT.print(escape(line), highlight=False, soft_wrap=True)
    failed = [trial for trial in trials if trial.needed and trial.verdict is not Verdict.OK]
    statuses = (trial.error.exit_status if trial.error else 1 for trial in failed)
    raise typer.Exit(max(statuses, default=ExitStatus.COMPLETE))


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7071,
    storage: Annotated[
        Storage, typer.Option(help="Where ledger and queues are: in .local, or in Azurite.")
    ] = Storage.EMBEDDED,
) -> None:
    """Run the functions here: HTTP and timers, over an embedded organization; show the outbox."""
    azurite = storage is Storage.AZURITE
    settings = load_settings(ENV_FILE)
    run_to_end(embedded().serve(settings, port, azurite=azurite, ready=console.show_address))


def embedded() -> ModuleType:
    """The embedded world, which is left out of what runs in Azure."""
    from pat_core.local import demo as world  # noqa: PLC0415 - said above

    return world


def run() -> int:
    """Run the command that the arguments name; gives its exit status."""
    console.write_anything()
    # What goes wrong is told in words; the log is for the service.
    logging.getLogger("pat_warden").addHandler(logging.NullHandler())
    try:
        app()
    except PatWardenError as error:
        console.show_error(error)
        return int(error.exit_status)
    return ExitStatus.COMPLETE


async def _examine(settings: Settings) -> list[Trial]:
    async with Services(settings) as services:
        trials = [
            trial
            for organization in settings.organizations
            for trial in await examine(services.azure_devops, organization)
        ]
        if services.has_storage:
            trials += await examine_storage(services.store, services.queues)
        channels = {"email": services.email, "teams": services.teams}
        trials += await examine_channels(
            {name: channel for name, channel in channels.items() if channel}
        )
        return trials + await examine_rotation(services.vault, services.sign_in)


async def _send_test(settings: Settings, address: str) -> list[Trial]:
    if not usable_address(address):
        raise SettingsError([f"--send-test: {address!r} is not a mail address"])
    async with Services(settings) as services:
        channels = {name: outlet.channel for name, outlet in services.outlets.items()}
        if not channels:
            fault = "no channel is set up; mails need PAT_EMAIL_ENDPOINT too"
            raise SettingsError([sentence("email_sender", fault)])
        webhooks = [webhook_recipient(each.teams) for each in settings.routes if each.teams]
        return await send_test(channels, address, services.clock(), list(dict.fromkeys(webhooks)))


def _trial_table(trials: list[Trial]) -> Table:
    table = Table()
    for column in ("where", "what", "needed", "result"):
        table.add_column(column)
    colours = {Verdict.OK: "green", Verdict.REFUSED: "red", Verdict.UNKNOWN: "yellow"}
    for trial in trials:
        result = f"[{colours[trial.verdict]}]{trial.verdict}[/]"
        needed = "yes" if trial.needed else f"no, to {trial.serves}"
        table.add_row(escape(trial.organization), trial.permission, needed, result)
    return table
