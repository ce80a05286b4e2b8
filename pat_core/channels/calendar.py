"""The calendar file of a digest: an entry for each token at the moment it expires. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from icalendar import Calendar, Event

from pat_core.digest import shown_name
from pat_core.model import Digest, Notice

NAME: Final = "tokens.ics"
TYPE: Final = "text/calendar"


def calendar(digest: Digest, now: datetime) -> bytes:
    """The iCalendar file (RFC 5545) of the tokens that are still to expire, or b"" for none.

    An entry keeps its name while the token keeps its `valid_to`, so that a calendar shows it once.
    """
    living = [each for each in digest.listed if each.expires_at > now and not each.deed]
    if not living:
        return b""
    found = Calendar()
    found.add("prodid", "-//PAT Warden//EN")
    found.add("version", "2.0")
    found.add("method", "PUBLISH")
    for notice in living:
        found.add_component(_entry(notice, now))
    return bytes(found.to_ical())


def _entry(notice: Notice, now: datetime) -> Event:
    token, name = notice.token, shown_name(notice.token.display_name)
    entry = Event()
    entry.add("uid", f"{token.authorization_id}-{token.valid_to:%Y%m%dT%H%M%S}@pat-warden")
    entry.add("dtstamp", now)
    entry.add("dtstart", notice.expires_at)
    entry.add("summary", f'Token "{name}" expires ({notice.owner.organization})')
    entry.add("transp", "TRANSPARENT")
    return entry
