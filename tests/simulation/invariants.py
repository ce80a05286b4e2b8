"""What must hold after every history, judged by what the world saw, not by what the ledger says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pat_core.expiry import DEFAULT_WINDOWS_DAYS
from pat_core.inventory import seen_partition
from pat_core.model import Deed, Token
from pat_core.rotations import BOTH_LIVE, ROTATION_KEY, RotationState
from pat_core.rows import INVENTORY, OWNERS
from pat_core.run_log import RunLog
from tests.simulation.history import Step, shorter
from tests.simulation.run import PLACE, Simulation

_KNOWN_TO_THE_OWNER = (*BOTH_LIVE, RotationState.DONE)


@dataclass(frozen=True)
class Verdict:
    """What a history came to.

    `broken` says which invariants it broke: their number, and what was seen. `trace` is all that
    the world saw, by which two runs are compared. `hit` are the crash points at which something
    went wrong, `crossed` all that were passed.
    """

    broken: tuple[str, ...]
    trace: str
    hit: frozenset[str]
    crossed: frozenset[str]


def judged(steps: Sequence[Step]) -> Verdict:
    """The verdict on a history, played from an empty organization."""
    simulation = Simulation()
    broken = asyncio.run(_broken(simulation, steps))
    trace = f"{simulation.store.tables} {simulation.world.mails} {simulation.world.reads}"
    return Verdict(tuple(broken), trace, frozenset(simulation.hits), frozenset(simulation.crossed))


def shrunk(steps: Sequence[Step]) -> Sequence[Step]:
    """A history as short as can be found that breaks the same invariant as a longer one."""
    number = judged(steps).broken[0].partition(":")[0]

    def breaks(found: Sequence[Step]) -> bool:
        return any(each.startswith(f"{number}:") for each in judged(found).broken)

    while shortened := next((each for each in shorter(steps) if breaks(each)), None):
        steps = shortened
    return steps


async def _broken(simulation: Simulation, steps: Sequence[Step]) -> list[str]:
    await simulation.play(steps)
    scanned_at = await simulation.calm_down()
    return [
        *(f"crash: {each}" for each in simulation.crashes),
        *simulation.world.wrong,
        *_untold(simulation, scanned_at),
        *_twice(simulation),
        *_secrets(simulation),
        *_orphans(simulation),
        *simulation.overstated,
        *await _unfinished(simulation),
    ]


def _untold(simulation: Simulation, scanned_at: datetime) -> list[str]:
    """1: each token in a window was told of, or stands before ops with the reason.

    So does one whose owner left, if it was seen before: it may live on.
    """
    world = simulation.world
    told = {
        (notice.token.authorization_id, notice.token.valid_to, notice.window)
        for _, digest in world.mails.values()
        for notice in digest.notices
        if not notice.deed
    }
    given_up = {
        notice.token.authorization_id
        for _, digest in world.mails.values()
        for notice in digest.notices
        if notice.deed is Deed.GIVEN_UP
    }
    wrong = []
    for descriptor in sorted(world.tokens):
        for token in world.listed(descriptor):
            if descriptor not in world.people and not _was_seen(simulation, descriptor, token):
                continue
            window = _window(token, scanned_at)
            known = (token.authorization_id, token.valid_to, window)
            # A rotation that came to nothing is told of as such: the mail names the old token.
            if token.authorization_id in given_up:
                continue
            is_excused = simulation.is_excused(token.authorization_id)
            if window is None or not token.is_valid or is_excused or known in told:
                continue
            if not any(f"User {descriptor} " in each for each in simulation.unsent):
                wrong.append(f"1: {token.authorization_id} in window {window} was told to nobody")
    return wrong


def _orphans(simulation: Simulation) -> Iterator[str]:
    """5: a new token that reached nobody is revoked, as long as its owner is there.

    Where it was shown, and the answer may have got lost, its owner is asked; where it could not be
    told from others, the owner was told to look.
    """
    world = simulation.world
    owners = [rows for (table, _), rows in simulation.store.tables.items() if table == OWNERS]
    asked = {
        str(row.values.get("new_id"))
        for rows in owners
        for key, row in rows.items()
        if key.startswith(ROTATION_KEY) and row.values["state"] in _KNOWN_TO_THE_OWNER
    }
    looks = {
        notice.token.authorization_id
        for _, digest in world.mails.values()
        for notice in digest.notices
        if notice.deed is Deed.GIVEN_UP and "second token" in notice.detail
    }
    for descriptor, owner in world.people.items():
        for token in world.listed(descriptor):
            name = token.authorization_id
            lives = token.is_valid and token.valid_to > simulation.now
            if not owner.address or world.parents.get(name) in looks:
                continue
            if lives and name in world.parents and name not in world.handed | asked:
                yield f"5: {name} lives, and nobody has it"


def _was_seen(simulation: Simulation, descriptor: str, token: Token) -> bool:
    if descriptor not in simulation.store.tables.get((INVENTORY, seen_partition(PLACE.name)), {}):
        return False  # only at the service's pages, and by no scan
    rows = simulation.store.tables.get((OWNERS, f"{PLACE.name}|{descriptor}"), {})
    row = rows.get(f"token|{token.authorization_id}")
    return row is not None and row.values["valid_to"] == token.valid_to


async def _unfinished(simulation: Simulation) -> list[str]:
    """6: after days without a fault the newest run is complete, and counts everybody once."""
    newest, *_ = await RunLog(simulation.store, simulation.clock).recent(PLACE.name)
    everybody, counted = len(simulation.world.people), newest.coverage.users
    if newest.complete and counted == everybody:
        return []
    return [f"6: the newest run counts {counted} of {everybody}, complete: {newest.complete}"]


def _window(token: Token, now: datetime) -> int | None:
    left = token.valid_to - now
    if left <= timedelta():
        return 0 if left >= -timedelta(days=7) else None
    lifetime = token.valid_to - token.valid_from
    fitting = [days for days in DEFAULT_WINDOWS_DAYS if left <= timedelta(days=days) < lifetime]
    return min(fitting, default=None)


def _twice(simulation: Simulation) -> list[str]:
    """2: no notice was taken by the mail provider twice."""
    sent = Counter(
        (digest.recipient, notice.identity)
        for _, digest in simulation.world.mails.values()
        for notice in digest.notices
    )
    return [
        f"2: {who} was told {count} times: {what}"
        for (who, what), count in sent.items()
        if count > 1
    ]


def _secrets(simulation: Simulation) -> Iterator[str]:
    """4: no secret is in the ledger, in a queue or in a mail."""
    world = simulation.world
    kept = "\n".join(
        [
            repr(simulation.store.tables),
            repr([taken.body for _, taken in simulation.queues.standing.values()]),
            repr(list(world.mails.values())),
        ]
    )
    return (
        f"4: the secret of {name} was kept"
        for name, secret in world.secrets.items()
        if secret in kept
    )
