"""Sends requests: signed, paced, tried again where that helps and does no harm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx

from pat_core.azure_devops import wire
from pat_core.azure_devops.credential import Credential
from pat_core.azure_devops.pace import Pace
from pat_core.azure_devops.refusal import given_up, refusal, unavailable
from pat_core.azure_devops.remedies import Remedies
from pat_core.azure_devops.transport import BROKEN, limits_of, send, why
from pat_core.azure_devops.wire import Effect, Reply, Request
from pat_core.errors import AzureDevOpsError
from pat_core.ports import SILENT, Clock, Meter, Sleep
from pat_core.signals import THROTTLED

ATTEMPTS: Final = 6
FIRST_BACKOFF: Final = 0.5
_MOST_WRITES: Final = 3
_WRITE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is tried, and for how many seconds a new try may still begin.

    `silence` is how many seconds a server may say nothing.
    """

    attempts: int = ATTEMPTS
    seconds: float = math.inf
    silence: float = 60.0

    def for_call(self, call: wire.Call) -> Patience:
        """What is left of it for this call: somebody waits for what is written."""
        if call.effect is Effect.NONE:
            return self
        attempts, seconds = min(self.attempts, _MOST_WRITES), min(self.seconds, _WRITE_SECONDS)
        return Patience(attempts, seconds, self.silence)


FOR_A_SCAN: Final = Patience()
FOR_A_PAGE: Final = Patience(attempts=3, seconds=5.0, silence=40.0)
"""What somebody who looks at a page is willing to wait.

Azure DevOps delays a call by up to 30 seconds before it refuses one: to hang up sooner would leave
it unknown what became of it.
"""


@dataclass(frozen=True, slots=True)
class _Failure:
    """A try that brought nothing: wait `backoff`, and the pace adds a `pause` of its own."""

    error: AzureDevOpsError
    backoff: float = 0.0
    pause: float = 0.0
    was_turned_away: bool = False


class Sender:
    """Makes calls as one identity."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        credential: Credential,
        pace: Pace,
        *,
        clock: Clock,
        sleep: Sleep,
        jitter: Callable[[], float],
        patience: Patience,
        meter: Meter = SILENT,
    ) -> None:
        self._transport = transport
        self._credential = credential
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._patience = patience
        self._meter = meter
        self._limits = limits_of(patience.silence)

    @property
    def remedies(self) -> Remedies:
        """What helps whoever signs."""
        return self._credential.remedies

    async def reply(self, request: Request) -> Reply:
        """The reply to read on; what asks for another try gets it, a bounded number of times.

        A call that would act twice gets one only where it was turned away before it acted.
        Raises AzureDevOpsError.
        """
        began, patience = self._clock(), self._patience.for_call(request.call)
        attempt = 0
        while True:
            outcome = await self._try(request, attempt)
            if isinstance(outcome, Reply):
                return self._accepted(request, outcome)
            attempt += 1
            harms = request.call.effect is Effect.TWICE and not outcome.was_turned_away
            spent = (self._clock() - began).total_seconds() + outcome.backoff + outcome.pause
            if harms or attempt >= patience.attempts or spent > patience.seconds:
                raise outcome.error
            await self._sleep(outcome.backoff)

    async def _try(self, request: Request, attempt: int) -> Reply | _Failure:
        try:
            async with self._pace.turn() as began:
                authorization = await self._credential.authorization()
                reply = await send(self._transport, request, authorization, self._limits)
                pause = self._slow_down(reply, began, attempt)
        except BROKEN as broken:
            return _Failure(unavailable(request, why(broken)), self._backoff(attempt))
        throttled = wire.is_throttled(reply)
        if not throttled and not wire.is_server_fault(reply):
            return reply
        error = given_up(request, reply, tries=attempt + 1, pause=pause)
        if throttled:
            self._meter.record(THROTTLED, 1, organization=request.organization.name)
            # It waits for its next turn: the pause is everybody's.
            return _Failure(error, pause=pause, was_turned_away=wire.was_turned_away(reply))
        return _Failure(error, self._backoff(attempt))

    def _slow_down(self, reply: Reply, began: datetime, attempt: int) -> float:
        """Obey what the reply says about pace; gives the seconds of the pause."""
        self._pace.heed(reply.headers)
        seconds = wire.retry_after(reply, self._clock()) or 0.0
        if not seconds and wire.is_throttled(reply):
            seconds = self._backoff(attempt)
        if seconds:
            self._pace.pause(seconds, began)
        return seconds

    def _accepted(self, request: Request, reply: Reply) -> Reply:
        signer = self._credential
        if error := refusal(request, reply, is_pat=signer.is_pat, remedies=signer.remedies):
            raise error
        self._pace.succeed()
        return reply

    def _backoff(self, attempt: int) -> float:
        return float(FIRST_BACKOFF * 2**attempt * (0.5 + self._jitter()))
