"""The channel that leaves each mail as a file, for a desk without a mail server."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from pat_core.channels.render import Mail, Renderer
from pat_core.errors import ChannelMisconfigured
from pat_core.model import EXPIRED, Digest, Notice
from pat_core.ports import Clock, Outcome
from pat_core.rows import key_time, short_hash
from pat_core.summary import Summary

SENDER: Final = "PAT Warden <pat-warden@localhost>"
OPS_ADDRESS: Final = "ops@localhost"
NAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{16}")
"""What a mail is called: when it was claimed, and a hash of its recipient."""


class OutboxChannel:
    """Writes a mail as `.eml`, and beside it a `.json` that says what it is about.

    The name follows from the claim, so the same digest sent again is the same file. Implements
    the ports Channel and OpsChannel.
    """

    def __init__(
        self, folder: Path, renderer: Renderer, clock: Clock, *, ops_address: str = OPS_ADDRESS
    ) -> None:
        self._ops_address = ops_address
        self._folder = folder
        self._renderer = renderer
        self._clock = clock

    async def send(self, digest: Digest, *, operation_id: str, claimed_at: datetime) -> None:
        """Write one mail. Raises ChannelMisconfigured where the folder can't be written to."""
        mail = self._renderer.render(digest, self._clock())
        notices = [_about(notice) for notice in digest.notices]
        self._leave(mail, digest.recipient, operation_id, claimed_at, notices)

    async def outcome(self, operation_id: str) -> Outcome:
        """Unknown: the same digest again is the same file, so that nobody needs to know."""
        del operation_id
        return Outcome.UNKNOWN

    async def report(self, summary: Summary) -> None:
        """Write the mail of a summary. Raises ChannelMisconfigured as above."""
        mail = self._renderer.summary(summary)
        self._leave(mail, self._ops_address, str(uuid4()), summary.now, [])

    def _leave(
        self,
        mail: Mail,
        recipient: str,
        operation_id: str,
        time: datetime,
        notices: list[dict[str, Any]],
    ) -> None:
        name = f"{key_time(time)}-{short_hash(recipient)}"
        about = {
            "recipient": recipient,
            "subject": mail.subject,
            "operation_id": operation_id,
            "notices": notices,
        }
        message = _message(mail, recipient, operation_id, time)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(f"{name}.json", json.dumps(about, indent=1, ensure_ascii=False).encode())
            # Last, so that a mail that is there has all that belongs to it.
            self._write(f"{name}.eml", message.as_bytes(policy=SMTP))
        except OSError as fault:
            raise ChannelMisconfigured(
                f"The outbox {self._folder} cannot be written: {fault.strerror}.",
                remedy="Check that the folder can be written to and that the disk has room; "
                "PAT_LOCAL_DIR names another folder.",
            ) from None

    def _write(self, name: str, content: bytes) -> None:
        draft = self._folder / f".{name}.{os.getpid()}"
        try:
            draft.write_bytes(content)
            draft.replace(self._folder / name)
        finally:
            draft.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Stored:
    """A mail that lies in the outbox."""

    name: str
    recipient: str
    subject: str
    notices: list[dict[str, Any]]
    source: bytes = b""

    def part(self, subtype: str) -> str:
        """The body as `html` or `plain` text."""
        message = message_from_bytes(self.source, policy=SMTP)
        body = message.get_body((subtype,)) if isinstance(message, EmailMessage) else None
        return str(body.get_content()) if body else ""


def stored_names(folder: Path) -> list[str]:
    """The names of all mails in the outbox, the newest first."""
    if not folder.is_dir():
        return []
    return sorted((path.stem for path in folder.glob("*.eml")), reverse=True)


def read_stored(folder: Path, name: str, *, whole: bool = True) -> Stored | None:
    """One mail, with its source if `whole`; None for a name that is none of the outbox's."""
    if not NAME.fullmatch(name) or not (folder / f"{name}.eml").is_file():
        return None
    about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    source = (folder / f"{name}.eml").read_bytes() if whole else b""
    return Stored(name, about["recipient"], about["subject"], about["notices"], source)


def _message(mail: Mail, recipient: str, operation_id: str, claimed_at: datetime) -> EmailMessage:
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = recipient
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(claimed_at)
    message["Message-ID"] = f"<{operation_id}@pat-warden.localhost>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def _about(notice: Notice) -> dict[str, Any]:
    return {
        "organization": notice.owner.organization,
        "authorization_id": notice.token.authorization_id,
        "display_name": notice.token.display_name,
        "window": "expired" if notice.window == EXPIRED else notice.window,
        "valid_to": notice.token.valid_to.isoformat(),
        "expires_at": notice.expires_at.isoformat(),
    }
