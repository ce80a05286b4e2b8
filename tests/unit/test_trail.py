"""Who did what: added to, read in order, and cut off where it is old."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pat_core.audit import Result, audit_row, months, read_audit
from pat_core.errors import Conflict
from pat_core.ledger.sqlite import SqliteStore
from pat_core.rows import AUDIT, Change, Verb
from pat_core.signals import Event
from pat_core.trail import Trail
from tests.builders import ANA
from tests.fakes import NOW, FakeTime

pytestmark = pytest.mark.anyio


@pytest.fixture
def trail(tmp_path: Path, time: FakeTime) -> Iterator[Trail]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    yield Trail(store, time.clock, days=400)
    store.close()


async def test_an_action_stands_there_twice_under_one_mark(trail: Trail, time: FakeTime) -> None:
    asked = await trail.asked(ANA, "rotate", "t1")
    time.now += timedelta(seconds=3)
    await trail.ended(asked, Result.DONE)
    found = [each async for each in trail.entries("contoso", NOW)]
    assert [(each.at, each.result) for each in found] == [
        (NOW, Result.ASKED),
        (NOW + timedelta(seconds=3), Result.DONE),
    ]
    assert {each.mark for each in found} == {asked.mark}
    assert read_audit(audit_row(found[0])) == found[0]


async def test_no_entry_is_written_over(trail: Trail) -> None:
    asked = await trail.asked(ANA, "rotate", "t1")
    with pytest.raises(Conflict):
        await trail.store.write(AUDIT, [Change(Verb.INSERT, audit_row(asked))])


async def test_they_come_in_order_over_the_turn_of_a_year(trail: Trail, time: FakeTime) -> None:
    for days in range(0, 90, 10):
        time.now = NOW + timedelta(days=days)
        await trail.asked(ANA, f"after {days}", "t1")
    since = NOW + timedelta(days=20)
    found = [each.action async for each in trail.entries("CONTOSO", since)]
    assert found == [f"after {days}" for days in range(20, 90, 10)]


async def test_what_is_too_old_is_deleted_and_nothing_else(trail: Trail, time: FakeTime) -> None:
    await trail.asked(ANA, "old", "t1")
    time.now += timedelta(days=1)
    await trail.asked(ANA, "kept", "t1")
    await trail.asked(replace(ANA, organization="fabrikam"), "elsewhere", "t1")
    time.now = NOW + timedelta(days=400, hours=1)
    assert await trail.purge(["contoso"]) == 1
    assert await trail.purge(["contoso"]) == 0
    assert [each.action async for each in trail.entries("contoso", NOW)] == ["kept"]
    assert [each.action async for each in trail.entries("fabrikam", NOW)] == ["elsewhere"]


async def test_an_end_that_cannot_be_written_is_in_the_log(
    trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    asked = await trail.asked(ANA, "rotate", "t1")
    await trail.ended(asked, Result.ASKED)
    (line,) = [each for each in caplog.records if each.msg == Event.AUDIT_LOST]
    assert line.levelno == logging.ERROR
    assert line.__dict__["mark"] == asked.mark


def test_the_month_that_has_just_begun_comes_too() -> None:
    found = months(
        datetime(2026, 1, 31, 23, 30, tzinfo=UTC), datetime(2026, 2, 1, 0, 10, tzinfo=UTC)
    )
    assert [f"{each:%Y%m}" for each in found] == ["202601", "202602"]


def test_each_month_comes_once() -> None:
    found = months(datetime(2026, 11, 30, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
    assert [f"{each:%Y%m}" for each in found] == ["202611", "202612", "202701", "202702"]
