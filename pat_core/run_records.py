"""What the ledger remembers of a run, as records and as rows. Pure.

A run's partition holds a row for each page that was listed, which names the page's batches, and
one for each batch that was scanned. What a run saw is the sum over the batches that its pages
name: a batch that comes twice, or one of a page that was listed twice, counts once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from pat_core.coverage import Coverage, coverage_values, read_coverage
from pat_core.errors import PatWardenError, restored
from pat_core.messages import ListOrder, ScanOrder
from pat_core.model import UserPage
from pat_core.rows import Row, Value, short_hash

ERROR_KEY: Final = "error"
PAGES: Final = "page|"
"""How the keys of a run's pages begin."""
FIRST_PAGE: Final = f"{PAGES}{short_hash('')}"
UNKNOWN_PAGE: Final = f"{PAGES}unknown"
"""Comes after a page of which nobody wrote down what follows; no page has this key."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """How far a run of one organization is and what it came to.

    `batches` of `done` are scanned; `listed` says that all users are in them. `error` is what
    stopped it, if anything did; `ended_at` is when its last step so far ended.
    """

    organization: str
    run_id: str
    started_at: datetime
    coverage: Coverage = field(default_factory=Coverage)
    users: int = 0
    listed: bool = False
    batches: int = 0
    done: int = 0
    ended_at: datetime | None = None
    error: PatWardenError | None = None

    @property
    def finished(self) -> bool:
        """True when every user was listed and every batch was scanned."""
        return self.listed and self.done == self.batches

    @property
    def complete(self) -> bool:
        """True when the run is finished and nothing was missed."""
        missed = self.error or self.coverage.failed or self.coverage.faults or self.saw_nobody
        return self.finished and not missed

    @property
    def saw_everybody(self) -> bool:
        """True once each user listed was read, be it with tokens that cannot be read."""
        return self.finished and not (self.error or self.coverage.failed or self.saw_nobody)

    @property
    def saw_nobody(self) -> str:
        """Why a finished run is not to be believed though nothing failed, a sentence, or "".

        An API that is not there, or an identity that sees nobody, looks as if all had left.
        """
        seen = self.coverage
        if not self.finished or seen.users > seen.gone:
            return ""
        if seen.users == 0:
            return (
                f"{self.organization}: no user is listed. "
                "Check the organization, and that this identity may read its users."
            )
        return (
            f"{self.organization}: all users listed ({seen.users:,}) seem to have left. "
            "Check that Azure DevOps answers the call to read the tokens of a user."
        )


def run_partition(organization: str, run_id: str) -> str:
    """The partition of a run's pages and batches; the run itself stands in the organization's."""
    return f"{organization}|{run_id}"


def run_row(report: RunReport) -> Row:
    """The row of a run in the partition of its organization."""
    values: dict[str, Value] = {"started_at": report.started_at, "complete": report.complete}
    if report.listed:
        values |= {"batches": report.batches}
    if report.finished and report.ended_at:
        values |= coverage_values(report.coverage) | {"ended_at": report.ended_at}
        values |= {"listed_users": report.users}
    return Row(report.organization, report.run_id, values)


def read_run(row: Row) -> RunReport:
    """The run that a row gives; without what its pages and batches say, unless it is finished."""
    started_at = _time(row.values["started_at"])
    report = RunReport(row.partition, row.key, started_at)
    if "ended_at" not in row.values:
        return report
    batches = _number(row.values["batches"])
    return replace(
        report,
        coverage=read_coverage(row.values),
        users=_number(row.values["listed_users"]),
        listed=True,
        batches=batches,
        done=batches,
        ended_at=_time(row.values["ended_at"]),
    )


def page_row(order: ListOrder, page: UserPage, orders: Iterable[ScanOrder]) -> Row:
    """The row of a page that was listed: the batches it was cut into."""
    after = page.continuation_token
    values: dict[str, Value] = {
        "page": order.page,
        "users": len(page.owners) + len(page.faults),
        "following": order.following(after).key if after else "",
        # What version 1 of the ledger asks for, while an instance of before is still at work.
        "last": not after,
        "batches": " ".join(each.key for each in orders),
    }
    return Row(run_partition(order.organization, order.run_id), order.key, values)


def current_page(row: Row) -> Row:
    """The row of a page as it is written today, whoever wrote it.

    Version 1 kept only whether a page is the last. Which of two pages came after another is not to
    be known from that: such a run goes on, and is not said to have listed everybody.
    """
    if "following" in row.values:
        return row
    following = "" if row.values["last"] else UNKNOWN_PAGE
    return replace(row, values={**row.values, "following": following})


def batch_row(order: ScanOrder, coverage: Coverage, rest: str, now: datetime) -> Row:
    """The row of a batch that was scanned; `rest` names the batch of those who are left, or ""."""
    values = coverage_values(coverage) | {"ended_at": now, "rest": rest}
    return Row(run_partition(order.organization, order.run_id), order.key, values)


def error_row(order: ListOrder | ScanOrder, error: PatWardenError, *, may_pass: bool) -> Row:
    """The row of what stopped a run, or holds it up where it may pass."""
    values: dict[str, Value] = {
        "kind": type(error).__name__,
        "cause": error.cause,
        "remedy": error.remedy,
        "may_pass": may_pass,
    }
    return Row(run_partition(order.organization, order.run_id), ERROR_KEY, values)


def read_error(row: Row) -> PatWardenError:
    """The error that a row gives."""
    kind, cause, remedy = (str(row.values[name]) for name in ("kind", "cause", "remedy"))
    return restored(kind, cause, remedy)


def stops(row: Row) -> bool:
    """True for the row of an error that trying again won't help."""
    return read_error(row).permanent and not row.values.get("may_pass", False)


