"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.azurite import azurite
from tests.fakes import FakeTime


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture(scope="session")
def connection_string(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """How to reach an Azurite of this test run's own."""
    with azurite(tmp_path_factory.mktemp("azurite")) as found:
        yield found
