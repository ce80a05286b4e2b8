from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pat_core.expiry import (
    DEFAULT_WINDOWS_DAYS,
    EXPIRED_NOTICE_FOR,
    current_window,
    due_window,
    effective_expiry,
)
from pat_core.model import EXPIRED, Standing, Token

BORN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def token(
    lifetime: timedelta = 90 * DAY, *, is_valid: bool = True, is_global: bool = False
) -> Token:
    return Token("id", "name", "vso.code", BORN, BORN + lifetime, is_valid, is_global)


class TestEffectiveExpiry:
    def test_a_global_pat_ends_with_the_first_of_december(self) -> None:
        assert effective_expiry(token(700 * DAY, is_global=True)) == datetime(
            2026, 12, 1, tzinfo=UTC
        )

    def test_a_global_pat_may_end_sooner(self) -> None:
        assert effective_expiry(token(90 * DAY, is_global=True)) == BORN + 90 * DAY

    def test_any_other_token_ends_when_it_says(self) -> None:
        assert effective_expiry(token(700 * DAY)) == BORN + 700 * DAY


class TestTheLifeOfOneToken:
    """One token of 90 days, looked at on one day after the other."""

    STEPS = (
        # days before expiry, notice due
        (60, None),
        (31, None),
        (30, 30),
        (29, None),
        (15, None),
        (14, 14),
        (7.01, None),
        (7, 7),
        (6.99, None),
        (3, 3),
        (2, None),
        (1, 1),
        (0.5, None),
        (0, EXPIRED),
        (-0.5, None),
        (-7, None),
        (-8, None),
    )

    def test_each_window_is_due_once(self) -> None:
        standing = Standing()
        life = token()
        for days, expected in self.STEPS:
            now = life.valid_to - days * DAY
            due = due_window(life, standing, now, DEFAULT_WINDOWS_DAYS)
            assert due == expected, f"{days} days before expiry"
            if due is not None:
                standing = Standing(due, life.valid_to)

    def test_extending_it_starts_anew(self) -> None:
        before, after = token(90 * DAY), token(180 * DAY)
        standing = Standing(3, before.valid_to)
        now = after.valid_to - 20 * DAY
        assert due_window(after, standing, now, DEFAULT_WINDOWS_DAYS) == 30

    def test_after_a_gap_only_the_tightest_window_is_due(self) -> None:
        now = token().valid_to - 2 * DAY
        assert due_window(token(), Standing(), now, DEFAULT_WINDOWS_DAYS) == 3

    def test_the_expired_notice_is_due_for_seven_days(self) -> None:
        end = token().valid_to
        assert due_window(token(), Standing(), end + 7 * DAY, (30,)) == EXPIRED
        assert due_window(token(), Standing(), end + 7 * DAY + DAY / 1000, (30,)) is None


class TestWhatIsNeverDue:
    def test_a_revoked_token(self) -> None:
        assert due_window(token(is_valid=False), Standing(), BORN + 89 * DAY, (30,)) is None

    def test_a_token_left_to_expire(self) -> None:
        assert due_window(token(), Standing(lets_expire=True), BORN + 89 * DAY, (30,)) is None

    def test_a_snoozed_token_until_it_wakes(self) -> None:
        now = BORN + 85 * DAY
        standing = Standing(snoozed_until=now + DAY)
        assert due_window(token(), standing, now, (30, 7)) is None
        assert due_window(token(), standing, now + DAY, (30, 7)) == 7


class TestShortLives:
    @pytest.mark.parametrize(("days", "window"), [(8, 7), (7, None), (31, 30), (30, None)])
    def test_windows_as_long_as_the_whole_life_are_skipped(
        self, days: int, window: int | None
    ) -> None:
        life = token(days * DAY)
        now = BORN + DAY if days in (8, 31) else BORN
        assert current_window(life, now, (30, 14, 7)[: 3 if days < 30 else 1]) == window

    def test_a_token_of_eight_hours_is_told_of_only_after_its_end(self) -> None:
        life = token(timedelta(hours=8))
        assert current_window(life, BORN, DEFAULT_WINDOWS_DAYS) is None
        assert current_window(life, life.valid_to, DEFAULT_WINDOWS_DAYS) == EXPIRED

    def test_an_unknown_lifetime_skips_no_window(self) -> None:
        life = Token("id", "", "", BORN, BORN)
        assert current_window(life, BORN - 20 * DAY, DEFAULT_WINDOWS_DAYS) == 30


windows_of_days = st.sets(st.integers(1, 60), min_size=1, max_size=6).map(
    lambda days: tuple(sorted(days, reverse=True))
)
hours = st.integers(-24 * 30, 24 * 400)


class TestAnySchedule:
    @given(
        life=st.integers(1, 24 * 365), runs=st.lists(hours, max_size=60), windows=windows_of_days
    )
    def test_a_window_is_notified_at_most_once(
        self, life: int, runs: list[int], windows: tuple[int, ...]
    ) -> None:
        subject, standing, sent = token(timedelta(hours=life)), Standing(), []
        for hour in runs:
            due = due_window(subject, standing, BORN + timedelta(hours=hour), windows)
            if due is not None:
                sent.append(due)
                standing = Standing(due, subject.valid_to)
        assert len(sent) == len(set(sent))
        assert sent == sorted(sent, reverse=True)

    @given(
        life=st.integers(2, 24 * 365),
        before=st.lists(hours, max_size=20),
        windows=windows_of_days,
        data=st.data(),
    )
    def test_a_token_that_lives_through_a_run_in_its_last_window_is_notified(
        self, life: int, before: list[int], windows: tuple[int, ...], data: st.DataObject
    ) -> None:
        fitting = [days for days in windows if days * 24 < life]
        if not fitting:
            return
        last = min(fitting)
        run_in_last = data.draw(st.integers(life - last * 24, life - 1))
        subject, standing, told = token(timedelta(hours=life)), Standing(), set()
        for hour in [*sorted(h for h in before if h < run_in_last), run_in_last]:
            due = due_window(subject, standing, BORN + timedelta(hours=hour), windows)
            if due is not None:
                told.add(due)
                standing = Standing(due, subject.valid_to)
        assert last in told

    @given(late=st.integers(0, 24 * 30))
    def test_an_expired_notice_is_at_most_seven_days_late(self, late: int) -> None:
        now = token().valid_to + timedelta(hours=late)
        due = due_window(token(), Standing(), now, DEFAULT_WINDOWS_DAYS)
        assert (due == EXPIRED) == (timedelta(hours=late) <= EXPIRED_NOTICE_FOR)
