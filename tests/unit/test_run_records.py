"""What a run's pages and batches add up to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pat_core.coverage import MOST_FAULTS, Coverage
from pat_core.messages import ListOrder, ScanOrder, scan_orders
from pat_core.model import Owner, UserPage
from pat_core.rows import Row
from pat_core.run_records import RunReport, Steps, batch_row, page_row, read_run, run_row
from tests.fakes import NOW

RUN = RunReport("contoso", "20261123T080000.000000Z-abcdef", NOW)
FIRST = ListOrder(run_id=RUN.run_id, organization="contoso")


def a_page(names: str, following: str = "") -> UserPage:
    owners = tuple(Owner("contoso", each, each, f"{each}@contoso.example") for each in names)
    return UserPage(owners, continuation_token=following)


def listed(order: ListOrder, page: UserPage) -> tuple[Row, list[ScanOrder]]:
    orders = list(scan_orders(order, page))
    return page_row(order, page, orders), orders


def summed(pages: Sequence[Row], batches: Sequence[Row]) -> RunReport:
    steps = Steps(RUN)
    for row in [*sorted(pages, key=lambda row: row.key), *sorted(batches, key=lambda row: row.key)]:
        steps.add(row)
    return steps.report()


def test_a_page_that_was_listed_twice_has_the_one_after_it_that_it_names_last() -> None:
    before, after = a_page("abc", "c"), a_page("acd", "d")  # b left in between
    _, forgotten = listed(FIRST, before)
    first, orders = listed(FIRST, after)
    stale, stale_orders = listed(FIRST.following("c"), a_page("de"))
    last, last_orders = listed(FIRST.following("d"), a_page("e"))
    scanned = [
        batch_row(each, Coverage(users=len(each.users)), "", NOW)
        for each in [*forgotten, *orders, *stale_orders, *last_orders]
    ]
    report = summed([first, stale, last], scanned)
    assert (report.users, report.coverage.users) == (4, 4)
    assert (report.batches, report.done, report.complete) == (2, 2, True)


def test_a_run_whose_next_page_is_missing_is_not_all_listed() -> None:
    first, orders = listed(FIRST, a_page("abc", "c"))
    scanned = [batch_row(each, Coverage(users=3), "", NOW) for each in orders]
    assert not summed([first], scanned).listed


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\U0001f600", "\x00"])
def test_whatever_the_batches_say_no_column_is_larger_than_a_table_takes(letter: str) -> None:
    first, orders = listed(FIRST, a_page("".join(map(chr, range(0x4E00, 0x4E00 + 2100)))))
    assert len(orders) == 21
    said = Coverage(users=100, failed=100, faults=(letter * 30_000,))
    written = [batch_row(each, said, "", NOW) for each in orders]
    # As they were kept before anything was cut.
    kept = {"faults": json.dumps(["y" * 30_000])}
    before = [replace(row, values={**row.values, **kept}) for row in written]
    for batches in (written, before):
        report = summed([first], batches)
        for row in (*written, run_row(report)):
            assert all(len(str(value)) <= 32_768 for value in row.values.values())
        again = read_run(run_row(report))
        assert (again.coverage.failed, again.complete) == (2100, False)
        assert 5 <= len(again.coverage.faults) <= MOST_FAULTS


def as_before(row: Row) -> Row:
    """The row of a page as version 1 of the ledger kept it."""
    values = {name: value for name, value in row.values.items() if name != "following"}
    return replace(row, values=values)


def test_the_only_page_of_version_1_lists_everybody() -> None:
    only, orders = listed(FIRST, a_page("abc"))
    scanned = [batch_row(each, Coverage(users=3), "", NOW) for each in orders]
    report = summed([as_before(only)], scanned)
    assert (report.users, report.listed, report.complete) == (3, True, True)


def test_a_run_of_version_1_with_more_pages_is_not_said_to_be_all_listed() -> None:
    first, orders = listed(FIRST, a_page("abc", "d"))
    last, last_orders = listed(FIRST.following("d"), a_page("e"))
    scanned = [
        batch_row(each, Coverage(users=len(each.users)), "", NOW)
        for each in [*orders, *last_orders]
    ]
    for pages in ([as_before(first), as_before(last)], [as_before(first), last]):
        report = summed(pages, scanned)
        assert (report.listed, report.finished, report.complete) == (False, False, False)
    # Only which page comes after a page is unknown, not that one is the last.
    assert summed([first, as_before(last)], scanned).complete
