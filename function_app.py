"""The whole story of the service, as Azure Functions runs it."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, List  # noqa: UP035 - the worker refuses `func.Out[list[str]]`
from urllib.parse import urlsplit

import azure.functions as func

from pat_core.bootstrap import services
from pat_core.messages import ORGANIZATIONS, USERS
from pat_core.signals import Event
from pat_core.web.http import WebRequest, WebResponse, guards, static

if TYPE_CHECKING:
    from pat_core.answers import Answer

Handler = Callable[..., Awaitable[func.HttpResponse]]
Messages = List[str]  # noqa: UP006 - said above
STORAGE: Final = "AzureWebJobsStorage"
OPEN: Final = func.AuthLevel.ANONYMOUS
PATH: Final = "tokens/{organization}/{authorization_id}"
OWNED: Final = "tokens/{organization}/{owner}/{authorization_id}"
MOST_TRIES: Final = 5
"""As `maxDequeueCount` in host.json."""


class _App(func.FunctionApp):
    """Lets nothing that an HTTP function raises reach who called it."""

    def route(self, *given: Any, **named: Any) -> Callable[[Handler], Any]:  # noqa: ANN401 - as the library has it
        """As the library's; it goes next to the function, under all other decorators."""
        bind = super().route(*given, **named)
        return lambda handler: bind(_caught(handler))


def _caught(handler: Handler) -> Handler:
    @wraps(handler)
    async def answered(request: func.HttpRequest, **outs: func.Out[Messages]) -> func.HttpResponse:
        try:
            return await handler(request, **outs)
        except Exception as fault:  # noqa: BLE001 - the last catch
            from pat_core.unexpected import unexpected

            return _page(unexpected(fault, handler.__name__, _web(request)))

    return answered


app = _App(http_auth_level=func.AuthLevel.FUNCTION)
_LOG: Final = logging.getLogger("pat_warden")


@app.timer_trigger("timer", "%PAT_SCAN_SCHEDULE%", use_monitor=True)
@app.queue_output("orders", ORGANIZATIONS, STORAGE)
async def plan_scan(timer: func.TimerRequest, orders: func.Out[Messages]) -> None:
    """Order a run of every organization."""
    _, messages = await services().runner.plan()
    orders.set(messages)


@app.queue_trigger("message", ORGANIZATIONS, STORAGE)
async def list_users(message: func.QueueMessage) -> None:
    """List one page of an organization's users and order the scan of each batch."""
    with _last_try_is_told(message, ORGANIZATIONS) as is_last:
        await services().runner.list_users(_text(message), is_last=is_last)


@app.queue_trigger("message", USERS, STORAGE)
async def scan_users(message: func.QueueMessage) -> None:
    """Read the tokens of a batch of users, record them, and put what is due into the outbox."""
    with _last_try_is_told(message, USERS) as is_last:
        await services().runner.scan_users(_text(message), is_last=is_last)


@app.timer_trigger("timer", "%PAT_SEND_SCHEDULE%", use_monitor=False)
async def send_digests(timer: func.TimerRequest) -> None:
    """Send what stands in the outbox, most urgent first; then measure and count how all stands."""
    if sender := services().sender:
        delivered = await sender.send_due()
        _LOG.info(Event.DIGEST_SENT, extra={"sent": delivered.sent, "failed": delivered.failed})
    else:
        _LOG.warning(Event.DIGEST_NOT_SENT, extra={"dry_run": services().settings.dry_run})
    await services().note_settings()
    await services().watch.measure()
    await services().fleet_keeping.keep()


@app.event_grid_trigger("event")
async def delivery_report(event: func.EventGridEvent) -> None:
    """Mark a mail that arrived; let the next channel try where it did not."""
    await services().reports.hear(event.get_json())


@app.timer_trigger("timer", "%PAT_SUMMARY_SCHEDULE%", use_monitor=True)
async def summarize(timer: func.TimerRequest) -> None:
    """Tell ops how the scans went and what is left to do."""
    from pat_core.summarize import tell

    summary = await services().watch.summarize(services().queues)
    _LOG.info(Event.SUMMARY, extra={"subject": summary.subject, "waiting": summary.waiting})
    await tell(services().ops, summary)
    await services().trail.purge(each.name for each in services().settings.organizations)


@app.queue_output("orders", ORGANIZATIONS, STORAGE)
@app.route("runs", methods=["POST"], trigger_arg_name="request")
async def scan_now(request: func.HttpRequest, orders: func.Out[Messages]) -> func.HttpResponse:
    """Order a run now, of the organizations that the body names or of all."""
    from pat_core.answers import order_runs

    answer, messages = await order_runs(services().runner, request.get_body())
    orders.set(messages)
    return _json(answer)


@app.route("runs/{run_id}", methods=["GET"], trigger_arg_name="request")
async def run_progress(request: func.HttpRequest) -> func.HttpResponse:
    """How far a run is."""
    from pat_core.answers import run_answer

    return _json(await run_answer(services().watch, request.route_params["run_id"]))


@app.route(
    "health", methods=["GET"], trigger_arg_name="request", auth_level=func.AuthLevel.ANONYMOUS
)
async def health(request: func.HttpRequest) -> func.HttpResponse:
    """Whether every organization was scanned wholly of late."""
    from pat_core.answers import health_answer

    return _json(await health_answer(lambda: services().watch))


