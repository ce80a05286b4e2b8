"""The app under Microsoft's own Python worker, as Azure runs it, with Azurite for its storage."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from azure.storage.queue import QueueServiceClient

from pat_core.bootstrap import system_clock
from pat_core.local.serving import serving
from pat_core.local.simulator import Simulator, create_app
from pat_core.local.world import World

ROOT = Path(__file__).parents[2]
TOOL = ROOT.parent / "shared" / "tools" / "minihost.py"
PROTOS = Path(sys.prefix) / "worker" / "tests" / "protos"
SECRET = "hush"
SCHEDULES = {
    "PAT_SCAN_SCHEDULE": "0 0 5 * * *",
    "PAT_SEND_SCHEDULE": "0 */5 * * * *",
    "PAT_SUMMARY_SCHEDULE": "0 0 7 * * *",
    "PAT_FINISH_SCHEDULE": "0 15 * * * *",
}


@dataclass(frozen=True)
class Worker:
    """A running worker, the queues it sends to, and the organization it scans."""

    host: Any
    queues: QueueServiceClient
    organizations: str
    connection_string: str

    def taken(self, queue: str) -> list[str]:
        """The messages on a queue, which are taken off it."""
        client = self.queues.get_queue_client(queue)
        found = list(client.receive_messages())
        for message in found:
            client.delete_message(message)
        return [message.content for message in found]


@pytest.fixture(scope="module")
def minihost() -> ModuleType:
    """What drives the worker, or a skip that says what is missing."""
    if tuple(sys.version_info) < (3, 13):
        pytest.skip("Microsoft's worker package needs Python 3.13")
    if not TOOL.exists():
        pytest.skip("what drives the worker is not beside this checkout (../shared/tools)")
    if not PROTOS.exists():
        pytest.fail("the worker's message classes are missing; `make test` installs them")
    os.environ["MINIHOST_PROTOS"] = str(PROTOS)
    spec = importlib.util.spec_from_file_location("minihost", TOOL)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def worker(minihost: ModuleType, connection_string: str) -> Iterator[Worker]:
    simulator = Simulator(World(system_clock(), users=130, organization="contoso"), secret=SECRET)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(create_app(simulator))) as address,
        QueueServiceClient.from_connection_string(connection_string) as queues,
    ):
        there = [{"name": "contoso", "base_url": f"{address}/contoso"}]
        settings = SCHEDULES | {
            "AzureWebJobsStorage": connection_string,
            "PAT_STORAGE_CONNECTION_STRING": connection_string,
            "PAT_ORGANIZATIONS": json.dumps(there),
            "PAT_ADMIN_TOKEN": SECRET,
        }
        with minihost.MiniHost(ROOT, settings, quiet=True) as host:
            yield Worker(host, queues, settings["PAT_ORGANIZATIONS"], connection_string)
