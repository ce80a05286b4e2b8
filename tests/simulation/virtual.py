"""An event loop on which waiting takes no time: where nobody has work, its clock jumps ahead."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tests.fakes import NOW

Answer = TypeVar("Answer")


class _Jumping(selectors.SelectSelector):
    """Waits by moving the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Nothing ever comes in but by the clock."""
        if timeout is None:
            raise RuntimeError("Everybody waits, and nothing is to come.")
        self.now += max(timeout, 0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs without real files or sockets."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Simulated seconds since the start."""
        return self._jumping.now


def clock() -> datetime:
    """The simulated time."""
    return NOW + timedelta(seconds=asyncio.get_running_loop().time())


def run(work: Coroutine[Any, Any, Answer]) -> Answer:
    """What a coroutine gives whose waiting takes no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
