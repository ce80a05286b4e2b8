"""The channel that leaves each mail and card as a file, for a desk without a mail server."""

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

from pat_core.channels.card import digest_card, summary_card, unmarked
from pat_core.channels.render import Mail, Renderer
from pat_core.errors import ChannelMisconfigured
from pat_core.model import EXPIRED, Digest, Notice
from pat_core.ports import Clock, Outcome
from pat_core.routes import is_webhook
from pat_core.rows import key_time, short_hash
from pat_core.summary import Summary

SENDER: Final = "PAT Warden <pat-warden@localhost>"
OPS_ADDRESS: Final = "ops@localhost"
NAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{16}")
"""What a mail or a card is called: when it was claimed, and a hash of its recipient."""
MAIL: Final = ".eml"
CARD: Final = ".card"
TEAMS: Final = "a Teams channel"


class OutboxChannel:
    """Writes a mail as `.eml` or a card as `.card`, and beside it a `.json` of what it is about.

    Cards are for the webhooks of routes, and summaries come as both. The name follows from the
    claim, so the same digest sent again is the same file. Implements Channel and OpsChannel.
    """

    def __init__(
        self, folder: Path, renderer: Renderer, clock: Clock, *, ops_address: str = OPS_ADDRESS
    ) -> None:
        self._ops_address = ops_address
        self._folder = folder
        self._renderer = renderer
        self._clock = clock

    async def send(self, digest: Digest, *, operation_id: str, claimed_at: datetime) -> None:
        """Write one mail or card. Raises ChannelMisconfigured where the folder takes none."""
        now = self._clock()
        about = {
            "recipient": digest.recipient,
            "operation_id": operation_id,
            "notices": [_about(notice) for notice in digest.notices],
        }
        if is_webhook(digest.recipient):
            self._leave_card(digest_card(digest, self._renderer, now), about, claimed_at)
        else:
            self._leave_mail(self._renderer.render(digest, now), about, claimed_at)

    async def outcome(self, operation_id: str) -> Outcome:
        """Unknown: the same digest again is the same file, so that nobody needs to know."""
        del operation_id
        return Outcome.UNKNOWN

    async def report(self, summary: Summary) -> None:
        """Write the mail and the card of a summary. Raises ChannelMisconfigured as above."""
        about = {"recipient": self._ops_address, "operation_id": str(uuid4()), "notices": []}
        self._leave_mail(self._renderer.summary(summary), about, summary.now)
        self._leave_card(summary_card(summary), about | {"recipient": TEAMS}, summary.now)

    def _leave_mail(self, mail: Mail, about: dict[str, Any], time: datetime) -> None:
        message = _message(mail, about["recipient"], about["operation_id"], time)
        self._leave(MAIL, message.as_bytes(policy=SMTP), about | {"subject": mail.subject}, time)

    def _leave_card(self, card: dict[str, Any], about: dict[str, Any], time: datetime) -> None:
        title = card["attachments"][0]["content"]["body"][0]["text"]
        content = json.dumps(card, indent=1, ensure_ascii=False).encode()
        self._leave(CARD, content, about | {"subject": unmarked(title)}, time)

    def _leave(self, suffix: str, content: bytes, about: dict[str, Any], time: datetime) -> None:
        name = f"{key_time(time)}-{short_hash(about['recipient'])}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(f"{name}.json", json.dumps(about, indent=1, ensure_ascii=False).encode())
            # Last, so that a mail that is there has all that belongs to it.
            self._write(f"{name}{suffix}", content)
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
    """A mail or a card that lies in the outbox."""

    name: str
    recipient: str
    subject: str
    notices: list[dict[str, Any]]
    is_card: bool = False
    source: bytes = b""

    @property
    def card(self) -> dict[str, Any]:
        """The Adaptive Card of the message."""
        return dict(json.loads(self.source)["attachments"][0]["content"])

    def part(self, subtype: str) -> str:
        """The body as `html` or `plain` text."""
        message = message_from_bytes(self.source, policy=SMTP)
        body = message.get_body((subtype,)) if isinstance(message, EmailMessage) else None
        return str(body.get_content()) if body else ""


def stored_names(folder: Path) -> list[str]:
    """The names of all mails and cards in the outbox, the newest first."""
    if not folder.is_dir():
        return []
    found = (path.stem for path in folder.iterdir() if path.suffix in (MAIL, CARD))
    return sorted(filter(NAME.fullmatch, found), reverse=True)


def read_stored(folder: Path, name: str, *, whole: bool = True) -> Stored | None:
    """One mail or card, with its source if `whole`; None for a name that is none of these."""
    paths = (folder / f"{name}{suffix}" for suffix in (MAIL, CARD))
    path = next((path for path in paths if NAME.fullmatch(name) and path.is_file()), None)
    if path is None:
        return None
    about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    source = path.read_bytes() if whole else b""
    recipient = TEAMS if is_webhook(about["recipient"]) else about["recipient"]
    is_card = path.suffix == CARD
    return Stored(name, recipient, about["subject"], about["notices"], is_card, source)


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
