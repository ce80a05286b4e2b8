"""What happens in a simulated organization, step after step, from one seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

LENGTH = 40


class Kind(StrEnum):
    """What may happen; how often is in `_WEIGHTS`."""

    WAIT = "time passes"
    SCAN = "the scan timer fires"
    DRAIN = "the queues are worked on"
    SEND = "the sending timer fires"
    FINISH = "the finishing timer fires"
    SUMMARIZE = "the summary timer fires"
    JOIN = "somebody joins"
    LEAVE = "somebody leaves"
    CREATE = "a token is made"
    LENGTHEN = "a token is extended in Azure DevOps"
    END = "a token is revoked in Azure DevOps"
    ROTATE = "an owner rotates"
    CONFIRM = "an owner says that the new token is stored"
    WITHDRAW = "an owner gives a rotation up"
    EXTEND = "an owner extends a token here"
    REVOKE = "an owner revokes a token here"
    SNOOZE = "an owner puts a reminder off"
    LET_EXPIRE = "an owner lets a token expire"


_WEIGHTS = {
    Kind.WAIT: 8,
    Kind.SCAN: 6,
    Kind.DRAIN: 6,
    Kind.SEND: 7,
    Kind.FINISH: 4,
    Kind.SUMMARIZE: 1,
    Kind.JOIN: 2,
    Kind.LEAVE: 1,
    Kind.CREATE: 4,
    Kind.LENGTHEN: 1,
    Kind.END: 1,
    Kind.ROTATE: 5,
    Kind.CONFIRM: 4,
    Kind.WITHDRAW: 1,
    Kind.EXTEND: 1,
    Kind.REVOKE: 1,
    Kind.SNOOZE: 1,
    Kind.LET_EXPIRE: 1,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens; all that is left open in it is drawn from its own seed.

    So a history keeps its sense when other steps are taken out of it.
    """

    kind: Kind
    seed: int

    @property
    def draw(self) -> Random:
        """A new source of what is left open."""
        return Random(self.seed)  # noqa: S311 - a simulation, no secret

    def __str__(self) -> str:
        return f"{self.kind.value} ({self.seed})"


def history(seed: int, length: int = LENGTH) -> list[Step]:
    """The history of a seed. It begins with people who own tokens."""
    draw = Random(seed)  # noqa: S311 - a simulation, no secret
    first = [Kind.JOIN] * draw.randrange(2, 8) + [Kind.CREATE] * draw.randrange(2, 10)
    kinds = draw.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=length)
    return [Step(kind, draw.getrandbits(48)) for kind in [*first, *kinds]]


def shorter(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """The same history with ever smaller pieces left out, the largest first."""
    size = len(steps) // 2
    while size:
        for start in range(0, len(steps), size):
            yield [*steps[:start], *steps[start + size :]]
        size //= 2
