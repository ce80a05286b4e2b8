"""Two instances on one identity use its budget up, and are never refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.simulation.throttling import long_scan, spend
from tests.simulation.virtual import run


@pytest.mark.parametrize("instances", [1, 2, 3])
def test_the_budget_is_used_and_nobody_is_refused(instances: int) -> None:
    found = run(spend(0.2, timedelta(minutes=20), instances))
    assert found.refused == 0
    assert found.used >= 0.95


def test_a_scan_longer_than_the_budget_repeats_next_to_nothing() -> None:
    found = run(long_scan(0.2, 1500))
    assert found.took > timedelta(minutes=5)
    assert found.complete
    assert found.refused == 0
    assert found.needed <= found.calls < found.needed * 1.01


def test_whoever_heeds_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pat_core.azure_devops.pace.Pace.heed", lambda *_: None)
    assert run(spend(0.2, timedelta(minutes=6))).refused > 0
