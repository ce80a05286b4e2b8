"""The files that administrators take away: the fleet and the audit trail. Each is on record."""

from __future__ import annotations

import zlib
from asyncio import Lock
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from pat_core.audit import Result, audit_json
from pat_core.digest import visible
from pat_core.dossiers import Administrator
from pat_core.errors import ActionRefused
from pat_core.export import csv_lines, file_name, json_lines
from pat_core.fleet import Query
from pat_core.fleet_report import FleetReport
from pat_core.model import Organization, Owner
from pat_core.trail import Trail
from pat_core.web.http import LINES, WebResponse
from pat_core.web.queries import query_words

_MEDIA: Final = {"csv": "text/csv; charset=utf-8", "jsonl": LINES}
_BUSY: Final = ActionRefused("Another export is being made.", remedy="Try again in a minute.")
_ENOUGH: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Downloads:
    """Makes files, one at a time: each is held in memory until it is whole.

    Whoever asks meanwhile is refused by ActionRefused.
    """

    fleet: FleetReport
    trail: Trail
    organizations: Mapping[str, Organization]
    _turn: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    async def of_fleet(self, query: Query, kind: str, by: Administrator) -> WebResponse:
        """The tokens that a query asks for, as `csv` or `jsonl`. Raises LedgerError."""
        listings = self.fleet.stream(query)
        lines = csv_lines(listings) if kind == "csv" else json_lines(listings)
        # Only what is known, since an entry under any other name would never be found again.
        place = self.organizations.get(query.organization.lower())
        actor = Owner(place.name if place else "", by.id, by.name)
        detail = f"fleet as {kind} {urlencode(query_words(query))}"
        name = file_name(query.organization, self._now, kind)
        return await self._made(lines, name, actor, detail)

    async def of_trail(self, by: Administrator) -> WebResponse:
        """The whole audit trail as JSON lines. Raises LedgerError."""
        name = file_name("trail", self._now, "jsonl")
        return await self._made(self._entries(), name, Owner("", by.id, by.name), "audit trail")

    async def _entries(self) -> AsyncIterator[str]:
        since = self._now - timedelta(days=self.trail.days)
        for name in (*(each.name for each in self.organizations.values()), ""):
            async for entry in self.trail.entries(name, since):
                yield audit_json(entry) + "\n"

    async def _made(
        self, lines: AsyncIterator[str], name: str, actor: Owner, detail: str
    ) -> WebResponse:
        # Whoever waited would hold up the process, and come again while they wait.
        if self._turn.locked():
            raise _BUSY
        async with self._turn:
            asked = await self.trail.asked(actor, "export", "", visible(detail))
            result = Result.FAILED
            try:
                packed = await _packed(lines)
                result = Result.DONE
            finally:
                await self.trail.ended(asked, result)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Encoding": "gzip",
        }
        return WebResponse(HTTPStatus.OK, packed, headers, _MEDIA[name.rpartition(".")[2]])

    @property
    def _now(self) -> datetime:
        return self.fleet.clock()


async def _packed(lines: AsyncIterator[str]) -> bytes:
    """A file, packed line by line: the host takes no response in parts, so it is kept small."""
    packer, packed, waiting = zlib.compressobj(wbits=zlib.MAX_WBITS | 16), bytearray(), list[str]()
    size = 0
    async for line in lines:
        waiting.append(line)
        size += len(line)
        if size > _ENOUGH:
            packed += packer.compress("".join(waiting).encode())
            waiting, size = [], 0
    packed += packer.compress("".join(waiting).encode()) + packer.flush()
    return bytes(packed)
