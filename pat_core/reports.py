"""The flow that hears from the mail service whether a mail arrived, and lets the next channel try.

Contract: the Event Grid event Microsoft.Communication.EmailDeliveryReportReceived.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from pat_core.desk import Desk
from pat_core.outbox import read_trace, trace
from pat_core.ports import SILENT, Meter
from pat_core.records import NoticeRecord, NoticeState
from pat_core.rows import OUTBOX
from pat_core.signals import DIGEST_SENT, Event

ARRIVED: Final = "Delivered"
LOST: Final = ("Bounced", "Suppressed", "Quarantined", "FilteredSpam", "Failed")
_LOG: Final = logging.getLogger("pat_warden")


class DeliveryReport(BaseModel):
    """What the event says: which message, and what became of it."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, defer_build=True)

    message_id: str = Field(max_length=100)
    status: str = Field(max_length=100)


@dataclass(frozen=True, slots=True)
class Reports:
    """Marks notices by what is reported of the mail that they went in."""

    desk: Desk
    meter: Meter = SILENT

    async def hear(self, data: Any) -> None:  # noqa: ANN401 - whatever the event holds
        """Mark what arrived, and move on what did not; what is none of ours is logged and ignored.

        A report that comes twice changes nothing. Raises LedgerError (trying again helps).
        """
        try:
            report = DeliveryReport.model_validate(data)
        except ValidationError:
            _LOG.warning(Event.REPORT_REFUSED)
            return
        rows = self.desk.store.rows(OUTBOX, trace(report.message_id))
        sent = [read_trace(row) async for row in rows]
        if not sent or report.status not in (ARRIVED, *LOST):
            about = {"status": report.status, "known": bool(sent)}
            _LOG.warning(Event.REPORT_IGNORED, extra=about)
            return
        channel = sent[0][0]

        def went(record: NoticeRecord) -> bool:
            under_way = record.state in (NoticeState.CLAIMED, NoticeState.ACCEPTED)
            return under_way and record.operation_id == report.message_id

        found = [await self.desk.items(owner, went) for _, some in sent for owner in some]
        items = list(chain.from_iterable(found))
        if report.status == ARRIVED:
            await self.desk.settle(items, NoticeState.DELIVERED)
            return
        self.meter.record(DIGEST_SENT, 1, channel=channel, outcome="bounced")
        why = f"The mail did not arrive: {report.status}."
        over = [item for item in items if item.notice is None]
        await self.desk.settle(over, NoticeState.NOT_NEEDED, why)
        due = [item for item in items if item.notice]
        if due:
            await self.desk.move_on(channel, why, due)
