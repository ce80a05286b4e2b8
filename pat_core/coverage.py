"""What a scan saw and missed, as sums that add up. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from pat_core.decision import Decision
from pat_core.rows import Value

MOST_FAULTS: Final = 20
"""How many faults are kept in words; all of them are counted."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many users were read and what they own.

    `windows` counts tokens by the tightest window they are in, `notices` those newly due;
    `unreachable` counts due notices whose owner can't be told.
    """

    users: int = 0
    failed: int = 0
    gone: int = 0
    tokens: int = 0
    unreachable: int = 0
    windows: Mapping[int, int] = field(default_factory=Counter)
    notices: Mapping[int, int] = field(default_factory=Counter)
    faults: tuple[str, ...] = ()

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(
            self.users + other.users,
            self.failed + other.failed,
            self.gone + other.gone,
            self.tokens + other.tokens,
            self.unreachable + other.unreachable,
            Counter(self.windows) + Counter(other.windows),
            Counter(self.notices) + Counter(other.notices),
            (self.faults + other.faults)[:MOST_FAULTS],
        )


def covered(tokens: int, decision: Decision) -> Coverage:
    """The coverage of one user who could be read."""
    return Coverage(
        users=1,
        tokens=tokens,
        unreachable=len(decision.unreachable),
        windows=decision.windows,
        notices=Counter(notice.window for notice in decision.notices),
    )


def failed(fault: str, users: int = 1) -> Coverage:
    """The coverage of users who could not be read, or not wholly."""
    return Coverage(users=users, failed=users, faults=(fault,))


GONE: Final = Coverage(users=1, gone=1)
"""The coverage of one user who has left."""


def coverage_values(coverage: Coverage) -> dict[str, Value]:
    """The columns of a coverage in the ledger."""
    return {
        item.name: value if isinstance(value := getattr(coverage, item.name), int) else _text(value)
        for item in fields(coverage)
    }


def read_coverage(values: Mapping[str, Value]) -> Coverage:
    """The coverage that stands in the columns of a row."""
    sums = {name: values[name] for name in ("users", "failed", "gone", "tokens", "unreachable")}
    return Coverage(
        **{name: int(str(value)) for name, value in sums.items()},
        windows=_counts(values["windows"]),
        notices=_counts(values["notices"]),
        faults=tuple(json.loads(str(values["faults"]))),
    )


def _text(value: Mapping[int, int] | tuple[str, ...]) -> str:
    return json.dumps(value)


def _counts(text: Value) -> Counter[int]:
    return Counter({int(window): count for window, count in json.loads(str(text)).items()})
