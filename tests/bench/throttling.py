"""What two instances make of the budget of one identity, on simulated time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from unittest.mock import patch

from tests.simulation.throttling import Hour, spend
from tests.simulation.virtual import run


def throttling(costs: Sequence[float], span: timedelta) -> Iterator[str]:
    """Each cost of a call, and the dearest once more without heeding what is left."""
    yield "| TSTU a call | instances | calls | refused | delayed | of the budget |"
    yield "|--:|--:|--:|--:|--:|--:|"
    for cost in costs:
        yield _line(f"{cost:g}", run(spend(cost, span)))
        print(f"throttling: {cost:g} TSTU", flush=True)
    with patch("pat_core.azure_devops.pace.Pace.heed", lambda *_: None):
        yield _line(f"{costs[-1]:g}, what is left not heeded", run(spend(costs[-1], span)))


def _line(cost: str, found: Hour) -> str:
    return (
        f"| {cost} | 2 | {found.calls:,} | {found.refused:,} | {found.delayed:,} "
        f"| {found.used:.1%} |"
    )