@dataclass(slots=True)
class Steps:
    """Sums up a run's pages and batches as they are read, and keeps no batch.

    Pages are to be added first, then the rest in order of keys: a batch that was put back comes
    after the one whose rest it is. Only pages that follow one another from the first on count: one
    that was listed twice, while people came and went, may have had another page after it.
    """

    run: RunReport
    _named: set[str] = field(default_factory=set)
    _pages: dict[str, Row] = field(default_factory=dict)
    _listed: bool = False
    _users: int = 0
    _coverage: Coverage = field(default_factory=Coverage)
    _done: int = 0
    _ended_at: datetime | None = None
    _error: PatWardenError | None = None
    _is_stopped: bool = False

    def add(self, row: Row) -> None:
        """Count one row of the run's partition."""
        if row.key.startswith(PAGES):
            self._pages[row.key] = current_page(row)
            return
        self._follow()
        if row.key == ERROR_KEY:
            self._error, self._is_stopped = read_error(row), stops(row)
        elif row.key in self._named:
            self._named.update(str(row.values.get("rest", "")).split())
            self._coverage += read_coverage(row.values)
            self._done += 1
            ended_at = _time(row.values["ended_at"])
            self._ended_at = max(ended_at, self._ended_at or ended_at)

    def report(self) -> RunReport:
        """The run as its steps show it.

        An error that did not keep the run from its end is over, unless it stopped the run.
        """
        self._follow()
        report = replace(
            self.run,
            coverage=self._coverage,
            users=self._users,
            listed=self._listed,
            batches=len(self._named),
            done=self._done,
            ended_at=self._ended_at or self.run.started_at,
        )
        if self._error and (self._is_stopped or not report.finished):
            return replace(report, error=self._error)
        return report

    def _follow(self) -> None:
        """Count the pages that are there, once, from the first on."""
        key = FIRST_PAGE
        while row := self._pages.pop(key, None):
            self._named.update(str(row.values["batches"]).split())
            self._users += _number(row.values["users"])
            key = str(row.values["following"])
            self._listed = not key
        self._pages.clear()


def _number(value: Value) -> int:
    return int(str(value))


def _time(value: Value) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} is no time.")
    return value
