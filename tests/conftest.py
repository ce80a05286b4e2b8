"""What every test may ask for."""

from __future__ import annotations

import pytest

from tests.fakes import FakeTime


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()
