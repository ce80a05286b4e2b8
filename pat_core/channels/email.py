"""The channel that sends mails by Azure Communication Services Email, API 2025-09-01."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

from azure.communication.email.aio import EmailClient
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.rest import HttpRequest

from pat_core.channels import calendar
from pat_core.channels.render import Mail, Renderer
from pat_core.errors import (
    AddressRefused,
    ChannelBusy,
    ChannelError,
    ChannelMisconfigured,
)
from pat_core.model import Digest
from pat_core.ports import Clock, Outcome
from pat_core.summary import Summary

API_VERSION: Final = "2025-09-01"
_DEFAULT_WAIT: Final = 60.0
_ABOUT_THE_ADDRESS: Final = (
    "InvalidRecipient",
    "InvalidEmailAddress",
    "EmailDropped",
    "RecipientsSuppressed",
)
_ABOUT_US: Final = ("Sender", "Domain", "ReplyTo")
_MEND: Final = (
    "Check PAT_EMAIL_SENDER, that its domain is connected to the Communication Services resource, "
    "and that this identity is Communication and Email Service Owner there."
)


class EmailChannel:
    """Mails from one sender address. Implements the ports Channel and OpsChannel."""

    def __init__(
        self,
        client: EmailClient,
        renderer: Renderer,
        clock: Clock,
        *,
        sender: str,
        reply_to: str = "",
        ops_address: str = "",
        with_calendar: bool = True,
    ) -> None:
        self._client = client
        self._renderer = renderer
        self._clock = clock
        self._sender = sender
        self._reply_to = reply_to
        self._ops_address = ops_address
        self._with_calendar = with_calendar

    async def send(self, digest: Digest, *, operation_id: str, claimed_at: datetime) -> None:
        """Hand one mail over, under its operation id. Raises ChannelError."""
        now = self._clock()
        entries = calendar.calendar(digest, now) if self._with_calendar else b""
        mail = self._renderer.render(digest, now)
        message = self._message(mail, digest.recipient, entries)
        await self._post(message, operation_id, claimed_at)

    async def report(self, summary: Summary) -> None:
        """Hand the mail of a summary over. Raises ChannelError."""
        message = self._message(self._renderer.summary(summary), self._ops_address)
        await self._post(message, str(uuid4()), summary.now)

    async def outcome(self, operation_id: str) -> Outcome:
        """What the service knows of an operation id. Raises ChannelError."""
        request = HttpRequest(
            "GET", f"/emails/operations/{operation_id}", params={"api-version": API_VERSION}
        )
        try:
            reply = await self._client.send_request(request, retry_total=0)
            if reply.status_code == HTTPStatus.NOT_FOUND:
                return Outcome.UNKNOWN
            reply.raise_for_status()
            status = reply.json().get("status")
        except (AzureError, ValueError, AttributeError) as fault:
            raise _meaning(fault, "The mail service could not be asked") from None
        return Outcome.REFUSED if status in ("Failed", "Canceled") else Outcome.ACCEPTED

    async def reach(self) -> bool:
        """True where the service lets us in: asked for what nobody sent. Raises ChannelError."""
        await self.outcome(str(uuid4()))
        return True

    async def _post(self, message: dict[str, Any], operation_id: str, claimed_at: datetime) -> None:
        # The service takes a repeat within 5 minutes for what it is by these, later by the id.
        headers = {
            "Repeatability-Request-Id": operation_id,
            "Repeatability-First-Sent": format_datetime(claimed_at, usegmt=True),
        }
        for last in (False, True):
            try:
                await self._client.begin_send(
                    message,
                    operation_id=operation_id,
                    headers=headers,
                    polling=False,
                    retry_total=0,
                )
            except AzureError as fault:
                # A clock that is a little off is refused now and then; a second try has another.
                if last or getattr(fault, "status_code", 0) != HTTPStatus.UNAUTHORIZED:
                    raise _meaning(fault) from None
            else:
                return

    def _message(self, mail: Mail, recipient: str, entries: bytes = b"") -> dict[str, Any]:
        """The payload, made anew for each recipient."""
        message: dict[str, Any] = {
            "senderAddress": self._sender,
            "recipients": {"to": [{"address": recipient}]},
            "content": {"subject": mail.subject, "html": mail.html, "plainText": mail.text},
            "headers": {"Auto-Submitted": "auto-generated"},
            "userEngagementTrackingDisabled": True,
        }
        if self._reply_to:
            message["replyTo"] = [{"address": self._reply_to}]
        if entries:
            content = b64encode(entries).decode()
            attachment = {"name": calendar.NAME, "contentType": calendar.TYPE}
            message["attachments"] = [attachment | {"contentInBase64": content}]
        return message


def _meaning(fault: Exception, failed: str = "The mail could not be handed over") -> ChannelError:
    """Which error a failed call means; it holds nothing of the message."""
    status = getattr(fault, "status_code", None)
    said = f"the mail service answered {status}{_code(fault)}" if status else "it gave no answer"
    cause = f"{failed}: {said}."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ChannelBusy(cause, seconds=_wait(fault))
    if status == HTTPStatus.BAD_REQUEST and any(each in said for each in _ABOUT_THE_ADDRESS):
        return AddressRefused(cause, remedy="Correct the owner's address, or a route for it.")
    is_ours = status == HTTPStatus.BAD_REQUEST and any(each in said for each in _ABOUT_US)
    if isinstance(fault, ClientAuthenticationError) or status in (401, 403, 404) or is_ours:
        return ChannelMisconfigured(cause, remedy=_MEND)
    # Microsoft lists no codes: one mail that is refused for a reason of its own stops no other.
    return ChannelError(cause)


def _code(fault: Exception) -> str:
    error = getattr(fault, "error", None)
    code = getattr(error, "code", None)
    return f" ({str(code)[:80]})" if code else ""


def _wait(fault: Exception) -> float:
    response: Any = getattr(fault, "response", None)
    text = response.headers.get("Retry-After", "") if response else ""
    return float(text) if text.isdigit() else _DEFAULT_WAIT
