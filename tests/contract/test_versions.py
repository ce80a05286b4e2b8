"""What every home of the ledger must do alike about its version."""

from __future__ import annotations

from pathlib import Path

import pytest

from pat_core.current import CurrentStore
from pat_core.errors import LedgerTooNew
from pat_core.ledger_version import LEDGER_VERSION, VERSION_KEY, read_version, version_row
from pat_core.ports import Store
from pat_core.rows import LEDGER, RUNS, Change, Row, Verb
from pat_core.run_records import PAGES
from tests.upgrades.kept import filled

pytestmark = pytest.mark.anyio
NOTE = Change(Verb.PUT, Row("p", "k", {"n": 1}))


def current(store: Store) -> CurrentStore:
    return CurrentStore(store, ["contoso"], "Do this.")


async def version_of(store: Store) -> int:
    return read_version(await store.row(LEDGER, LEDGER, VERSION_KEY))


async def test_an_empty_ledger_is_made_at_the_current_version(store: Store) -> None:
    opened = current(store)
    assert await opened.row("owners", "p", "k") is None
    assert await store.row(LEDGER, LEDGER, VERSION_KEY) is None
    await opened.write("owners", [NOTE])
    assert await version_of(store) == LEDGER_VERSION
    assert await opened.row("owners", "p", "k") == NOTE.row


async def test_one_of_the_first_version_is_read_as_it_is_and_migrated_by_the_first_write(
    store: Store, tmp_path: Path
) -> None:
    found = await filled(store, 1, tmp_path / "kept")
    pages = [part for table, part in found if table == RUNS and part.startswith("contoso|")]
    opened = current(store)
    assert [row async for row in opened.rows(RUNS, "contoso")]
    assert await version_of(store) == 1
    await opened.write("owners", [NOTE])
    assert await version_of(store) == LEDGER_VERSION
    (page,) = [row async for row in store.rows(RUNS, pages[-1], after=PAGES)]
    assert page.values["following"] == "page|unknown"


async def test_one_of_a_newer_version_is_refused_and_left_alone(store: Store) -> None:
    newer = version_row(LEDGER_VERSION + 1)
    await store.write(LEDGER, [Change(Verb.INSERT, newer)])
    opened = current(store)
    with pytest.raises(LedgerTooNew, match=rf"knows up to {LEDGER_VERSION}\. Do this\."):
        await opened.row("owners", "p", "k")
    with pytest.raises(LedgerTooNew):
        [row async for row in opened.rows("owners", "p")]
    with pytest.raises(LedgerTooNew):
        await opened.write("owners", [NOTE])
    assert await store.row("owners", "p", "k") is None
    assert await version_of(store) == LEDGER_VERSION + 1
