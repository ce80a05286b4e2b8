"""Queries as addresses, keys that sort, and counts that add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pat_core.fleet import Query, Tally, in_all, read_tally, tally_row, weeks_of_a_year
from pat_core.listing import Flag, Listing, Order, listing_values, read_listing, views
from pat_core.model import EXPIRED
from pat_core.risk import Risk
from pat_core.rows import Row
from pat_core.web.queries import fleet_path, query_words, read_query
from tests.builders import ANA, HOSTILE_NAMES, a_token
from tests.fakes import NOW

QUERIES = st.builds(
    Query,
    organization=st.sampled_from(["", "contoso"]),
    window=st.sampled_from([None, EXPIRED, 1, 7, 30]),
    flag=st.sampled_from([None, *Flag]),
    risk=st.sampled_from([None, *Risk]),
    search=st.text(max_size=40).map(lambda text: " ".join(text.split())),
    order=st.sampled_from(list(Order)),
    after=st.text(st.characters(codec="utf-8"), max_size=40),
)


class TestAddress:
    @given(QUERIES)
    def test_a_query_comes_back_from_its_address(self, query: Query) -> None:
        asked = dict(parse_qsl(urlsplit(fleet_path(query, after=query.after)).query))
        assert read_query(asked) == query

    def test_what_is_changed_begins_with_the_first_page(self) -> None:
        query = Query(window=7, after="x")
        assert fleet_path(query, flag=Flag.GLOBAL) == "/report?window=7&only=global"
        assert fleet_path(Query(), "/export.csv") == "/report/export.csv"

    @pytest.mark.parametrize(
        "asked",
        [
            {"window": "-1"},
            {"window": "9" * 400},
            {"window": "\u0663"},
            {"only": "<script>"},
            {"risk": "'; DROP TABLE rows"},
            {"sort": "../x"},
        ],
    )
    def test_what_cannot_be_read_asks_for_nothing(self, asked: dict[str, str]) -> None:
        assert query_words(read_query(asked)) == {}


class TestKeys:
    @pytest.mark.parametrize("name", [*HOSTILE_NAMES, "Ångström", "李雷", "", "|", "~", "A" * 300])
    def test_a_listing_comes_back_and_its_keys_are_plain(self, name: str) -> None:
        owner = replace(ANA, display_name=name)
        token = replace(a_token("x", 5), display_name=name)
        listing = Listing(owner, token, flags=frozenset({Flag.GLOBAL}))
        for key in views(listing):
            assert key.isascii()
            assert key.isprintable()
            assert not set(key) & set("/\\#?%!")
            assert len(key) < 250
            assert read_listing(Row("contoso", key, listing_values(listing))) == listing

    def test_owners_sort_as_people_expect(self) -> None:
        names = ["Ana", "Åsa", "bo", "Émile", "Zoë"]
        keys = []
        for name in names:
            by_owner = [
                key
                for key in views(Listing(replace(ANA, display_name=name), a_token()))
                if key.startswith("owner|")
            ]
            keys += by_owner
        assert keys == sorted(keys)

    def test_the_newest_comes_first(self) -> None:
        by_age = [
            next(
                key for key in views(Listing(ANA, a_token("x", days))) if key.startswith("created")
            )
            for days in (300, 5, -3)
        ]
        assert by_age == sorted(by_age)


class TestTally:
    def test_it_counts_each_once_where_it_belongs(self) -> None:
        tally = Tally(NOW)
        for days in (-8, -1, 0.5, 5, 20, 300, 800):
            tally.add(Listing(ANA, a_token("x", days), flags=frozenset({Flag.GLOBAL})))
        assert tally.tokens == 6
        assert tally.windows == {EXPIRED: 1, 1: 1, 7: 2, 30: 3}
        assert tally.flags == {Flag.GLOBAL: 6}
        assert sum(sum(risks.values()) for risks in tally.weeks.values()) == 4

    def test_it_comes_back_from_its_row(self) -> None:
        tally = Tally(NOW, run_id="r")
        tally.add(Listing(ANA, a_token("x", 5), flags=frozenset({Flag.LONG_LIFE})))
        assert read_tally(tally_row("contoso", tally)) == tally

    def test_sums_are_as_old_as_the_oldest(self) -> None:
        old, new = Tally(NOW - timedelta(hours=1)), Tally(NOW)
        for tally in (old, new):
            tally.add(Listing(ANA, a_token("x", 5)))
        total = in_all([new, old], NOW)
        assert (total.tokens, total.counted_at) == (2, NOW - timedelta(hours=1))
        assert total.weeks == {date(2026, 11, 23): Counter({Risk.READ: 2})}
        assert in_all([], NOW) == Tally(NOW)

    def test_a_year_has_53_weeks_the_empty_ones_too(self) -> None:
        tally = Tally(NOW)
        tally.add(Listing(ANA, a_token("x", 370, lifetime=400)))
        tally.add(Listing(ANA, a_token("y", 371, lifetime=400)))
        weeks = weeks_of_a_year(tally)
        assert len(weeks) == 53
        assert (weeks[0][0], weeks[-1][0]) == (date(2026, 11, 23), date(2027, 11, 22))
        assert [sum(risks.values()) for _, risks in weeks] == [0] * 52 + [1]
