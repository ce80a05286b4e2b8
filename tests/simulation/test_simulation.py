"""The invariants hold over histories full of faults, and a service that breaks one is caught."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from pat_core import delivery, expiry, finishing
from pat_core.delivered import Delivered
from pat_core.digest import compose, operation_id
from pat_core.errors import ChannelError
from pat_core.model import Token
from pat_core.records import NoticeState
from pat_core.rotations import Rotation, Step, next_step
from pat_core.run_records import Steps
from tests.simulation.history import history
from tests.simulation.invariants import judged, shrunk

SEEDS = range(30)
MOST = 1000
"""A mutant is to be caught within so many seeds."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What fails on purpose is not to be read."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_the_invariants_hold() -> None:
    assert [seed for seed in SEEDS if judged(history(seed)).broken] == []


def test_a_seed_gives_the_same_twice() -> None:
    one, two = judged(history(7)), judged(history(7))
    assert one.trace
    assert one == two


async def marks_before_it_sends(
    self: Any,  # noqa: ANN401 - a private class
    channel: str,
    operation: str,
    parcel: Any,  # noqa: ANN401 - of a private class
) -> Delivered:
    digest = compose((item.notice for item in parcel if item.notice), self.recipient)
    operation = operation or operation_id(digest, parcel[0].record.channel)
    await self.desk.settle(parcel, NoticeState.ACCEPTED)
    try:
        outlet = self.sender.outlets[channel]
        await outlet.channel.send(digest, operation_id=operation, claimed_at=self.sender.clock())
    except ChannelError:
        return Delivered(failed=1)
    return Delivered(sent=1)


def claims_nothing(record: Any, operation: str, at: datetime) -> Any:  # noqa: ANN401 - a record
    del operation
    return replace(record, claimed_at=at)


def is_the_very_day(token: Token, now: datetime, windows: Any) -> int | None:  # noqa: ANN401 - numbers
    days = (token.valid_to - now).days
    return days if days in windows else None


def revokes_before_the_hand_over(rotation: Rotation, old: Token | None, now: datetime) -> Step:
    step = next_step(rotation, old, now)
    too_soon = step in (Step.LOOK_FOR_NEW, Step.LOOK_IN_VAULT, Step.REVOKE_NEW)
    return Step.REVOKE_OLD if old and too_soon else step


def counts_twice(steps: Any, row: Any) -> None:  # noqa: ANN401 - of a private class
    ONCE(steps, row)
    ONCE(steps, row)


ONCE: Callable[[Any, Any], None] = Steps.add
MUTANTS = {
    "marks before it sends": ("1", delivery._Visit, "_hand_over", marks_before_it_sends),
    "drops the claim": ("2", delivery, "claimed", claims_nothing),
    "asks for the very day": ("1", expiry, "current_window", is_the_very_day),
    "revokes before the hand-over": ("5", finishing, "next_step", revokes_before_the_hand_over),
    "counts a batch twice": ("6", Steps, "add", counts_twice),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number, where, name, broken = MUTANTS[mutant]
    monkeypatch.setattr(where, name, broken)
    verdicts = (judged(history(seed)).broken for seed in range(MOST))
    caught = next(each for each in verdicts if each)
    assert any(each.startswith(f"{number}:") for each in caught), caught


def test_what_is_caught_is_made_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "current_window", is_the_very_day)
    seed = next(seed for seed in range(MOST) if judged(history(seed)).broken)
    steps = shrunk(history(seed))
    assert len(steps) < 6
    assert judged(steps).broken
