"""Adaptive Cards (1.5) of digests and summaries, as a Teams workflow takes them. Pure."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, Final

from pat_core.channels.render import Renderer, TokenRow
from pat_core.digest import shown_name, subject
from pat_core.model import Digest
from pat_core.routes import is_webhook
from pat_core.summary import Summary

LARGEST: Final = 20_000
"""Bytes: Teams takes 28,672 and makes a card larger before it counts."""
_SIGNS: Final = r"\`*_{}[]()#!|~"
_COLOURS: Final = {"now": "attention", "soon": "warning", "later": "accent"}
_MOST_FIGURES: Final = 20
_LONGEST_NAME: Final = 80


def digest_card(digest: Digest, renderer: Renderer, now: datetime) -> dict[str, Any]:
    """The message of a digest: the owner is mentioned; as many tokens as fit, then "+N more".

    A copy in a channel of its own mentions nobody.
    """
    rows = renderer.rows(digest, now)
    name = "" if is_webhook(digest.recipient) else _mentioned(digest)
    title = subject(digest, now).removeprefix("[Azure DevOps] ")
    link = rows[0].link
    for shown in range(len(rows), -1, -1):
        body = [
            _text(title, size="large", weight="bolder"),
            _greeting(name, "were changed" if digest.is_of_deeds else "need a look"),
            *(_token(row) for row in rows[:shown]),
        ]
        if more := len(digest.notices) - shown:
            body.append(_text(f"+{more} more", isSubtle=True))
        message = _message(body, [{"type": "Action.OpenUrl", "title": "Open tokens", "url": link}])
        if name:
            _mention(message, digest.recipient, name)
        if _size(message) <= LARGEST:
            break
    return message


def summary_card(summary: Summary) -> dict[str, Any]:
    """The message of a summary: what is wrong first, then the figures of each organization."""
    troubles = [_text(f"- {each}") for each in summary.troubles[:_MOST_FIGURES]]
    sections = [
        {
            "type": "Container",
            "separator": True,
            "items": [
                _text(each.name, weight="bolder"),
                {
                    "type": "FactSet",
                    "facts": [
                        {"title": name, "value": figure} for name, figure in summary.figures(each)
                    ],
                },
            ],
        }
        for each in summary.organizations
    ]
    title = _text(summary.subject.removeprefix("[PAT Warden] "), size="large", weight="bolder")
    for shown in range(len(sections), -1, -1):
        left = len(sections) - shown
        rest = [_text(f"+{left} more organizations", isSubtle=True)] if left else []
        message = _message([title, *troubles, *sections[:shown], _text(summary.sent), *rest], [])
        if _size(message) <= LARGEST:
            break
    return message


def _mentioned(digest: Digest) -> str:
    first = digest.notices[0]
    known = digest.recipient if first.is_copy else first.owner.display_name or digest.recipient
    # A mention has to stand in the text exactly as it stands in the entity.
    shown = shown_name(known, _LONGEST_NAME)
    return "".join(each for each in shown if each not in _SIGNS and each not in "<>&")


def _greeting(name: str, what: str) -> dict[str, Any]:
    whose = f"<at>{name}</at>, these personal access tokens" if name else "These tokens of others"
    return {"type": "TextBlock", "text": f"{whose} {what}.", "wrap": True}


def _mention(message: dict[str, Any], recipient: str, name: str) -> None:
    mention = {
        "type": "mention",
        "text": f"<at>{name}</at>",
        "mentioned": {"id": recipient, "name": name},
    }
    message["attachments"][0]["content"]["msteams"] = {"width": "Full", "entities": [mention]}
    # A flow that writes to the person directly takes it from here.
    message["recipient"] = recipient


def _token(row: TokenRow) -> dict[str, Any]:
    of = f"of {row.owner} · " if row.owner else ""
    scope = f"{of}{row.organization} · {row.may}"
    return {
        "type": "Container",
        "separator": True,
        "items": [
            _text(row.name, weight="bolder"),
            _text(f"{row.label} · {row.expires}", color=_COLOURS[row.urgency], spacing="none"),
            _text(scope, isSubtle=True, spacing="none"),
            *([_text(row.detail, spacing="none")] if row.detail else []),
        ],
    }


def _text(text: str, **more: object) -> dict[str, Any]:
    return {"type": "TextBlock", "text": _plain(text), "wrap": True, **more}


def _plain(text: str) -> str:
    """Text that a card shows as it is: it would read some signs as Markdown."""
    return "".join(f"\\{each}" if each in _SIGNS else each for each in text)


def unmarked(text: str) -> str:
    """The text that a card shows, as it was before signs of Markdown were kept from their work."""
    return re.sub(r"\\(.)", r"\1", text)


def _message(body: list[dict[str, Any]], actions: list[dict[str, Any]]) -> dict[str, Any]:
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "body": body,
        "actions": actions,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    attachment = {"contentType": kind, "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [attachment]}


def _size(message: dict[str, Any]) -> int:
    return len(json.dumps(message).encode())
