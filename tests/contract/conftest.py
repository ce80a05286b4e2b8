"""Azurite for the whole of the contract tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.azurite import azurite


@pytest.fixture(scope="session")
def connection_string(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with azurite(tmp_path_factory.mktemp("azurite")) as found:
        yield found
