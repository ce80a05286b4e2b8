"""What the unit tests may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pat_core.ledger.sqlite import SqliteStore
from tests.fakes import FakeTime
from tests.turns import Bench


@pytest.fixture
def bench(tmp_path: Path, time: FakeTime) -> Iterator[Bench]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    yield Bench(store, time)
    store.close()
