"""Runs the function app without Azure: timers, queues and HTTP by the functions' own metadata."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final, Protocol

import azure.functions as func
from azure.functions.timer import TimerRequest
from croniter import croniter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pat_core.errors import SettingsError
from pat_core.local.memory_queues import Taken
from pat_core.ports import Clock, Queues, Sleep

PARALLEL: Final = 6
"""As many messages as one instance in Azure works on at once, by host.json."""
_LOG: Final = logging.getLogger("pat_warden.host")


class Source(Queues, Protocol):
    """Queues that can be worked on."""

    async def take(self, queue: str) -> Taken | None:
        """The next message that can be seen, or None."""
        ...

    async def done(self, taken: Taken) -> None:
        """Forget a message that was worked on."""
        ...

    async def failed(self, taken: Taken) -> bool:
        """Put a message back that could not be worked on; True when it went to poison."""
        ...

    def next_in(self) -> float | None:
        """Seconds until it is worth to look again, or None where nothing is to come."""
        ...


class _Message(func.QueueMessage):
    """A message as the worker hands it over, with the count of its tries."""

    def __init__(self, body: str, dequeued: int) -> None:
        super().__init__(body=body.encode())
        self._dequeued = dequeued

    @property
    def dequeue_count(self) -> int:
        return self._dequeued


@dataclass(slots=True)
class _Out:
    """What a function puts into an output binding."""

    value: Any = None

    def set(self, value: Any) -> None:  # noqa: ANN401 - as azure.functions has it
        self.value = value

    def get(self) -> Any:  # noqa: ANN401 - as azure.functions has it
        return self.value


class _Function:
    """One function and its bindings, as the app itself describes them."""

    def __init__(self, function: Any) -> None:  # noqa: ANN401 - the library gives no public type
        self.name: str = function.get_function_name()
        self.code = function.get_user_function()
        self.trigger: dict[str, Any] = function.get_trigger().get_dict_repr()
        self.outputs: dict[str, str] = {
            each["name"]: each["queueName"]
            for each in (binding.get_dict_repr() for binding in function.get_bindings())
            if each["type"] == "queue"
        }

    @property
    def kind(self) -> str:
        return str(self.trigger["type"])


@dataclass
class Host:
    """A function app that runs here; `settings` fill the `%NAME%` of its bindings.

    `failures` holds what functions raised whose messages were given up.
    """

    app: func.FunctionApp
    source: Source
    clock: Clock
    settings: Mapping[str, str] = field(default_factory=dict)
    sleep: Sleep = asyncio.sleep
    failures: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.functions = {each.name: each for each in _functions(self.app)}

    async def fire(self, name: str, *, past_due: bool = False) -> None:
        """Run a timer function now."""
        function = self.functions[name]
        await self._call(function, TimerRequest(past_due=past_due))

    async def drain(self) -> None:
        """Work on the queues until nothing stands there and nothing is to come."""
        running: set[asyncio.Task[None]] = set()
        while True:
            while len(running) < PARALLEL and (work := await self._next()):
                running.add(asyncio.create_task(self._work(*work)))
            pause = self.source.next_in()
            if running:
                ended, running = await asyncio.wait(
                    running, timeout=pause, return_when=asyncio.FIRST_COMPLETED
                )
                for task in ended:
                    task.result()
            elif pause is None:
                return
            else:
                await self.sleep(pause)

    def routes(self) -> list[Route]:
        """The HTTP functions, and each other function at POST /admin/functions/NAME."""
        routes = [self._route(each) for each in self.functions.values() if _is_http(each)]
        return [*routes, Route("/admin/functions/{name}", self._admin, methods=["POST"])]

    async def tick(self) -> None:
        """Run the timer functions by their schedules, and the queues, until cancelled."""
        timers = [each for each in self.functions.values() if each.kind == "timerTrigger"]
        due = {each.name: self._next_time(each) for each in timers}
        while True:
            await self.drain()
            now = self.clock()
            for function in timers:
                if due[function.name] <= now:
                    due[function.name] = self._next_time(function)
                    await self._try(function)
            await self.sleep(1)

    def _next_time(self, timer: _Function) -> datetime:
        schedule = str(timer.trigger["schedule"])
        name = schedule.strip("%")
        schedule = self.settings.get(name, schedule)
        try:
            times = croniter(schedule, self.clock(), second_at_beginning=True)
        except ValueError as fault:
            raise SettingsError([f"{name}: {fault}. Example: {name}=0 0 5 * * *"]) from None
        found: datetime = times.get_next(datetime)
        return found

    async def _next(self) -> tuple[_Function, Taken] | None:
        # What came last in the story goes first, so that no more is listed than is worked on.
        for function in reversed(self.functions.values()):
            if function.kind == "queueTrigger":
                taken = await self.source.take(function.trigger["queueName"])
                if taken:
                    return function, taken
        return None

    async def _work(self, function: _Function, taken: Taken) -> None:
        message = _Message(taken.body, taken.dequeued)
        try:
            await self._call(function, message)
        except Exception as fault:  # noqa: BLE001 - a host outlives whatever a function raises
            _LOG.warning("function.failed", extra={"function": function.name}, exc_info=fault)
            if await self.source.failed(taken):
                self.failures.append(fault)
        else:
            await self.source.done(taken)

    async def _try(self, function: _Function) -> None:
        try:
            await self.fire(function.name)
        except Exception as fault:  # noqa: BLE001 - a host outlives whatever a function raises
            _LOG.warning("function.failed", extra={"function": function.name}, exc_info=fault)

    async def _call(self, function: _Function, trigger: object) -> Any:  # noqa: ANN401 - whatever it returns
        outs = {name: _Out() for name in function.outputs}
        arguments = {function.trigger["name"]: trigger, **outs}
        returned = function.code(**arguments)
        if inspect.isawaitable(returned):
            returned = await returned
        for name, out in outs.items():
            messages = [out.value] if isinstance(out.value, str) else out.value or []
            for message in messages:
                await self.source.send(function.outputs[name], message)
        return returned

    def _route(self, function: _Function) -> Route:
        async def endpoint(request: Request) -> Response:
            answer = await self._call(
                function,
                func.HttpRequest(
                    method=request.method,
                    url=str(request.url),
                    headers=dict(request.headers),
                    params=dict(request.query_params),
                    route_params={name: str(each) for name, each in request.path_params.items()},
                    body=await request.body(),
                ),
            )
            return Response(
                answer.get_body(), answer.status_code, dict(answer.headers), answer.mimetype
            )

        methods = [str(getattr(each, "value", each)) for each in function.trigger["methods"]]
        return Route(f"/{function.trigger['route']}", endpoint, methods=methods)

    async def _admin(self, request: Request) -> Response:
        function = self.functions.get(request.path_params["name"])
        if function is None or _is_http(function):
            return JSONResponse({"error": "There is no such function."}, 404)
        if function.kind == "timerTrigger":
            await self._try(function)
            return JSONResponse({}, 202)
        given = (await request.json()).get("input", "")
        if function.kind == "queueTrigger":
            await self.source.send(function.trigger["queueName"], str(given))
        else:
            await self._call(function, _event(given, self.clock()))
        return JSONResponse({}, 202)


def _event(data: Any, now: datetime) -> func.EventGridEvent:  # noqa: ANN401 - whatever it holds
    kind = "Microsoft.Communication.EmailDeliveryReportReceived"
    return func.EventGridEvent(
        id="local",
        data=data,
        topic="local",
        subject="local",
        event_type=kind,
        event_time=now,
        data_version="1.0",
    )


def _is_http(function: _Function) -> bool:
    return function.kind == "httpTrigger"


@cache
def _functions(app: func.FunctionApp) -> tuple[_Function, ...]:
    # An app can be asked only once.
    return tuple(_Function(function) for function in app.get_functions())
