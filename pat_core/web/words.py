"""The words and figures that the pages are filled with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from shlex import quote
from typing import Any, Final
from urllib.parse import quote as path_part
from urllib.parse import urlsplit

from pat_core.digest import date_and_time, distance, shown_name, subject
from pat_core.expiry import GLOBAL_PATS_END
from pat_core.listing import LastNotice, Listing
from pat_core.model import Token
from pat_core.records import NoticeRecord, NoticeState
from pat_core.rotations import Rotation
from pat_core.routes import is_webhook
from pat_core.scopes import in_words
from pat_core.views import TokenView

_DAY_HOURS: Final = 24
_NOW: Final = timedelta(days=1)
_SOON: Final = timedelta(days=7)
_LONGEST_SENTENCE: Final = 1000
Badge = tuple[str, str]
_STATES: Final[dict[NoticeState, Badge]] = {
    NoticeState.PENDING: ("waits to be sent", "later"),
    NoticeState.CLAIMED: ("is being sent", "later"),
    NoticeState.UNREACHABLE: ("not told", "now"),
    NoticeState.UNSENT: ("could not be sent", "now"),
    NoticeState.ACCEPTED: ("sent", "good"),
    NoticeState.DELIVERED: ("delivered", "good"),
    NoticeState.NOT_NEEDED: ("no longer needed", "over"),
}


def plain(text: str) -> str:
    """A sentence on one line without marks that cannot be seen; an empty one stays empty."""
    return shown_name(text, _LONGEST_SENTENCE) if text.strip() else ""


def may(token: Token) -> str:
    """What a token may do, one line."""
    return plain(in_words(token.scope))


def date(time: datetime) -> str:
    """The day of a UTC time: `Tue 24 Nov 2026`."""
    return date_and_time(time).partition(",")[0]


def days(count: int) -> str:
    """A number of days in words."""
    return "1 day" if count == 1 else f"{count} days"


def hours(count: int) -> str:
    """A number of hours in words; whole days beyond the first are days."""
    if count > _DAY_HOURS and count % _DAY_HOURS == 0:
        return days(count // _DAY_HOURS)
    return "1 hour" if count == 1 else f"{count} hours"


def until(count: int, now: datetime) -> str:
    """A lifetime of so many days from now, and the UTC day on which it ends."""
    return f"{days(count)}, until {date(now + timedelta(days=count))}"


def badges(view: TokenView, now: datetime) -> list[Badge]:
    """What is special about a token: a word or three, and how loudly they are shown."""
    found: list[Badge] = []
    if not view.token.is_valid:
        found.append(("Replaced" if view.is_in_use_anew else "Revoked", "over"))
    elif view.is_living(now):
        if view.asks_if_stored:
            found.append(("Did you store the new one?", "soon"))
        elif view.is_replaced:
            found.append(("Being replaced", "later"))
        elif view.lets_expire:
            found.append(("Left to expire", "over"))
        elif view.is_snoozed(now) and view.standing.snoozed_until:
            found.append((f"Snoozed until {date(view.standing.snoozed_until)}", "over"))
    if view.token.is_global:
        found.append(("Global", "soon" if view.is_living(now) else "over"))
    return found


def state(view: TokenView, now: datetime) -> str:
    """How a token stands, in one word or a few."""
    if not view.token.is_valid:
        return "replaced and revoked" if view.is_in_use_anew else "revoked"
    if not view.is_living(now):
        return "expired"
    if view.is_replaced:
        return "works, is being replaced"
    if view.lets_expire:
        return "works, is left to expire"
    if view.is_snoozed(now):
        return "works, its reminder is snoozed"
    return "works"


def vault_command(rotation: Rotation, vault_url: str) -> str:
    """The command that reads the new token from the vault; "" where the vault is not known."""
    address = urlsplit(vault_url)
    host = address.hostname or ""
    if not host:
        return ""
    name, _, rest = host.partition(".")
    # Where the address is none of Azure's, its first part is no name that `az` could look up.
    if rest.startswith("vault."):
        place = f"--vault-name {quote(name)} --name {quote(rotation.vault_name)}"
    else:
        place = "--id " + quote(f"{vault_url.rstrip('/')}/secrets/{rotation.vault_name}")
    return f"az keyvault secret show {place} --query value -o tsv"


def owner(listing: Listing) -> str:
    """Whose token it is, on one line."""
    return shown_name(listing.owner_name)


def token_path(listing: Listing) -> str:
    """The path of a token's page for administrators."""
    whose = listing.owner
    parts = (whose.organization, whose.subject_descriptor, listing.token.authorization_id)
    return "/report/tokens/" + "/".join(path_part(each, safe="") for each in parts)


def urgency(listing: Listing, now: datetime) -> str:
    """How loudly the expiry of anybody's token is to be shown: `now`, `soon`, `later` or `over`."""
    left = listing.expires_at - now
    if left <= timedelta(0):
        return "over"
    return "now" if left <= _NOW else "soon" if left <= _SOON else "later"


def recipient(notice: NoticeRecord) -> str:
    """To whom a notice goes: a webhook's address is a secret."""
    if is_webhook(notice.recipient):
        return "a Teams channel"
    return notice.recipient or "nobody"


def told(notice: LastNotice | NoticeRecord) -> Badge:
    """How far a notice came, and how loudly that is to be shown."""
    words, tone = _STATES[notice.state]
    return words, tone


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "date": date,
    "date_and_time": date_and_time,
    "days": days,
    "hours": hours,
    "may": may,
    "name": shown_name,
    "plain": plain,
}
GLOBALS: Final[dict[str, Any]] = {
    "owner_of": owner,
    "recipient_of": recipient,
    "subject_of": subject,
    "told": told,
    "token_path": token_path,
    "urgency_of": urgency,
    "badges": badges,
    "distance": distance,
    "global_pats_end": date(GLOBAL_PATS_END),
    "state_of": state,
    "until": until,
    "vault_command": vault_command,
}
