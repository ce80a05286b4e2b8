"""What the command line shows: progress, tables, one JSON object, errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as ProgressBar,
)
from rich.table import Table

from pat_core.digest import subject, when
from pat_core.errors import PatWardenError, SettingsError
from pat_core.model import EXPIRED
from pat_core.run_records import RunReport
from pat_core.summary import counted
from pat_core.survey import Progress, Survey

OUT: Final = Console()
ERR: Final = Console(stderr=True)
_LINE_EVERY: Final = 1000


def write_anything() -> None:
    """Let what the output cannot encode be replaced: it must stop no command half way."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


class Watch:
    """Shows how far a scan is: a bar on a terminal, elsewhere a line for each 1,000 users."""

    def __init__(self, console: Console, bar: ProgressBar | None) -> None:
        self._console = console
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, int] = {}

    def told(self, organization: str, progress: Progress) -> None:
        """Show how far one organization is."""
        text = f"{organization}: {progress.users:,} users, {progress.tokens:,} tokens"
        if self._bar:
            if organization not in self._tasks:
                self._tasks[organization] = self._bar.add_task("", total=None)
            self._bar.update(
                self._tasks[organization],
                description=text,
                completed=progress.users,
                total=progress.of,
            )
        elif progress.users // _LINE_EVERY > self._said.get(organization, 0):
            self._said[organization] = progress.users // _LINE_EVERY
            self._console.print(text, highlight=False)


@contextmanager
def watch(console: Console) -> Iterator[Watch]:
    """A watch that is taken down at the end."""
    if not console.is_terminal:
        yield Watch(console, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with ProgressBar(*columns, console=console, transient=True) as bar:
        yield Watch(console, bar)


def survey_table(survey: Survey, windows: Sequence[int]) -> Table:
    """A row for each organization: users, tokens by the tightest window they are in, mails."""
    table = Table(box=None, padding=(0, 0, 0, 2), pad_edge=False)
    table.add_column("organization", overflow="fold", min_width=12)
    names = ["users", "tokens", *(f"≤{days}d" for days in windows), "expired", "failed", "mails"]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for report in survey.reports:
        seen = report.coverage
        inventory = (seen.windows.get(days, 0) for days in (*windows, EXPIRED))
        mails = survey.mails[report.organization]
        figures = (seen.users, seen.tokens, *inventory, seen.failed, mails)
        table.add_row(escape(report.organization), *(f"{figure:,}" for figure in figures))
    return table


def survey_json(survey: Survey, windows: Sequence[int]) -> str:
    """The survey as the one JSON object of `--json`."""
    return json.dumps(
        {
            "organizations": [_report_json(report, windows) for report in survey.reports],
            "digests": survey.mails_sent,
            "cards": survey.cards,
        }
    )


def _report_json(report: RunReport, windows: Sequence[int]) -> dict[str, object]:
    seen = report.coverage
    notices = {str(days): seen.notices.get(days, 0) for days in windows}
    return {
        "name": report.organization,
        "complete": report.complete,
        "users": seen.users,
        "users_failed": seen.failed,
        "users_gone": seen.gone,
        "tokens": seen.tokens,
        "notices": notices | {"expired": seen.notices.get(EXPIRED, 0)},
    }


def show_survey(survey: Survey, windows: Sequence[int], now: datetime) -> None:
    """Print the table, the digests and whatever was missed."""
    OUT.print(survey_table(survey, windows))
    _show_left_out(survey)
    written = counted(survey.mails_sent, "mail")
    if survey.cards:
        written += f" and {counted(survey.cards, 'card')}"
    _out(f"{written} {'written' if survey.sent else 'would be sent'}.")
    if not survey.sent:
        _show_digests(survey, now)
    show_faults(survey)


def _show_left_out(survey: Survey) -> None:
    for report in survey.reports:
        seen = report.coverage
        if seen.gone:
            _out(f"{report.organization}: {seen.gone:,} of the users listed have left.")
        if seen.unreachable:
            _out(
                f"{report.organization}: {seen.unreachable:,} tokens are due whose owners cannot "
                "be told: no usable address, or no longer an active member."
            )


def _show_digests(survey: Survey, now: datetime) -> None:
    for digest in survey.first:
        soonest = when(digest.notices[0].expires_at, now)
        line = f"  {digest.recipient}: {subject(digest, now)}; first {soonest}"
        OUT.print(escape(line), highlight=False, soft_wrap=True)
    more = survey.mails_sent - len(survey.first)
    if more > 0:
        OUT.print(f"  and {more:,} more", highlight=False)


def show_faults(survey: Survey) -> None:
    """Print, as errors, what makes the survey incomplete."""
    for report in survey.reports:
        if report.complete:
            continue
        ERR.print(f"[bold red]Incomplete:[/] {escape(report.organization)} was not read wholly.")
        if report.error:
            show_error(report.error)
        if report.saw_nobody:
            _line(f"  {report.saw_nobody}")
        for fault in report.coverage.faults:
            _line(f"  {fault}")
        if (more := report.coverage.failed - len(report.coverage.faults)) > 0:
            _line(f"  and {more:,} more")
    for failure in survey.delivered.failures:
        _line(f"Not sent, kept for the next run: {failure}")
    if survey.delivered.held:
        _line(
            f"{survey.delivered.held:,} mails are being sent by another run, or were when it was "
            "stopped. They are free again after 5 minutes: run the same command then."
        )


def show_error(error: PatWardenError) -> None:
    """Print an error: its cause, then what a person can do."""
    faults = error.faults if isinstance(error, SettingsError) else [error.cause]
    for fault in faults:
        ERR.print(f"[bold red]Error:[/] {escape(fault)}", highlight=False, soft_wrap=True)
    if error.remedy:
        _line(error.remedy)


def show_beside(text: str) -> None:
    """Print what belongs to an error."""
    _line(text)


def say(sentence: str) -> None:
    """Print what was done."""
    _out(sentence)


def _line(text: str) -> None:
    ERR.print(escape(text), highlight=False, soft_wrap=True)


def show_outbox(folder: Path, written: int) -> None:
    """Print where the mails are, and how to look at them or at those of a later day."""
    if written:
        OUT.print(f"They are in {escape(str(folder))}.", highlight=False, soft_wrap=True)
    else:
        _out("Whoever was due has been told before. A later day brings more.")
    show_next("python -m pat_core serve shows the outbox in a browser.")


def show_next(what: str) -> None:
    """Print what to try next."""
    _out(f"Next: {what}")


def show_address(address: str, organization: str) -> None:
    """Print where the pages are served, and where to try a token."""
    _out(f"The outbox is at {address}/outbox. Ctrl+C ends it.")
    _out(f"All tokens are at {address}/report: sign in as the administrator.")
    _out(f"Order a scan: curl -X POST {address}/runs")
    _out(f"Send what is due now: curl -X POST {address}/admin/functions/send_digests")
    _out(f"Try a token: curl -u :TOKEN {organization}/_apis/connectionData")


def _out(text: str) -> None:
    OUT.print(escape(text), highlight=False, soft_wrap=True)
