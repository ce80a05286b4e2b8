"""The local host: timers by schedule, HTTP by route, failures that stop nobody."""

from __future__ import annotations

from datetime import timedelta

import azure.functions as func
import pytest

from pat_core.errors import SettingsError
from pat_core.local.host import Host
from pat_core.local.memory_queues import MemoryQueues
from tests.fakes import FakeTime
from tests.service import reached

pytestmark = pytest.mark.anyio
app = func.FunctionApp()
called: list[tuple[str, str]] = []


@app.timer_trigger("timer", "%EVERY_HOUR%")
@app.queue_output("out", "work", "x")
async def hourly(timer: func.TimerRequest, out: func.Out[str]) -> None:
    called.append(("hourly", str(timer.past_due)))
    out.set("from the timer")


@app.timer_trigger("timer", "*/20 * * * * *")
def breaks(timer: func.TimerRequest) -> None:
    called.append(("breaks", ""))
    raise ZeroDivisionError


@app.queue_trigger("message", "work", "x")
async def works(message: func.QueueMessage) -> None:
    text = message.get_body().decode()
    called.append(("works", text))
    if text == "bad":
        raise ZeroDivisionError


@app.route("things/{name}", methods=["GET", "PUT"], trigger_arg_name="request")
def thing(request: func.HttpRequest) -> func.HttpResponse:
    said = f"{request.method} {request.route_params['name']} {request.params.get('q', '')}"
    body = request.get_body().decode()
    return func.HttpResponse(f"{said} {body}", status_code=201, headers={"X-A": "b"})


@pytest.fixture
def host(time: FakeTime) -> Host:
    called.clear()
    settings = {"EVERY_HOUR": "0 0 * * * *"}
    return Host(app, MemoryQueues(retry_after=0), time.clock, settings, time.sleep)


class Enough(Exception):
    """The test has seen enough."""


class TestTick:
    async def test_timers_run_by_their_schedules_and_what_they_order_is_worked_on(
        self, host: Host, time: FakeTime
    ) -> None:
        start = time.now

        async def sleep(seconds: float) -> None:
            await time.sleep(seconds)
            if time.now > start + timedelta(hours=2, seconds=5):
                raise Enough

        host.sleep = sleep
        with pytest.raises(Enough):
            await host.tick()
        assert called.count(("hourly", "False")) == 2
        assert called.count(("works", "from the timer")) == 2
        # One that breaks is run again when it is due, and keeps nobody from running.
        assert called.count(("breaks", "")) == 2 * 60 * 3

    async def test_a_schedule_that_is_none_is_named(self, host: Host) -> None:
        host.settings = {"EVERY_HOUR": "0 0 99 * * *"}
        with pytest.raises(SettingsError, match="EVERY_HOUR"):
            await host.tick()


class TestQueue:
    async def test_a_message_that_fails_is_tried_five_times(self, host: Host) -> None:
        await host.source.send("work", "bad")
        await host.source.send("work", "good")
        await host.drain()
        assert called.count(("works", "bad")) == 5
        assert called.count(("works", "good")) == 1
        assert [type(each) for each in host.failures] == [ZeroDivisionError]


class TestRoutes:
    async def test_a_function_gets_the_request_and_gives_the_answer(self, host: Host) -> None:
        async with reached(host) as http:
            answer = await http.put("/things/a b?q=1", content="body")
            refused = await http.post("/things/x")
        assert (answer.status_code, answer.text) == (201, "PUT a b 1 body")
        assert answer.headers["x-a"] == "b"
        assert refused.status_code == 405

    async def test_the_others_can_be_run_by_hand(self, host: Host) -> None:
        async with reached(host) as http:
            assert (await http.post("/admin/functions/hourly")).status_code == 202
            queued = await http.post("/admin/functions/works", json={"input": "by hand"})
            assert queued.status_code == 202
            assert (await http.post("/admin/functions/thing")).status_code == 404
            assert (await http.post("/admin/functions/none")).status_code == 404
        await host.drain()
        assert ("works", "by hand") in called
