"""How the embedded Azure DevOps meters an identity: its budget, delays, and at last refusals."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from types import MappingProxyType
from typing import Final

from pat_core.ports import Clock

WINDOW: Final = timedelta(minutes=5)
LIMIT: Final = 200.0
"""TSTU in a sliding window, for each identity."""
SHOWN_FROM: Final = 0.8
"""The headers stand on a reply once this share of the budget is used."""
LONGEST_DELAY: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Charge:
    """What becomes of one call: it waits `delay` seconds, or is refused; `headers` go with it."""

    delay: float = 0.0
    is_refused: bool = False
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class Metering:
    """Charges each call of one identity `cost` TSTU. What is refused costs nothing."""

    def __init__(self, clock: Clock, cost: float) -> None:
        self._clock = clock
        self._cost = cost
        self._charged: deque[datetime] = deque()
        self.calls = self.delayed = self.refused = 0

    @property
    def spent(self) -> float:
        """TSTU of all calls that were answered."""
        return self.calls * self._cost

    def charge(self) -> Charge:
        """What becomes of a call that comes now."""
        now = self._clock()
        while self._charged and self._charged[0] <= now - WINDOW:
            self._charged.popleft()
        over = ceil(((len(self._charged) + 1) * self._cost - LIMIT) / self._cost - 1e-9)
        wait = self._charged[over - 1] + WINDOW - now if over > 0 else timedelta(0)
        if wait > LONGEST_DELAY:
            self.refused += 1
            return Charge(is_refused=True, headers=self._headers(now, wait))
        self._charged.append(now)
        self.calls += 1
        self.delayed += wait > timedelta(0)
        used = len(self._charged) * self._cost
        headers = self._headers(now, wait) if used >= SHOWN_FROM * LIMIT else {}
        return Charge(wait.total_seconds(), headers=headers)

    def _headers(self, now: datetime, wait: timedelta) -> dict[str, str]:
        used, seconds = len(self._charged) * self._cost, wait.total_seconds()
        reset = (self._charged[-1] if self._charged else now) + WINDOW
        found = {
            "X-RateLimit-Resource": "TSTU",
            "X-RateLimit-Limit": f"{LIMIT:g}",
            "X-RateLimit-Remaining": f"{max(LIMIT - used, 0):.2f}",
            "X-RateLimit-Reset": str(ceil(reset.timestamp())),
        }
        if seconds > 0:
            found |= {"X-RateLimit-Delay": f"{seconds:.1f}", "Retry-After": str(ceil(seconds))}
        return found
