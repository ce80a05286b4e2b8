"""By which capitals the ledger knows an organization.

Azure DevOps takes "Contoso" and "contoso" for the same, and partitions do not: under other capitals
a second ledger would begin, in which nobody was told, nothing is snoozed and no rotation is open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from pat_core.errors import Conflict, OtherCapitals
from pat_core.owner_records import owner_of
from pat_core.ports import Store
from pat_core.rotations import ROTATING
from pat_core.rows import OUTBOX, RUNS, Change, Row, Verb

SPELLINGS: Final = "spellings|"
"""The partition of how organizations are spelled; no organization is called so."""


async def unspelled(store: Store, organizations: Sequence[str]) -> list[str]:
    """Those that the ledger has no spelling of.

    Raises OtherCapitals where it has another one, LedgerUnavailable.
    """
    known = {row.key: str(row.values["name"]) async for row in store.rows(RUNS, SPELLINGS)}
    for name in organizations:
        if (spelled := known.get(name.lower(), name)) != name:
            raise OtherCapitals(
                f"The ledger knows the organization {name} as {spelled}.",
                remedy=f"Write {spelled}, in PAT_ORGANIZATIONS or after --organization: what was "
                "told, snoozed and rotated is found under no other capitals.",
            )
    return [name for name in organizations if name.lower() not in known]


async def spell(store: Store, organizations: Sequence[str]) -> None:
    """Write down how these are spelled from now on: as before, where that can be seen.

    Raises OtherCapitals, LedgerUnavailable.
    """
    for name in organizations:
        row = Row(SPELLINGS, name.lower(), {"name": await _in_use(store, name)})
        # Where somebody else was faster, theirs counts.
        with suppress(Conflict):
            await store.write(RUNS, [Change(Verb.INSERT, row)])
    if organizations:
        await unspelled(store, organizations)


async def _in_use(store: Store, name: str) -> str:
    """How a ledger that was written before spellings were kept spells an organization."""
    for each in _likely(name):
        async for _ in store.rows(RUNS, each):
            return each
    async for hint in store.rows(OUTBOX, ROTATING):
        if (found := owner_of(hint).organization).lower() == name.lower():
            return found
    return name


def _likely(name: str) -> Iterator[str]:
    """The spelling that is asked for first: where both have rows, it is the one in use."""
    yield from dict.fromkeys((name, name.lower(), name.capitalize(), name.title(), name.upper()))
