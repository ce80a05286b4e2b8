"""How fast one identity may call: shared by all its workers, slowed down together.

Azure DevOps meters an identity, not a connection (200 TSTU in a sliding 5 minutes): it asks for a
pause by `Retry-After`, on a 200 too, and only then refuses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from anyio import CapacityLimiter

from pat_core.azure_devops.remedies import SCAN_LATER
from pat_core.azure_devops.share import Share
from pat_core.errors import Throttled
from pat_core.ports import Clock, Sleep

START: Final = 8
PATIENCE: Final = timedelta(seconds=5)
"""A longer pause is not waited for: what waits in a queue costs nothing."""
MOST_BETWEEN: Final = timedelta(seconds=30)
"""The same for the time between two calls where the budget is nearly used up."""


class Pace:
    """Hands out turns: few at first, more while all goes well, half as many when throttled."""

    def __init__(
        self,
        *,
        clock: Clock,
        sleep: Sleep,
        most: int,
        start: int = START,
        patience: timedelta = PATIENCE,
        later: str = SCAN_LATER,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._most = most
        self._patience = patience
        self._later = later
        self._share = Share(clock)
        self._last = datetime.min.replace(tzinfo=UTC)
        self._turns = CapacityLimiter(min(start, most))
        self._went_well = 0
        self._was_throttled = False
        self._opens_at = self._slowed_at = clock()

    @property
    def concurrency(self) -> int:
        """How many calls may be under way at once."""
        return int(self._turns.total_tokens)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[datetime]:
        """A turn to make one call; gives the time it began.

        Raises Throttled when the pause asked for is longer than our patience (later it may work).
        """
        async with self._turns:
            await self._wait(lambda: self._opens_at, self._patience)
            await self._wait(lambda: self._last + self._share.interval, MOST_BETWEEN)
            self._last = self._clock()
            self._share.count()
            yield self._last

    async def _wait(self, until: Callable[[], datetime], patience: timedelta) -> None:
        """Wait until a time, which may move meanwhile. Raises Throttled where that is too long."""
        while (wait := until() - self._clock()) > timedelta(0):
            if wait > patience:
                raise Throttled(
                    f"Azure DevOps asks to wait {wait.total_seconds():.0f} seconds.",
                    remedy=self._later,
                    seconds=wait.total_seconds(),
                )
            await self._sleep(wait.total_seconds())

    def heed(self, headers: Mapping[str, str]) -> None:
        """Keep to what a reply says of the budget that is left."""
        self._share.heed(headers)

    def pause(self, seconds: float, began: datetime) -> None:
        """Let nobody call for so many seconds, and halve the number of turns.

        Calls that were under way together are slowed down once, not once each.
        """
        now = self._clock()
        self._opens_at = max(self._opens_at, now + timedelta(seconds=seconds))
        self._went_well, self._was_throttled = 0, True
        if began >= self._slowed_at:
            self._turns.total_tokens = max(1, self.concurrency // 2)
            self._slowed_at = now

    def succeed(self) -> None:
        """Count a call that went well; each allows one turn more.

        Once throttled, it takes a round of calls as TCP does beyond its slow start.
        """
        self._went_well += 1
        enough = self.concurrency if self._was_throttled else 1
        if self._went_well >= enough and self.concurrency < self._most:
            self._went_well = 0
            self._turns.total_tokens = self.concurrency + 1
