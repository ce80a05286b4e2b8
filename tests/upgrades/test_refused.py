"""A ledger that a newer version migrated is refused everywhere, and nothing is lost by that."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pat_core.bootstrap import Services
from pat_core.errors import LedgerTooNew
from pat_core.ledger_version import FOR_TABLES, LEDGER_VERSION, version_row
from pat_core.messages import ORGANIZATIONS, POISON, USERS
from pat_core.model import Organization
from pat_core.rows import LEDGER, OUTBOX, Change, Row, Verb
from pat_core.settings import Settings
from tests.fakes import FakeTime
from tests.service import Service, reached
from tests.simulation.storage import MemoryStore
from tests.upgrades.kept import dump, kept_at, messages_of, unpacked

ROOT = Path(__file__).parents[2]
NEWER = LEDGER_VERSION + 1
CAUSE = f"The ledger has version {NEWER}; this program knows up to {LEDGER_VERSION}."


@pytest.mark.anyio
class TestFunctions:
    @pytest.fixture
    async def store(self) -> MemoryStore:
        store = MemoryStore()
        await store.write(LEDGER, [Change(Verb.PUT, version_row(NEWER))])
        return store

    async def test_health_and_orders_say_why_and_what_to_do(self, store: MemoryStore) -> None:
        service = Service(store, FakeTime())
        refusing = Services(Settings()).current(store, FOR_TABLES)
        async with service.host(refusing) as host, reached(host) as http:
            health, ordered = await http.get("/health"), await http.post("/runs")
        assert (health.status_code, ordered.status_code) == (503, 503)
        assert health.json() == {"status": "unhealthy", "ledger": f"{CAUSE} {FOR_TABLES}"}
        assert ordered.json()["error"].startswith(CAUSE)

    async def test_health_says_which_capitals_to_write(self) -> None:
        service = Service(MemoryStore(), FakeTime())
        places = (Organization("Contoso"),), (Organization("contoso"),)
        before, after = (
            Services(Settings(organizations=each)).current(service.store, FOR_TABLES)
            for each in places
        )
        await before.write(OUTBOX, [Change(Verb.PUT, Row("p", "k"))])
        async with service.host(after) as host, reached(host) as http:
            health = await http.get("/health")
        assert health.status_code == 503
        assert "knows the organization contoso as Contoso" in health.json()["ledger"]

    async def test_orders_wait_go_to_poison_and_are_told_of(
        self, store: MemoryStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = dump(store)
        service = Service(store, FakeTime(kept_at(LEDGER_VERSION)))
        found = messages_of(LEDGER_VERSION)
        refusing = Services(Settings()).current(store, FOR_TABLES)
        async with service.host(refusing) as host:
            for queue, messages in found.items():
                for message in messages:
                    await service.memory.send(queue, message)
            await host.drain()
            with pytest.raises(LedgerTooNew):
                await host.fire("send_digests")
        assert {type(each) for each in host.failures} == {LedgerTooNew}
        assert len(host.failures) == 2
        for queue in (ORGANIZATIONS, USERS):
            assert list((await service.memory.waiting(queue + POISON)).first) == found[queue]
        told = [each.message for each in caplog.records if each.name == "pat_warden"]
        assert told.count("message.given_up") == 2
        assert dump(store) == before


class TestCommands:
    @pytest.mark.parametrize("command", ["report", "audit", "scan"])
    def test_they_end_with_the_cause_the_remedy_and_a_status(
        self, tmp_path: Path, command: str
    ) -> None:
        path = unpacked(LEDGER_VERSION, tmp_path)
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA user_version = {NEWER}")
        done = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-m", "pat_core", command, "--organization", "contoso"],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PAT_LOCAL_DIR": str(tmp_path),
                "PAT_ADMIN_TOKEN": "hush",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        said = " ".join(done.stderr.split())
        assert f"has version {NEWER}; this program knows up to {LEDGER_VERSION}." in said
        assert "Update PAT Warden, or set PAT_LOCAL_DIR to another folder." in said
        assert "Traceback" not in done.stderr
