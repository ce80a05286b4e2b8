"""Other capitals begin no second ledger, whichever home it has."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pat_core.current import CurrentStore
from pat_core.errors import OtherCapitals
from pat_core.ports import Store
from pat_core.rotations import put_hint
from pat_core.rows import OUTBOX, OWNERS, RUNS, Change, Row, Value, Verb
from tests.builders import ANA
from tests.fakes import NOW

pytestmark = pytest.mark.anyio
NOTE = Change(Verb.PUT, Row("p", "k", {"said": "yes"}))


def opened(store: Store, *names: str) -> CurrentStore:
    return CurrentStore(store, names, "Do this.")


def a_run(name: str) -> Change:
    """A run that the version before began."""
    values: dict[str, Value] = {"started_at": NOW, "complete": False}
    return Change(Verb.PUT, Row(name, "20261122T080000.000000Z-abcdef", values))


async def write(store: Store, *names: str) -> None:
    await opened(store, *names).write(OWNERS, [NOTE])


async def test_other_capitals_are_refused_with_the_ones_to_write(store: Store) -> None:
    await write(store, "Contoso", "fabrikam")
    refused = opened(store, "fabrikam", "contoso")
    with pytest.raises(OtherCapitals, match="contoso as Contoso") as fault:
        await refused.row(OWNERS, "p", "k")
    assert "Write Contoso, in PAT_ORGANIZATIONS" in fault.value.remedy
    with pytest.raises(OtherCapitals):
        await refused.write(OWNERS, [NOTE])
    assert await opened(store, "Contoso").row(OWNERS, "p", "k") == NOTE.row


async def test_whoever_read_first_is_known_by_the_first_write(store: Store) -> None:
    first = opened(store, "Contoso")
    await write(store, "fabrikam")
    assert await first.row(OWNERS, "p", "k")
    await first.write(OWNERS, [NOTE])
    with pytest.raises(OtherCapitals):
        await write(store, "CONTOSO")


async def test_of_two_that_begin_at_once_one_is_refused(store: Store) -> None:
    names = ("Contoso", "contoso")
    done = await asyncio.gather(*(write(store, name) for name in names), return_exceptions=True)
    assert {type(each) for each in done} == {type(None), OtherCapitals}


@pytest.mark.parametrize("used", ["contoso", "Contoso", "CONTOSO"])
async def test_a_ledger_from_before_is_known_by_its_runs(store: Store, used: str) -> None:
    await store.write(RUNS, [a_run(used)])
    with pytest.raises(OtherCapitals, match=f"as {used}"):
        await write(store, "cOntoso")
    await write(store, used)


async def test_and_by_a_rotation_that_is_open(store: Store) -> None:
    ana = replace(ANA, organization="ConToso")
    await store.write(OUTBOX, [put_hint(ana, "old")])
    with pytest.raises(OtherCapitals, match="as ConToso"):
        await write(store, "contoso")


async def test_what_has_rows_under_both_goes_on_as_it_is_written_now(store: Store) -> None:
    for name in ("contoso", "Contoso"):
        await store.write(RUNS, [a_run(name)])
    await write(store, "Contoso")
    await write(store, "Contoso")
