"""What leaves as CSV and JSON lines: exact, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest

from pat_core.export import COLUMNS, csv_lines, file_name, harmless, json_lines
from pat_core.listing import Flag, LastNotice, Listing
from pat_core.model import Standing
from pat_core.records import NoticeState
from tests.builders import ANA, HOSTILE_NAMES, MUTE, a_token
from tests.fakes import NOW

pytestmark = pytest.mark.anyio
FORMULAS = (
    "=1+1",
    "+1",
    "-1+2",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1",
    "  =1+1",
    '=HYPERLINK("http://evil.example","x")',
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
    "\x00=1",
    "\u202e=1+1",
    "\u2066 \u200f@SUM(A1)",
)
TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


async def each(listings: Sequence[Listing]) -> AsyncIterator[Listing]:
    for listing in listings:
        yield listing


async def as_csv(*listings: Listing) -> str:
    return "".join([line async for line in csv_lines(each(listings))])


def a_listing(name: str = "ci") -> Listing:
    return Listing(
        replace(ANA, display_name=name),
        a_token(name, 5),
        Standing(snoozed_until=NOW),
        frozenset({Flag.GLOBAL, Flag.LONG_LIFE}),
        LastNotice(7, NoticeState.DELIVERED, NOW, "why"),
        "superseded",
        2,
    )


class TestCsv:
    async def test_it_is_what_a_spreadsheet_expects(self) -> None:
        text = await as_csv(a_listing('Žofie, "ci"'))
        assert text.startswith("\ufefforganization,owner,")
        assert text.count("\r\n") == 2
        head, row = csv.reader(StringIO(text.removeprefix("\ufeff"), newline=""))
        found = dict(zip(head, row, strict=True))
        assert tuple(head) == COLUMNS
        assert found["token"] == 'Žofie, "ci"'
        assert found["expires"] == "2026-11-28T08:00:00Z"
        assert found["created"] == "2026-08-30T08:00:00Z"
        assert (found["notice_window_days"], found["notice_state"]) == ("7", "delivered")
        assert (found["flags"], found["tokens_before"]) == ("global long-life", "2")
        assert (found["left_to_expire"], found["snoozed_until"]) == ("no", "2026-11-23T08:00:00Z")

    @pytest.mark.parametrize("text", FORMULAS)
    async def test_no_cell_is_a_formula(self, text: str) -> None:
        _, row = csv.reader(StringIO(await as_csv(a_listing(text)), newline=""))
        for cell in row:
            assert not cell.lstrip().startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n"))
        assert row[1].startswith("'")

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    async def test_a_hostile_name_stays_in_its_cell(self, name: str) -> None:
        rows = list(csv.reader(StringIO(await as_csv(a_listing(name)), newline="")))
        assert [len(row) for row in rows] == [len(COLUMNS)] * 2
        assert not any(ord(mark) < 32 for mark in rows[1][4])

    async def test_no_mark_turns_what_follows(self) -> None:
        name = "".join(f"{mark}a" for mark in TURNS)
        text = await as_csv(a_listing(f"nexpires{name}"))
        assert f"nexpires{'a' * len(TURNS)}" in text
        assert not set(TURNS) & set(text)

    @pytest.mark.parametrize(
        "text",
        ["", "plain", "a=b", "3-4", "o'neil", "vso.code", "\U0001f468\u200d\U0001f469"],
    )
    def test_what_is_harmless_stays(self, text: str) -> None:
        assert harmless(text) == text

    async def test_a_token_without_anything(self) -> None:
        bare = Listing(MUTE, a_token("x", 5, scope=""))
        _, row = csv.reader(StringIO(await as_csv(bare), newline=""))
        found = dict(zip(COLUMNS, row, strict=True))
        assert (found["address"], found["notice_state"], found["rotation"]) == ("", "", "")


class TestJson:
    async def test_a_line_for_each_with_the_same_names(self) -> None:
        lines = [line async for line in json_lines(each([a_listing("=1+1"), a_listing("é")]))]
        first, second = (json.loads(line) for line in lines)
        assert tuple(first) == COLUMNS
        assert first["token"] == "=1+1"  # programs calculate nothing
        assert second["token"] == "é"
        assert first["expires"] == "2026-11-28T08:00:00Z"
        assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)

    async def test_names_are_as_they_were_typed(self) -> None:
        names = [*HOSTILE_NAMES, f"x{TURNS}y"]
        lines = [line async for line in json_lines(each([a_listing(name) for name in names]))]
        assert [json.loads(line)["token"] for line in lines] == names


class TestFileName:
    @pytest.mark.parametrize(
        ("organization", "found"),
        [("contoso", "contoso"), ("", "all"), ('x"; filename=evil.exe', "xfilenameevilexe")],
    )
    def test_it_is_plain(self, organization: str, found: str) -> None:
        at = NOW + timedelta(hours=1)
        assert file_name(organization, at, "csv") == f"pat-warden-{found}-2026-11-23.csv"
