from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from pat_core.azure_devops.pace import Pace
from pat_core.errors import Throttled
from tests.fakes import FakeTime

pytestmark = pytest.mark.anyio


@pytest.fixture
def pace(time: FakeTime) -> Pace:
    return Pace(clock=time.clock, sleep=time.sleep, most=16, patience=timedelta(minutes=5))


async def go_well(pace: Pace, calls: int) -> None:
    for _ in range(calls):
        async with pace.turn():
            pace.succeed()


class TestConcurrency:
    async def test_it_starts_at_eight_and_grows_to_the_setting(self, pace: Pace) -> None:
        assert pace.concurrency == 8
        await go_well(pace, 1)
        assert pace.concurrency == 9
        await go_well(pace, 1000)
        assert pace.concurrency == 16

    async def test_once_throttled_it_grows_by_one_a_round(self, pace: Pace, time: FakeTime) -> None:
        pace.pause(1, time.now)
        await go_well(pace, 3)
        assert pace.concurrency == 4
        await go_well(pace, 1)
        assert pace.concurrency == 5
        await go_well(pace, 4)
        assert pace.concurrency == 5

    async def test_a_setting_below_the_start_is_kept(self, time: FakeTime) -> None:
        assert Pace(clock=time.clock, sleep=time.sleep, most=3).concurrency == 3

    async def test_it_halves_when_throttled_and_never_stops(
        self, pace: Pace, time: FakeTime
    ) -> None:
        for expected in (4, 2, 1, 1):
            async with pace.turn() as began:
                pace.pause(1, began)
            assert pace.concurrency == expected

    async def test_calls_that_were_under_way_together_slow_it_down_once(
        self, pace: Pace, time: FakeTime
    ) -> None:
        before = time.now
        time.now += timedelta(seconds=1)
        pace.pause(1, before + timedelta(milliseconds=5))
        pace.pause(1, before + timedelta(milliseconds=6))
        assert pace.concurrency == 4

    async def test_no_more_turns_are_out_than_allowed(self, pace: Pace) -> None:
        out, most = 0, 0

        async def call() -> None:
            nonlocal out, most
            async with pace.turn():
                out += 1
                most = max(most, out)
                await asyncio.sleep(0)
                out -= 1

        await asyncio.gather(*(call() for _ in range(50)))
        assert most == 8


class TestPause:
    async def test_everybody_waits(self, pace: Pace, time: FakeTime) -> None:
        pace.pause(30, time.now)
        start = time.now
        await asyncio.gather(*(go_well(pace, 1) for _ in range(5)))
        assert (time.now - start).total_seconds() >= 30

    async def test_a_shorter_pause_does_not_shorten_a_longer_one(
        self, pace: Pace, time: FakeTime
    ) -> None:
        pace.pause(30, time.now)
        pace.pause(1, time.now)
        await go_well(pace, 1)
        assert sum(time.slept) == 30

    async def test_a_pause_beyond_patience_is_an_error_that_says_how_long(
        self, pace: Pace, time: FakeTime
    ) -> None:
        pace.pause(301, time.now)
        with pytest.raises(Throttled, match="301 seconds"):
            await go_well(pace, 1)
        assert time.slept == []
