"""A rotation where no service looks after the old token: from the owner's hands alone."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from pat_core.errors import ActionRefused, TokenRefused
from pat_core.expiry import GLOBAL_PATS_END
from pat_core.owner_console import show_settled
from pat_core.rotations import GRACE, RotationState
from tests.hands import Died
from tests.turns import CONTOSO, OLD, Bench

pytestmark = pytest.mark.anyio
HOURS = timedelta(hours=1)


async def test_the_old_token_gets_the_end_of_its_overlap(bench: Bench) -> None:
    await bench.rotate(hours=24)
    settled = await bench.renewal.settle("old")
    assert settled.rotation.state is RotationState.SUPERSEDED
    assert settled.old_ends_at == bench.time.now + 24 * HOURS
    assert bench.azure.tokens["old"].valid_to == settled.old_ends_at
    assert (await bench.account()).tokens["old"].token.valid_to == settled.old_ends_at
    bench.time.now += 25 * HOURS
    assert bench.azure.alive() == {"new-1"}


async def test_without_an_overlap_the_old_one_ends_at_once(bench: Bench) -> None:
    await bench.rotate(hours=0)
    settled = await bench.renewal.settle("old")
    assert (settled.rotation.state, settled.old_ends_at) == (RotationState.DONE, bench.time.now)
    assert bench.azure.alive() == {"new-1"}


async def test_an_old_token_that_ends_sooner_is_left_alone(bench: Bench) -> None:
    bench.azure.owns(replace(OLD, valid_to=bench.time.now + HOURS))
    await bench.rotate(hours=24)
    settled = await bench.renewal.settle("old")
    assert settled.old_ends_at == bench.time.now + HOURS
    assert "extend old" not in bench.azure.log


async def test_a_global_old_token_keeps_its_end_until_the_next_command(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    old = replace(OLD, is_global=True)
    bench.azure.owns(old)
    await bench.rotate(hours=24)
    settled = await bench.renewal.settle("old")
    assert "extend old" not in bench.azure.log
    assert settled.old_ends_at == GLOBAL_PATS_END
    show_settled(old, settled)
    said = capsys.readouterr().err
    assert "works until Tue 1 Dec 2026" in said
    assert "revokes it in every organization" in said
    bench.time.now += 25 * HOURS
    await bench.renewal.tidy()
    assert bench.azure.alive() == {"new-1"}


async def test_a_secret_in_the_vault_is_handed_over_already(bench: Bench) -> None:
    await bench.rotate(to_vault=True)
    settled = await bench.renewal.settle("old")
    assert settled.rotation.vault_version
    assert bench.azure.tokens["old"].valid_to == bench.time.now + 24 * HOURS


async def test_twice_does_no_harm(bench: Bench) -> None:
    await bench.rotate(hours=24)
    first = await bench.renewal.settle("old")
    bench.time.now += HOURS
    assert await bench.renewal.settle("old") == first
    assert bench.azure.log.count("extend old") == 1


@pytest.mark.parametrize("hours", [0, 24])
async def test_what_was_given_up_is_not_settled(bench: Bench, hours: float) -> None:
    bench.azure.takes_new = False
    with suppress(TokenRefused):
        await bench.rotate(hours=hours)
    with pytest.raises(ActionRefused):
        await bench.renewal.settle("old")
    assert bench.azure.alive() == {"old"}


@pytest.mark.parametrize("step", ["create new-1", "try new-1"])
async def test_the_next_command_cleans_up_after_one_that_died(bench: Bench, step: str) -> None:
    def die(name: str) -> None:
        if name == step:
            raise Died

    bench.azure.after = die
    with suppress(Died):
        await bench.rotate()
    bench.azure.after = lambda _: None
    bench.time.now += GRACE + HOURS
    await bench.renewal.tidy()
    assert bench.azure.alive() == {"old"}
    assert (await bench.rotate()).secret


async def test_the_rotations_of_others_in_the_same_ledger_are_left_alone(bench: Bench) -> None:
    await bench.rotate(hours=0)
    await bench.rotator.confirm(bench.azure, CONTOSO, "old")
    hints = await bench.hints()
    bench.azure.owner = replace(bench.azure.owner, subject_descriptor="aad.somebody-else")
    await bench.renewal.tidy()
    assert await bench.hints() == hints
