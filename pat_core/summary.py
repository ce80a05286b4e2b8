"""What ops are told each day: how the scans went and what is left to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pat_core.delivered import Delivered
from pat_core.digest import distance, shown_name, subject
from pat_core.model import EXPIRED, Digest
from pat_core.run_records import RunReport

_LONGEST: Final = 150
OVERDUE: Final = timedelta(hours=26)
"""A daily scan that is older than this is missing."""


@dataclass(frozen=True, slots=True)
class OrganizationSummary:
    """The newest run of one organization, if any, and when the last complete one ended."""

    name: str
    run: RunReport | None
    complete_at: datetime | None

    def trouble(self, now: datetime) -> str:
        """Why this organization is not wholly known, a sentence, or ""."""
        if self.run is None:
            return f"{self.name} was never scanned."
        if now - self.run.started_at > OVERDUE:
            return f"{self.name}: no scan since {distance(self.run.started_at, now)}."
        return _missed(self.run)


@dataclass(frozen=True, slots=True)
class Summary:
    """The state of the service at one moment.

    `delivered` is what left in the last 24 hours, `waiting` how many owners are still to be told,
    `poison` what the first few messages in each poison queue are about, `poisoned` how many there
    are, and `queues_fault` why that is not known. `unsent` says of whom nobody could tell, and why,
    `stuck` which rotations stand still.
    In a dry run `would_send` holds the first digests that would leave now.
    """

    now: datetime
    windows: Sequence[int]
    organizations: Sequence[OrganizationSummary]
    delivered: Delivered = field(default_factory=Delivered)
    waiting: int = 0
    poison: Mapping[str, Sequence[str]] = field(default_factory=dict)
    poisoned: int = 0
    queues_fault: str = ""
    unsent: Sequence[str] = ()
    stuck: Sequence[str] = ()
    dry_run: bool = False
    would_send: Sequence[Digest] = ()

    @property
    def rehearsed(self) -> tuple[str, ...]:
        """What would have been sent, were it no dry run: a sentence for each of the first."""
        return tuple(
            f"{digest.recipient}: {subject(digest, self.now).removeprefix('[Azure DevOps] ')}"
            for digest in self.would_send
        )

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is wrong, a sentence each, the gravest first."""
        return tuple(self._troubles())

    @property
    def subject(self) -> str:
        """The subject of the mail, one line."""
        if self.troubles:
            incomplete = any(each.trouble(self.now) for each in self.organizations)
            label = "Incomplete" if incomplete else "To do"
            return f"[PAT Warden] {label}: {shown_name(self.troubles[0], _LONGEST)}"
        users = sum(each.run.coverage.users for each in self.organizations if each.run)
        return f"[PAT Warden] Complete: {counted(users, 'user')} scanned"

    @property
    def sent(self) -> str:
        """What left and what waits, a sentence or two."""
        done = self.delivered
        sent = f"{counted(done.sent, 'mail')} with {counted(done.notices, 'notice')} sent"
        failed = f", {done.failed:,} could not be sent" if done.failed else ""
        return f"{sent}{failed}. {counted(self.waiting, 'owner')} still to be told."

    def figures(self, organization: OrganizationSummary) -> list[tuple[str, str]]:
        """What the newest run saw, as names and figures."""
        if organization.run is None:
            return []
        seen = organization.run.coverage
        windows = [
            (f"in the window of {counted(days, 'day')}", seen.windows.get(days, 0))
            for days in self.windows
        ]
        figures = [
            ("users", seen.users),
            ("that could not be read", seen.failed),
            ("that have left", seen.gone),
            ("without a usable address", seen.no_address),
            ("tokens", seen.tokens),
            *windows,
            ("expired in the last 7 days", seen.windows.get(EXPIRED, 0)),
            ("with full access", seen.full_access),
            ("global", seen.global_tokens),
            ("notices found due", sum(seen.notices.values())),
            ("due, but their owner cannot be told", seen.unreachable),
        ]
        complete = organization.complete_at
        age = distance(complete, self.now) if complete else "never"
        return [(name, f"{figure:,}") for name, figure in figures] + [("last complete scan", age)]

    def _troubles(self) -> Iterator[str]:
        for organization in self.organizations:
            if trouble := organization.trouble(self.now):
                yield trouble
        if self.poisoned:
            yield f"{counted(self.poisoned, 'message')} given up: see the poison queues."
        if self.dry_run:
            yield f"Dry run, nothing is sent: {counted(self.waiting, 'owner')} would be told."
        if self.queues_fault:
            yield self.queues_fault
        if self.unsent:
            yield f"{counted(len(self.unsent), 'owner')} could not be told."
        if self.stuck:
            yield f"{counted(len(self.stuck), 'old token')} could not be revoked."


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 mail`, `2,000 mails`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _missed(run: RunReport) -> str:
    if run.error:
        return f"{run.organization}: the scan was stopped. {run.error}"
    if not run.listed:
        return f"{run.organization}: the users are not all listed."
    if not run.finished:
        missing = run.batches - run.done
        return f"{run.organization}: {missing} of {run.batches} batches are not scanned."
    failed = run.coverage.failed or len(run.coverage.faults)
    if failed:
        return f"{run.organization}: {failed} of {run.coverage.users} users could not be read."
    return run.saw_nobody
