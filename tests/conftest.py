"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

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


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Keeps all tests of a browser's file in one worker, which starts their browser once."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/browser/"):
            return nodeid.partition("::")[0]
        return str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """How tests are spread over workers."""
    return Scheduling(config, log)
