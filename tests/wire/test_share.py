"""What a process makes of the words of Azure DevOps about its budget."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pat_core.azure_devops.share import FEW, QUIET, SLOWEST, WINDOW, Share
from tests.fakes import FakeTime

SECOND = timedelta(seconds=1)


def said(left: float, limit: float = 200) -> dict[str, str]:
    return {"x-ratelimit-remaining": str(left), "x-ratelimit-limit": str(limit)}


def made(share: Share, calls: int) -> None:
    for _ in range(calls):
        share.count()


@pytest.fixture
def share(time: FakeTime) -> Share:
    return Share(time.clock)


class TestInterval:
    def test_nothing_said_nothing_waited(self, share: Share) -> None:
        made(share, 1000)
        assert share.interval == timedelta(0)

    def test_a_reply_that_says_nothing_takes_no_limit_away_until_none_did_for_a_while(
        self, share: Share, time: FakeTime
    ) -> None:
        made(share, 1000)
        share.heed(said(20))
        share.heed({})
        assert share.interval > timedelta(0)
        time.now += QUIET
        share.heed({})
        assert share.interval == timedelta(0)

    def test_who_calls_rarely_is_not_held_up(self, share: Share) -> None:
        made(share, FEW - 1)
        share.heed(said(0))
        assert share.interval == timedelta(0)

    def test_the_less_is_left_the_longer_it_is(self, share: Share) -> None:
        made(share, 1000)
        found = []
        for left in (40, 20, 5, 3):
            share.heed(said(left))
            found.append(share.interval)
        assert timedelta(0) < found[0]
        assert found == sorted(found)

    def test_where_nothing_is_left_it_ends_as_the_first_calls_do(
        self, share: Share, time: FakeTime
    ) -> None:
        made(share, 1000)
        time.now += WINDOW - 20 * SECOND
        made(share, 1)
        share.heed(said(0))
        assert share.interval == 20 * SECOND
        time.now += 20 * SECOND
        assert share.interval < SECOND

    def test_a_new_process_looks_again_after_a_while(self, share: Share) -> None:
        made(share, FEW)
        share.heed(said(4.2))
        assert share.interval == SLOWEST

    def test_next_to_nothing_is_no_time_without_end(self, share: Share) -> None:
        made(share, FEW)
        share.heed(said(4.0000000000000001, 200))
        assert share.interval <= SLOWEST
        share.heed(said(4 + 1e-13, 200))
        assert share.interval <= SLOWEST

    def test_who_shares_the_identity_gets_half(self, time: FakeTime) -> None:
        alone, half = Share(time.clock), Share(time.clock)
        made(alone, 1000)
        made(half, 500)
        alone.heed(said(20))
        half.heed(said(20))
        assert half.interval == 2 * alone.interval

    @pytest.mark.parametrize(
        "words", [{"x-ratelimit-remaining": "5"}, said(-1), said(5, 0), said(float("nan"))]
    )
    def test_what_cannot_be_is_not_heeded(self, share: Share, words: dict[str, str]) -> None:
        made(share, 10)
        share.heed(words)
        assert share.interval == timedelta(0)
