"""Each function once under the real worker; what it does is compared with the local host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
from pydantic import SecretStr
from starlette.requests import Request

from function_app import app
from pat_core.bootstrap import Services, sharing
from pat_core.local.host import Host
from pat_core.local.memory_queues import MemoryQueues
from pat_core.messages import ORGANIZATIONS, USERS
from pat_core.run_log import RunLog
from pat_core.settings import Settings, parse_organizations
from tests.worker.conftest import SECRET, Worker


def plain(bindings: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Bindings with every name and enumeration as the worker writes it."""
    return sorted(
        (
            {
                name: str(getattr(value, "value", value)).lower()
                for name, value in binding.items()
                if name not in ("direction", "schedule", "methods")
            }
            for binding in bindings
        ),
        key=str,
    )


class TestIndex:
    def test_the_worker_finds_the_functions_that_the_local_host_finds(self, worker: Worker) -> None:
        local = Host(app, MemoryQueues(), lambda: None).functions  # type: ignore[arg-type, return-value] # no timer runs
        assert worker.host.functions.keys() == local.keys()
        for name, function in worker.host.functions.items():
            assert local[name].kind == function.kind
            assert plain([local[name].trigger]) == plain([function.trigger])

    def test_each_has_the_trigger_it_should_have(self, worker: Worker) -> None:
        kinds = {name: each.kind for name, each in worker.host.functions.items()}
        assert kinds == {
            "plan_scan": "timerTrigger",
            "list_users": "queueTrigger",
            "scan_users": "queueTrigger",
            "send_digests": "timerTrigger",
            "delivery_report": "eventGridTrigger",
            "summarize": "timerTrigger",
            "finish_rotations": "timerTrigger",
            "my_tokens": "httpTrigger",
            "token_page": "httpTrigger",
            "act_on_token": "httpTrigger",
            "report": "httpTrigger",
            "report_part": "httpTrigger",
            "report_token": "httpTrigger",
            "revoke_as_administrator": "httpTrigger",
            "sign_in": "httpTrigger",
            "sign_in_callback": "httpTrigger",
            "sign_out": "httpTrigger",
            "static_file": "httpTrigger",
            "scan_now": "httpTrigger",
            "run_progress": "httpTrigger",
            "health": "httpTrigger",
            "openapi": "httpTrigger",
        }

    def test_open_are_health_openapi_and_the_pages_which_look_for_a_session(
        self, worker: Worker
    ) -> None:
        levels = {
            name: each.trigger["authLevel"].lower()
            for name, each in worker.host.functions.items()
            if each.kind == "httpTrigger"
        }
        guarded = {name for name, level in levels.items() if level != "anonymous"}
        assert guarded == {"scan_now", "run_progress"}

    def test_a_page_sends_who_is_not_signed_in_to_sign_in(self, worker: Worker) -> None:
        answer = worker.host.http("my_tokens", "GET", "http://x/tokens").returned
        assert int(answer["status"]) == 303
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        assert headers["location"] == "/sign-in?next=%2Ftokens"
        assert "default-src 'none'" in headers["content-security-policy"]
        style = worker.host.http("static_file", "GET", "http://x/static/style.css")
        assert style.ok, style.error


class TestRun:
    def test_a_run_comes_to_the_same_as_on_the_local_host(
        self, worker: Worker, tmp_path: Path
    ) -> None:
        planned = worker.host.timer("plan_scan")
        assert planned.ok, planned.error
        (order,) = planned.outputs["orders"]
        listed = worker.host.queue("list_users", order)
        assert listed.ok, listed.error
        batches = worker.taken(USERS)
        assert len(batches) == 2
        for batch in batches:
            scanned = worker.host.queue("scan_users", batch)
            assert scanned.ok, scanned.error
        run_id = json.loads(order)["run_id"]
        answer = worker.host.http("run_progress", "GET", f"http://x/runs/{run_id}").returned
        assert answer["status"] == 200
        (found,) = json.loads(answer["body"])["organizations"]
        local = anyio.run(run_locally, worker, tmp_path)
        assert found | {"started_at": ""} == local

    def test_health_is_well_after_it(self, worker: Worker) -> None:
        answer = worker.host.http("health", "GET", "http://x/health").returned
        body = json.loads(answer["body"])
        assert (answer["status"], body["status"]) == (200, "healthy")
        assert body["outbox"] > 0
        assert b"contoso" not in answer["body"]

    def test_the_other_timers_run(self, worker: Worker) -> None:
        for name in ("send_digests", "summarize", "finish_rotations"):
            outcome = worker.host.timer(name, past_due=True)
            assert outcome.ok, outcome.error
            assert outcome.outputs == {}

    def test_a_run_can_be_ordered_now(self, worker: Worker) -> None:
        body = b'{"organizations": ["contoso"]}'
        outcome = worker.host.http("scan_now", "POST", "http://x/runs", body=body)
        assert outcome.ok, outcome.error
        answer = outcome.returned
        assert answer["status"] == 202
        (order,) = outcome.outputs["orders"]
        assert json.loads(order)["run_id"] == json.loads(answer["body"])["run_id"]

    def test_a_message_that_is_none_of_ours_goes_to_poison(self, worker: Worker) -> None:
        assert worker.host.queue("list_users", "hello").ok
        assert worker.taken(f"{ORGANIZATIONS}-poison") == ["hello"]


async def run_locally(worker: Worker, folder: Path) -> dict[str, Any]:
    """What `run_progress` says of the same run on the local host."""
    settings = Settings(
        organizations=parse_organizations(worker.organizations),
        admin_token=SecretStr(SECRET),
        local_dir=folder,
    )
    queues = MemoryQueues()
    shared = Services(settings)
    shared.queues = queues
    async with sharing(shared):
        host = Host(app, queues, shared.clock)
        await host.fire("plan_scan")
        await host.drain()
        (report,) = await RunLog(shared.store, shared.clock).recent("contoso")
        (route,) = (each for each in host.routes() if each.path == "/runs/{run_id}")
        answer = await get(route.endpoint, report.run_id)
    (found,) = answer["organizations"]
    return dict(found) | {"started_at": ""}


async def get(endpoint: Any, run_id: str) -> dict[str, Any]:  # noqa: ANN401 - a Starlette endpoint
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/runs/{run_id}",
        "headers": [(b"host", b"x")],
        "query_string": b"",
        "path_params": {"run_id": run_id},
    }

    async def nothing() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    response = await endpoint(Request(scope, nothing))
    return dict(json.loads(response.body))
