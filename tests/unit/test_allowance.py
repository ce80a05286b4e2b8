from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pat_core.allowance import (
    Allowance,
    Tap,
    closed,
    left_today,
    one_more,
    one_more_today,
    opens_in,
    read_tap,
    tap_row,
)
from tests.fakes import NOW

MANAGED = Allowance(5, 10)


def left(*seconds_ago: int) -> Tap:
    return Tap(tuple(int(NOW.timestamp()) - each for each in seconds_ago))


class TestOpensIn:
    def test_a_new_one_is_open(self) -> None:
        assert opens_in(Tap(), MANAGED, NOW) == 0

    def test_without_an_allowance_it_is_always_open(self) -> None:
        assert opens_in(left(*[1] * 1000), Allowance(), NOW) == 0

    def test_after_five_in_a_minute_it_waits_for_the_first_to_be_a_minute_old(self) -> None:
        tap = left(50, 40, 30, 20, 10)
        assert opens_in(tap, MANAGED, NOW) == 11
        assert opens_in(tap, MANAGED, NOW + timedelta(seconds=11)) == 0

    def test_after_ten_in_an_hour_it_waits_for_the_hour(self) -> None:
        tap = left(*range(3500, 2500, -100))
        assert opens_in(tap, MANAGED, NOW) == 101

    def test_a_closed_one_opens_when_it_was_told_to(self) -> None:
        tap = closed(Tap(), 90, NOW)
        assert opens_in(tap, MANAGED, NOW) == 90
        assert opens_in(closed(tap, 5, NOW), MANAGED, NOW) == 90

    @given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 6), st.integers(1, 30))
    def test_no_minute_and_no_hour_ever_sees_more(
        self, gaps: list[int], per_minute: int, per_hour: int
    ) -> None:
        allowance, tap, now, sent = Allowance(per_minute, per_hour), Tap(), NOW, []
        for gap in gaps:
            now += timedelta(seconds=gap)
            if opens_in(tap, allowance, now) == 0:
                tap = one_more(tap, now)
                sent.append(now)
        for start in sent:
            assert sum(start <= each <= start + timedelta(minutes=1) for each in sent) <= per_minute
            assert sum(start <= each <= start + timedelta(hours=1) for each in sent) <= per_hour

    @given(st.lists(st.integers(0, 3700), max_size=40), st.integers(1, 6), st.integers(1, 30))
    def test_it_opens_when_it_says_and_not_before(
        self, ago: list[int], per_minute: int, per_hour: int
    ) -> None:
        allowance, tap = Allowance(per_minute, per_hour), left(*sorted(ago, reverse=True))
        wait = opens_in(tap, allowance, NOW)
        assert opens_in(tap, allowance, NOW + timedelta(seconds=wait)) == 0
        if wait > 0:
            assert opens_in(tap, allowance, NOW + timedelta(seconds=wait - 1)) > 0


class TestRow:
    def test_what_was_written_is_read(self) -> None:
        tap = closed(one_more(left(100, 50), NOW), 30, NOW)
        assert read_tap(tap_row("tap|email", tap)) == tap
        assert read_tap(None) == Tap()

    def test_what_is_older_than_an_hour_is_forgotten(self) -> None:
        assert len(one_more(left(3601, 3599), NOW).left_at) == 2


class TestToday:
    def test_a_day_is_counted(self) -> None:
        tap = left(86401, 86399, 10)
        assert left_today(tap, NOW) == 2
        assert left_today(one_more_today(tap, NOW), NOW) == 3
