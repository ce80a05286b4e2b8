"""What the routes for ops answer when something is wrong, held to the description."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis

from function_app import app
from pat_core.ledger.sqlite import SqliteStore
from pat_core.local.host import Host
from pat_core.local.memory_queues import MemoryQueues
from pat_core.openapi import description
from tests.fakes import FakeTime
from tests.service import Service, reached
from tests.unit.test_nothing_is_lost import Away

pytestmark = pytest.mark.anyio
SOME_RUN = "20261123T080000.000000Z-abcdef"
schema = schemathesis.openapi.from_dict(description((30, 90)))


async def test_a_ledger_that_is_away_is_as_described(tmp_path: Path, time: FakeTime) -> None:
    class Gone(Away):
        def rows(self, table, partition, **bounds):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202 - as inner
            self._answer()

    store = SqliteStore(tmp_path / "ledger.sqlite")
    service = Service(store, time)
    async with service.host(Gone(store, 9)) as host, reached(host) as http:
        answers = {
            "/runs": ("POST", await http.post("/runs")),
            "/runs/{run_id}": ("GET", await http.get(f"/runs/{SOME_RUN}")),
            "/health": ("GET", await http.get("/health")),
        }
    store.close()
    for path, (method, answer) in answers.items():
        assert answer.status_code == 503
        schema[path][method].validate_response(answer)


async def test_wrong_settings_are_as_described(time: FakeTime) -> None:
    async with reached(Host(app, MemoryQueues(), time.clock)) as http:
        answer = await http.get("/health")
    assert "wrong_settings" in answer.json()
    schema["/health"]["GET"].validate_response(answer)
