"""The channel that posts cards to Teams by a Workflows webhook."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import httpx
from pydantic import SecretStr

from pat_core.channels.card import digest_card, summary_card
from pat_core.channels.render import Renderer
from pat_core.errors import AddressRefused, ChannelBusy, ChannelError, ChannelMisconfigured
from pat_core.model import Digest
from pat_core.ports import Clock, Outcome, Sleep
from pat_core.summary import Summary

BETWEEN: Final = timedelta(seconds=1)
"""Teams takes one card a second."""
_DEFAULT_WAIT: Final = 60.0
_MEND: Final = (
    "Make a new webhook with the Teams template `Send webhook alerts to a channel` and put its "
    "address into PAT_TEAMS_WEBHOOK_URL."
)
_NO_WEBHOOK: Final = "The card could not be posted: no webhook is set up for this recipient."
_NAME_ONE: Final = (
    "Set PAT_TEAMS_WEBHOOK_URL; a route's `teams` may have changed since this was due."
)


class TeamsChannel:
    """Cards to one Teams channel, with a mention of the owner. Implements Channel and OpsChannel.

    A recipient in `routed` has a webhook of its own. Accepted means that the flow took the card,
    not that anybody saw it. A flow knows no operation id: after a crash between send and settle a
    card may come twice.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        renderer: Renderer,
        clock: Clock,
        sleep: Sleep,
        *,
        webhook: SecretStr | None,
        routed: Mapping[str, SecretStr] | None = None,
    ) -> None:
        self._http = http
        self._renderer = renderer
        self._clock = clock
        self._sleep = sleep
        self._webhook = webhook
        self._next_at = clock()
        self._routed = dict(routed or {})

    async def send(self, digest: Digest, *, operation_id: str, claimed_at: datetime) -> None:
        """Post one card. Raises ChannelError."""
        del operation_id, claimed_at
        webhook = self._routed.get(digest.recipient, self._webhook)
        await self._post(digest_card(digest, self._renderer, self._clock()), webhook)

    async def report(self, summary: Summary) -> None:
        """Post the card of a summary. Raises ChannelError."""
        await self._post(summary_card(summary), self._webhook)

    async def outcome(self, operation_id: str) -> Outcome:
        """Unknown: a flow cannot be asked."""
        del operation_id
        return Outcome.UNKNOWN

    async def reach(self) -> bool:
        """False: a webhook knows no question, so only a card can tell."""
        return False

    async def _post(self, message: dict[str, Any], webhook: SecretStr | None) -> None:
        if webhook is None:
            raise AddressRefused(_NO_WEBHOOK, remedy=_NAME_ONE)
        wait = (self._next_at - self._clock()).total_seconds()
        self._next_at = max(self._next_at, self._clock()) + BETWEEN
        if wait > 0:
            await self._sleep(wait)
        try:
            reply = await self._http.post(webhook.get_secret_value(), json=message)
        except httpx.HTTPError as fault:
            # Its text may hold the address, which is a secret.
            cause = f"The card could not be posted: no answer ({type(fault).__name__})."
            raise ChannelError(cause) from None
        if error := _meaning(reply):
            raise error


def _meaning(reply: httpx.Response) -> ChannelError | None:
    status, is_page = reply.status_code, reply.content.lstrip()[:1] == b"<"
    if reply.is_success and not is_page:
        return None
    cause = f"The card could not be posted: Teams answered {status}{' with a page' * is_page}."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        text = reply.headers.get("retry-after", "")
        return ChannelBusy(cause, seconds=float(text) if text.isdigit() else _DEFAULT_WAIT)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ChannelError(cause)
    return ChannelMisconfigured(cause, remedy=_MEND)
