"""How often one process may call, so that its identity's budget is used up and never overdrawn.

Azure DevOps says what is left of the budget on replies once little is left. The rate follows that:
it falls as the rest does, and settles where the budget grows back as fast as it is used. What one
call costs is published nowhere, so it is learnt from what is used of the budget and how many calls
this process made; who shares the identity makes its calls look dearer, and so halves its rate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from pat_core.ports import Clock

WINDOW: Final = timedelta(minutes=5)
"""The budget slides over this time. Microsoft Learn, rate and usage limits."""
GAIN: Final = 40.0
"""So many times what the rest of the budget alone would allow: of 41 parts, 40 are used."""
RESERVE: Final = 0.02
"""This part of the budget is left alone, for calls that are under way."""
FEW: Final = 20
"""Who makes no more calls than this in a window is not held up: an owner's page, a revocation."""
QUIET: Final = timedelta(seconds=10)
"""Not each reply says what is left. When none did for so long, there is room."""
SLOWEST: Final = timedelta(minutes=1)
"""Who has nothing to learn from, or nothing left, looks again after this time."""
_SECOND: Final = timedelta(seconds=1)


class Share:
    """Counts a process's calls, and gives the time between two of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seconds: deque[tuple[datetime, int]] = deque()
        self._calls = 0
        self._cost = self._limit = 0.0
        self._heard_at = clock()

    def count(self) -> None:
        """Count a call that begins now."""
        now = self._clock()
        if self._seconds and now - self._seconds[-1][0] < _SECOND:
            began, calls = self._seconds[-1]
            self._seconds[-1] = (began, calls + 1)
        else:
            self._seconds.append((now, 1))
        self._calls += 1

    def heed(self, headers: Mapping[str, str]) -> None:
        """Learn from a reply what a call costs; where none speaks of it, there is no limit."""
        left, limit = _number(headers, "remaining"), _number(headers, "limit")
        now = self._clock()
        self._forget()
        if left is not None and limit and self._calls:
            self._limit, self._heard_at = limit, now
            self._cost = max(limit - left, 0.0) / self._calls
        elif now - self._heard_at >= QUIET:
            self._cost = 0.0

    @property
    def interval(self) -> timedelta:
        """The time from one call to the next, as of now."""
        self._forget()
        if not self._cost or self._calls < FEW:
            return timedelta(0)
        left = self._limit * (1 - RESERVE) - self._cost * self._calls
        if left <= 0:
            # It grows back when the first of the calls is so old that it counts no more.
            first, last = self._seconds[0][0], self._seconds[-1][0]
            return min(SLOWEST, first + WINDOW - last)
        seconds = WINDOW.total_seconds() * self._cost / (GAIN * left)
        return timedelta(seconds=min(SLOWEST.total_seconds(), seconds))

    def _forget(self) -> None:
        oldest = self._clock() - WINDOW
        while self._seconds and self._seconds[0][0] <= oldest:
            self._calls -= self._seconds.popleft()[1]


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        found = float(headers.get(f"x-ratelimit-{name}", ""))
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None