@app.route("openapi.json", methods=["GET"], trigger_arg_name="request", auth_level=OPEN)
async def openapi(request: func.HttpRequest) -> func.HttpResponse:
    """What the JSON routes take and answer, as OpenAPI 3.1."""
    from pat_core.openapi import document

    return _page(document(services().settings.lifetimes_days))


@app.timer_trigger("timer", "%PAT_FINISH_SCHEDULE%", use_monitor=True)
async def finish_rotations(timer: func.TimerRequest) -> None:
    """Revoke old tokens whose overlap is over, and clean up after what was interrupted."""
    finished = await services().finisher.finish()
    await services().sessions.purge()
    _LOG.info(Event.ROTATION_FINISHED, extra={"moved": finished.moved, "stuck": finished.troubled})


@app.route("tokens", methods=["GET"], trigger_arg_name="request", auth_level=OPEN)
async def my_tokens(request: func.HttpRequest) -> func.HttpResponse:
    """All tokens of whoever is signed in."""
    return _page(await services().front.my_tokens(_web(request)))


@app.route(PATH, methods=["GET"], trigger_arg_name="request", auth_level=OPEN)
async def token_page(request: func.HttpRequest) -> func.HttpResponse:
    """One token with what its owner may choose. A GET changes nothing."""
    return _page(await services().front.token(_web(request), **request.route_params))


@app.route(f"{PATH}/{{action}}", methods=["POST"], trigger_arg_name="request", auth_level=OPEN)
async def act_on_token(request: func.HttpRequest) -> func.HttpResponse:
    """Rotate, extend, revoke, snooze or let expire, for the signed-in owner only."""
    return _page(await services().front.act(_web(request), **request.route_params))


@app.route("report", methods=["GET"], trigger_arg_name="request", auth_level=OPEN)
async def report(request: func.HttpRequest) -> func.HttpResponse:
    """The whole fleet, for administrators."""
    return _page(await services().admin_front.report(_web(request)))


@app.route("report/{part}", methods=["GET"], trigger_arg_name="request", auth_level=OPEN)
async def report_part(request: func.HttpRequest) -> func.HttpResponse:
    """Its chart, exports, forecast and audit trail, for administrators."""
    return _page(await services().admin_front.part(_web(request), **request.route_params))


@app.route(f"report/{OWNED}", methods=["GET"], trigger_arg_name="request", auth_level=OPEN)
async def report_token(request: func.HttpRequest) -> func.HttpResponse:
    """All that is known of one token, for administrators."""
    return _page(await services().admin_front.token(_web(request), **request.route_params))


@app.route(f"report/{OWNED}/revoke", methods=["POST"], trigger_arg_name="request", auth_level=OPEN)
async def revoke_as_administrator(request: func.HttpRequest) -> func.HttpResponse:
    """Order the end of anybody's token, for administrators, with a reason."""
    return _page(await services().admin_front.revoke(_web(request), **request.route_params))


@app.route("sign-in", methods=["GET"], trigger_arg_name="request", auth_level=OPEN)
async def sign_in(request: func.HttpRequest) -> func.HttpResponse:
    """Lead to Microsoft Entra."""
    return _page(await services().front.begin_sign_in(_web(request)))


@app.route("sign-in/callback", methods=["GET"], trigger_arg_name="request", auth_level=OPEN)
async def sign_in_callback(request: func.HttpRequest) -> func.HttpResponse:
    """Come back from Microsoft Entra, once."""
    return _page(await services().front.end_sign_in(_web(request)))


@app.route("sign-out", methods=["POST"], trigger_arg_name="request", auth_level=OPEN)
async def sign_out(request: func.HttpRequest) -> func.HttpResponse:
    """End the session."""
    return _page(await services().front.sign_out(_web(request)))


@app.route("static/{name}", methods=["GET"], trigger_arg_name="request", auth_level=OPEN)
async def static_file(request: func.HttpRequest) -> func.HttpResponse:
    """The stylesheet and the one script of the pages."""
    return _page(static(request.route_params["name"]))


def _web(request: func.HttpRequest) -> WebRequest:
    headers = {name.lower(): value for name, value in request.headers.items()}
    path = urlsplit(request.url).path
    return WebRequest(request.method, path, headers, dict(request.params), request.get_body())


def _page(response: WebResponse) -> func.HttpResponse:
    return func.HttpResponse(
        response.body,
        status_code=response.status,
        headers=response.all_headers,
        mimetype=response.kind.partition(";")[0],
        charset="utf-8",
    )


@contextmanager
def _last_try_is_told(message: func.QueueMessage, queue: str) -> Iterator[bool]:
    """Log a failure after which the host makes the message poison; gives whether this is so."""
    is_last = (message.dequeue_count or 0) >= MOST_TRIES
    try:
        yield is_last
    except BaseException:
        if is_last:
            _LOG.error(Event.MESSAGE_GIVEN_UP, extra={"queue": queue})
        raise


def _text(message: func.QueueMessage) -> str:
    return message.get_body().decode(errors="replace")


def _json(answer: Answer) -> func.HttpResponse:
    return func.HttpResponse(
        json.dumps(answer.body.model_dump()),
        status_code=answer.status,
        headers={**guards("application/json"), **answer.headers},
        mimetype="application/json",
    )
