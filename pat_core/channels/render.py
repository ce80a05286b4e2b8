"""Makes mails: HTML and plain text with the same facts. No I/O but its templates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final
from urllib.parse import quote

from css_inline import CSSInliner
from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from pat_core.digest import date_and_time, distance, shown_name, subject
from pat_core.expiry import GLOBAL_PATS_END
from pat_core.model import MOST_LISTED, Deed, Digest, Notice
from pat_core.scopes import in_words
from pat_core.summary import Summary

_SOON: Final = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that is ready to be sent."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class TokenRow:
    """What a mail says of one token."""

    name: str
    organization: str
    may: str
    expires: str
    distance: str
    label: str
    verb: str
    urgency: str
    is_global: bool
    link: str
    owner: str = ""
    detail: str = ""


class Renderer:
    """Renders mails; links lead to `public_url`, or without one to Azure DevOps' own page."""

    def __init__(self, public_url: str = "") -> None:
        self._public_url = public_url.rstrip("/")

    def render(self, digest: Digest, now: datetime) -> Mail:
        """The mail of a digest as it is true `now`; nothing of it is kept for the next."""
        title = subject(digest, now)
        copied = any(notice.is_copy for notice in digest.notices)
        owners = {notice.owner.display_name for notice in digest.notices}
        greeted = len(owners) == 1 and all(owners) and not copied
        words = {
            "title": title.removeprefix("[Azure DevOps] "),
            "name": shown_name(owners.pop()) if greeted else "",
            "copied": copied,
            "rows": self.rows(digest, now),
            "more": digest.more,
            "all_expired": all(notice.expires_at <= now for notice in digest.notices),
            "global_pats_end": date_and_time(GLOBAL_PATS_END),
            "any_global": any(notice.token.is_global for notice in digest.notices),
            "is_ours": bool(self._public_url),
            "all_taken": all(notice.deed is Deed.TAKEN for notice in digest.notices),
        }
        kind = "deeds" if digest.is_of_deeds else "digest"
        html = self._inliner.inline(self._template(f"{kind}.html").render(words))
        return Mail(title, html, self._template(f"{kind}.txt").render(words))

    def rows(self, digest: Digest, now: datetime) -> list[TokenRow]:
        """What is said of each token that is listed."""
        return [self._row(notice, now) for notice in digest.listed]

    def summary(self, summary: Summary) -> Mail:
        """The mail of a summary."""
        words = {
            "title": summary.subject.removeprefix("[PAT Warden] "),
            "troubles": summary.troubles,
            "organizations": [
                {
                    "name": each.name,
                    "figures": summary.figures(each),
                    "faults": each.run.coverage.faults if each.run else (),
                }
                for each in summary.organizations
            ],
            "sent": summary.sent,
            "rehearsed": summary.rehearsed,
            "more_rehearsed": max(0, summary.waiting - len(summary.rehearsed)),
            "failures": summary.delivered.failures,
            "unsent": summary.unsent[:MOST_LISTED],
            "more_unsent": max(0, len(summary.unsent) - MOST_LISTED),
            "stuck": summary.stuck[:MOST_LISTED],
            "more_stuck": max(0, len(summary.stuck) - MOST_LISTED),
            "poison": [(queue, each) for queue, found in summary.poison.items() for each in found],
        }
        html = self._inliner.inline(self._template("summary.html").render(words))
        return Mail(summary.subject, html, self._template("summary.txt").render(words))

    def _row(self, notice: Notice, now: datetime) -> TokenRow:
        token = notice.token
        away = distance(notice.expires_at, now)
        expired = notice.expires_at <= now
        verb = notice.deed.capitalize() if notice.deed else "Expired" if expired else "Expires"
        return TokenRow(
            name=shown_name(token.display_name),
            organization=notice.owner.organization,
            may=in_words(token.scope),
            expires=date_and_time(notice.expires_at),
            distance=away,
            label=f"{verb} {away}",
            verb=verb,
            urgency=_urgency(notice, now),
            detail=notice.detail,
            is_global=token.is_global,
            link=self._link(notice),
            owner=shown_name(notice.owner.display_name, 80) if notice.is_copy else "",
        )

    def _link(self, notice: Notice) -> str:
        organization = quote(notice.owner.organization, safe="")
        if not self._public_url:
            return f"https://dev.azure.com/{organization}/_usersSettings/tokens"
        token = quote(notice.token.authorization_id, safe="")
        return f"{self._public_url}/tokens/{organization}/{token}"

    def _template(self, name: str) -> Template:
        return self._environment.get_template(name)

    @cached_property
    def _environment(self) -> Environment:
        return Environment(
            loader=PackageLoader("pat_core.channels"),
            autoescape=select_autoescape(("html",)),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @cached_property
    def _inliner(self) -> CSSInliner:
        # The rules for dark mode and small screens stay where they are: they can't be inlined.
        return CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


def _urgency(notice: Notice, now: datetime) -> str:
    left = notice.expires_at - now
    if notice.deed:
        return "now" if notice.deed is Deed.GIVEN_UP else "later"
    if left <= timedelta(days=1):
        return "now"
    return "soon" if left <= _SOON else "later"
