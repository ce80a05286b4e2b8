"""The flow that brings a ledger of an older version to the one that this program writes.

While a new version is deployed, instances of the version before still write. So each version
understands on reading what the one before wrote, and a migration is for the version after: it must
meet nothing older than this one. What holds:

- A step changes only rows that still are as the version before wrote them, each on the condition
  that nobody changed it meanwhile. So it may die at any write, be run again, and be run by several
  instances at once.
- The ledger's version is raised last, by whoever comes first.
- What an instance of the version before writes after that is brought along by the next migration,
  which begins with the first step. So are organizations that the settings left out at the time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from pat_core.errors import Conflict
from pat_core.ledger_version import VERSION_KEY, known_version, version_row
from pat_core.ports import Store
from pat_core.rows import LEDGER, RUNS, Change, Verb, write
from pat_core.run_records import PAGES, current_page, read_run, run_partition

Migration = Callable[[Store, Sequence[str]], Awaitable[None]]
"""Brings the rows of these organizations from one version to the next."""


async def migrated(
    store: Store,
    organizations: Sequence[str],
    remedy: str,
    migrations: Sequence[Migration] | None = None,
) -> int:
    """The newest version, which the ledger then has.

    Raises LedgerTooNew with the remedy, LedgerUnavailable.
    """
    steps = MIGRATIONS if migrations is None else migrations
    newest = len(steps) + 1
    while True:
        row = await store.row(LEDGER, LEDGER, VERSION_KEY)
        version = known_version(row, remedy, newest)
        if version == newest:
            return version
        for step in steps[:version]:
            await step(store, organizations)
        # Where somebody else was faster, the next look shows it.
        with suppress(Conflict):
            await store.write(LEDGER, [write(version_row(version + 1, row))])


async def _say_what_follows(store: Store, organizations: Sequence[str]) -> None:
    """1 → 2: the pages of runs that are under way say which page follows, as far as it is known.

    Whoever finished before keeps the sums that stand in the run's own row.
    """
    for organization in organizations:
        async for run in store.rows(RUNS, organization):
            if read_run(run).finished:
                continue
            partition = run_partition(organization, run.key)
            async for page in store.rows(RUNS, partition, after=PAGES):
                if (current := current_page(page)) is not page:
                    with suppress(Conflict):
                        await store.write(RUNS, [Change(Verb.REPLACE, current)])


MIGRATIONS: Final[Sequence[Migration]] = (_say_what_follows,)
"""From version 1 to 2, and so on."""
