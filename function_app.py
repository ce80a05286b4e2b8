"""The whole story of the service, as Azure Functions runs it."""

from __future__ import annotations

import azure.functions as func

from pat_core.bootstrap import system_clock
from pat_core.runs import plan
from pat_core.settings import load_settings

app = func.FunctionApp()


@app.timer_trigger(schedule="%PAT_SCAN_SCHEDULE%", arg_name="timer", use_monitor=True)
@app.queue_output(
    arg_name="organizations", queue_name="pat-organizations", connection="AzureWebJobsStorage"
)
async def plan_scan(
    timer: func.TimerRequest,  # noqa: ARG001 - the binding wants it
    organizations: func.Out[list[str]],
) -> None:
    """Put one message for each organization on the queue."""
    organizations.set(plan(load_settings().organizations, system_clock()))
