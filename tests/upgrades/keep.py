"""Keeps a ledger as this version leaves it, with all that may stand in one: `make keep`.

It is made from invented people alone, by the flows themselves. A run is under way in it; the
messages that belong to it are kept beside it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
import tempfile
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

from pat_core.audit import Result
from pat_core.bootstrap import services
from pat_core.errors import Unavailable
from pat_core.ledger.sqlite import SqliteStore
from pat_core.ledger_version import LEDGER_VERSION
from pat_core.local.demo import run_demo
from pat_core.messages import ORGANIZATIONS, USERS
from pat_core.rotation import Wish
from pat_core.settings import Settings
from pat_core.trail import Trail
from pat_core.web.session import Sessions
from tests.builders import ANA, BO, MUTE, a_token
from tests.fakes import NOW, FakeTime
from tests.hands import Died
from tests.service import Service
from tests.turns import CONTOSO, OLD, QUARTER, Bench

VAULTED = a_token("vaulted", 20)
GIVEN_UP = a_token("given up", 25)
NEW = a_token("new", 2)
CLAIMED = a_token("claimed", 6)
SETTINGS = {"windows_days": "30,14,7,3,1"}
Messages = dict[str, list[str]]


async def fill(folder: Path) -> tuple[FakeTime, Messages]:
    """A ledger in `folder`; gives when its last row was written, and what stands on the queues."""
    made = Settings(local_dir=folder)
    await run_demo(made, users=12, now=NOW, told=lambda *_: None)
    time = FakeTime(NOW + timedelta(hours=1))
    with closing(SqliteStore(folder / "ledger.sqlite")) as store:
        service = Service(store, time)
        service.azure_devops.page = 2
        service.owns(ANA, OLD, VAULTED, GIVEN_UP)
        service.owns(BO)
        service.owns(MUTE, a_token("mute", 5))
        await service.run()
        await _rotations(Bench(store, time))
        await _decisions(store, time)
        time.now += timedelta(hours=1)
        await _claimed(service)
        time.now += timedelta(minutes=30)
        await _pending_and_incomplete(service)
        time.now += timedelta(hours=1)
        return time, await _under_way(service)


async def _rotations(bench: Bench) -> None:
    """One that was shown, one that waits for its overlap, one that failed; one deed is told."""
    bench.azure.owns(VAULTED, GIVEN_UP)
    await bench.rotate()
    in_vault = Wish(QUARTER, timedelta(hours=24), to_vault=True)
    await bench.rotator.rotate(bench.azure, CONTOSO, VAULTED.authorization_id, in_vault)
    bench.vault.fails = Unavailable("The vault is away.")
    with suppress(Unavailable):
        await bench.rotator.rotate(bench.azure, CONTOSO, GIVEN_UP.authorization_id, in_vault)
    await bench.told()


async def _decisions(store: SqliteStore, time: FakeTime) -> None:
    trail = Trail(store, time.clock)
    await trail.settings_seen(SETTINGS)
    await trail.ended(await trail.asked(ANA, "rotate", OLD.authorization_id), Result.DONE)
    await Sessions(store, time.clock).open({"name": "Ana Almeida"})


async def _claimed(service: Service) -> None:
    """A notice that left just before the program died: nobody has settled it."""
    service.owns(BO, CLAIMED)
    await service.scan()
    service.channel.after_sending = Died()
    with suppress(Died):
        await service.send()
    service.channel.after_sending = None


async def _pending_and_incomplete(service: Service) -> None:
    """A notice that is still to be sent; a run that got to its end and missed somebody."""
    own = service.azure_devops.owned[ANA.subject_descriptor]
    assert isinstance(own, list)
    service.owns(ANA, *own, NEW)
    service.azure_devops.owned[MUTE.subject_descriptor] = Unavailable("No answer.")
    await service.scan()
    service.owns(MUTE, a_token("mute", 5))


async def _under_way(service: Service) -> Messages:
    """A run whose first page is listed and whose next page and first batch are on the queues."""
    async with service.host():
        runner = services().runner
        _, (message,) = await runner.plan()
        await runner.list_users(message)
    found = {queue: await service.memory.waiting(queue) for queue in (ORGANIZATIONS, USERS)}
    return {queue: list(waiting.first) for queue, waiting in found.items()}


def keep(target: Path) -> None:
    """Write `ledger.sqlite.gz` and `messages.json` into a folder."""
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        time, messages = asyncio.run(fill(Path(scratch)))
        ledger = Path(scratch) / "ledger.sqlite"
        with closing(sqlite3.connect(ledger, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("VACUUM")
        packed = gzip.compress(ledger.read_bytes(), mtime=0)
    (target / "ledger.sqlite.gz").write_bytes(packed)
    kept = {"kept_at": time.now.isoformat(), "queues": messages}
    (target / "messages.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    keep(Path(__file__).parent / str(LEDGER_VERSION))
