"""What the HTTP functions for ops answer: a status and a JSON object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from pat_core.bodies import (
    MOST_BYTES,
    Body,
    LedgerAway,
    OrganizationProgress,
    Refusal,
    RunAsked,
    RunOrdered,
    RunProgress,
    WrongSettings,
)
from pat_core.errors import BadMessage, LedgerError, LedgerTooNew, OtherCapitals, SettingsError
from pat_core.run_log import RunLog
from pat_core.run_records import RunReport
from pat_core.summarize import Watch

if TYPE_CHECKING:
    from pat_core.runs import Runner

_NAMED: Final = 'Example: {"organizations": ["contoso"]}, or no body for all of them.'


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a JSON object and headers."""

    status: HTTPStatus
    body: Body
    headers: dict[str, str] = field(default_factory=dict)


async def order_runs(runner: Runner, body: bytes) -> tuple[Answer, list[str]]:
    """202 with the run's id and the messages that order it; 400 or 503 with the reason."""
    try:
        wanted = _read(body)
        run_id, messages = await runner.plan(wanted.organizations)
    except LedgerError as fault:
        return _away(fault), []
    except (ValidationError, BadMessage) as fault:
        reason = fault.cause if isinstance(fault, BadMessage) else "The body cannot be read."
        return Answer(HTTPStatus.BAD_REQUEST, Refusal(error=f"{reason} {_NAMED}")), []
    where = {"Location": f"/runs/{run_id}"}
    return Answer(HTTPStatus.ACCEPTED, RunOrdered(run_id=run_id), where), messages


def _read(body: bytes) -> RunAsked:
    if len(body) > MOST_BYTES:
        raise BadMessage(f"The body is larger than {MOST_BYTES:,} bytes.")
    return RunAsked.model_validate_json(body) if body.strip() else RunAsked()


async def run_answer(watch: Watch, run_id: str) -> Answer:
    """200 with how far a run is, 404, or 503 with the reason."""
    log = RunLog(watch.store, watch.clock, watch.meter)
    try:
        reports = [await log.report(each.name, run_id) for each in watch.organizations]
    except LedgerError as fault:
        return _away(fault)
    found = [_progress(report) for report in reports if report]
    if not found:
        return Answer(HTTPStatus.NOT_FOUND, Refusal(error="There is no such run."))
    return Answer(HTTPStatus.OK, RunProgress(run_id=run_id, organizations=found))


async def health_answer(make: Callable[[], Watch]) -> Answer:
    """200 or 503 with a few figures; a wrong setting is named, never its value."""
    try:
        health = await make().health()
    except SettingsError as error:
        names = [fault.partition(":")[0] for fault in error.faults]
        return _unhealthy(WrongSettings(status="unhealthy", wrong_settings=names))
    except (LedgerTooNew, OtherCapitals) as fault:
        return _unhealthy(LedgerAway(status="unhealthy", ledger=str(fault)))
    except LedgerError:
        return _unhealthy(LedgerAway(status="unhealthy", ledger="unavailable"))
    return Answer(HTTPStatus.OK, health) if health.status == "healthy" else _unhealthy(health)


def _away(fault: LedgerError) -> Answer:
    retry = {"Retry-After": "60"}
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, Refusal(error=str(fault)), retry)


def _unhealthy(why: Body) -> Answer:
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, why)


def _progress(report: RunReport) -> OrganizationProgress:
    return OrganizationProgress(
        name=report.organization,
        started_at=report.started_at,
        finished=report.finished,
        complete=report.complete,
        listed=report.listed,
        batches=report.batches,
        batches_done=report.done,
        users=report.users,
        users_done=report.coverage.users,
        users_failed=report.coverage.failed,
        tokens=report.coverage.tokens,
        error=report.error.cause if report.error else None,
    )
