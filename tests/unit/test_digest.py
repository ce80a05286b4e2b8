from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pat_core.digest import compose, distance, operation_id, shown_name, subject, when
from pat_core.model import MOST_LISTED, Notice
from tests.builders import ANA, HOSTILE_NAMES, a_notice
from tests.fakes import NOW


def of(*notices: Notice) -> str:
    return subject(compose(notices, ANA.address), NOW).removeprefix("[Azure DevOps] ")


class TestCompose:
    def test_the_soonest_expiry_comes_first(self) -> None:
        digest = compose([a_notice("b", 9), a_notice("a", 9), a_notice("c", 1)], "x")
        assert [notice.token.display_name for notice in digest.notices] == ["c", "a", "b"]

    def test_a_hundred_are_listed_and_the_rest_is_counted(self) -> None:
        digest = compose([a_notice(str(number)) for number in range(130)], "x")
        assert (len(digest.listed), digest.more) == (MOST_LISTED, 30)


class TestOperationId:
    def test_it_is_the_same_in_any_order(self) -> None:
        one, two = a_notice("a"), a_notice("b")
        assert operation_id(compose([one, two], "x")) == operation_id(compose([two, one], "x"))

    def test_it_depends_on_recipient_and_on_every_notice(self) -> None:
        many = [a_notice(str(number)) for number in range(130)]
        ids = {
            operation_id(compose(many, "x")),
            operation_id(compose(many, "y")),
            operation_id(compose(many[:-1], "x")),
            operation_id(compose([*many[:-1], a_notice("129", 1)], "x")),
        }
        assert len(ids) == 4


class TestSubject:
    @pytest.mark.parametrize(
        ("days", "expected"),
        [
            (-1, '"ci" has expired'),
            (0.1, '"ci" expires today'),
            (1, '"ci" expires tomorrow'),
            (2, '"ci" expires in 2 days'),
            (5.1, '"ci" expires in 6 days'),
            (6.9, '"ci" expires in 7 days'),
        ],
    )
    def test_of_one_token_names_it(self, days: float, expected: str) -> None:
        assert of(a_notice("ci", days)) == expected

    def test_of_several_counts_them(self) -> None:
        assert of(a_notice("a", 6), a_notice("b", 6.5)) == "2 tokens expire within 7 days"

    def test_in_different_windows_says_when_the_first_goes(self) -> None:
        said = of(a_notice("a", 29.5), a_notice("b", 1.9))
        assert said == "2 tokens expire within 30 days, the first in 2 days"

    def test_with_expired_ones_says_both(self) -> None:
        said = of(a_notice("a", -1), a_notice("b", 6), a_notice("c", 6.5))
        assert said == "1 token has expired, 2 expire within 7 days"
        assert of(a_notice("a", -1), a_notice("b", -2)) == "2 tokens have expired"

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_stays_one_short_line_whatever_the_name(self, name: str) -> None:
        said = of(a_notice(name))
        assert said.isprintable()
        assert len(said) < 100

    def test_of_a_nameless_token_says_so(self) -> None:
        assert of(a_notice("")) == '"unnamed token" expires in 5 days'


class TestWhen:
    def test_it_says_the_time_in_full_and_how_far_away_it_is(self) -> None:
        now = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
        said = when(datetime(2026, 11, 24, 14, 0, tzinfo=UTC), now)
        assert said == "Tue 24 Nov 2026, 14:00 UTC (in 22 hours)"

    @pytest.mark.parametrize(
        ("hours", "expected"),
        [
            (24 * 6 + 1, "in 7 days"),
            (24 * 7, "in 7 days"),
            (48, "in 2 days"),
            (47.5, "in 48 hours"),
            (1, "in 1 hour"),
            (0.5, "in 30 minutes"),
            (0.001, "in a moment"),
            (0, "a moment ago"),
            (-1.5, "1 hour ago"),
            (-24 * 2.9, "2 days ago"),
        ],
    )
    def test_what_is_left_is_rounded_up_and_what_has_passed_down(
        self, hours: float, expected: str
    ) -> None:
        assert distance(NOW + timedelta(hours=hours), NOW) == expected


class TestShownName:
    def test_a_turn_of_direction_is_left_out(self) -> None:
        assert shown_name("left\u202etfel\u2066") == "lefttfel"

    def test_a_line_break_is_a_space(self) -> None:
        assert shown_name("a\r\nb\tc") == "a b c"

    def test_a_long_name_is_cut(self) -> None:
        assert shown_name("x" * 500, 10) == "xxxxxxxxx…"
