"""What a scan saw and missed, as sums that add up. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import accumulate
from typing import Final

from pat_core.decision import Decision
from pat_core.model import Owner, Token
from pat_core.rows import Value
from pat_core.scopes import FULL_ACCESS

MOST_FAULTS: Final = 20
"""How many faults are kept in words; all of them are counted."""
LONGEST_FAULT: Final = 500
_ENOUGH: Final = 250
_LARGEST_COLUMN: Final = 32_000
"""Characters of a column: Azure Table Storage takes 32,768."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many users were read and what they own.

    `windows` counts tokens by the tightest window they are in, `notices` those newly due;
    `unreachable` counts due notices whose owner can't be told, `no_address` users who can't.
    """

    users: int = 0
    failed: int = 0
    gone: int = 0
    tokens: int = 0
    unreachable: int = 0
    no_address: int = 0
    full_access: int = 0
    global_tokens: int = 0
    windows: Mapping[int, int] = field(default_factory=Counter)
    notices: Mapping[int, int] = field(default_factory=Counter)
    faults: tuple[str, ...] = ()

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(
            **{name: getattr(self, name) + getattr(other, name) for name in _SUMS},
            windows=Counter(self.windows) + Counter(other.windows),
            notices=Counter(self.notices) + Counter(other.notices),
            faults=(self.faults + other.faults)[:MOST_FAULTS],
        )


_SUMS: Final = tuple(item.name for item in fields(Coverage) if item.type == "int")


def covered(owner: Owner, tokens: Sequence[Token], decision: Decision) -> Coverage:
    """The coverage of one user who could be read."""
    living = [token for token in tokens if token.is_valid]
    return Coverage(
        users=1,
        tokens=len(tokens),
        unreachable=len(decision.unreachable),
        no_address=int(not owner.address),
        full_access=sum(FULL_ACCESS in token.scope.split() for token in living),
        global_tokens=sum(token.is_global for token in living),
        windows=decision.windows,
        notices=Counter(notice.window for notice in decision.notices),
    )


def failed(fault: str, users: int = 1) -> Coverage:
    """The coverage of users who could not be read, or not wholly."""
    return Coverage(users=users, failed=users, faults=(fault[:LONGEST_FAULT],))


def in_brief(faults: Sequence[str]) -> str:
    """The first faults in one line, and how many more there are."""
    lengths = accumulate(len(fault) for fault in faults)
    shown = faults[: max(1, sum(length <= _ENOUGH for length in lengths))]
    more = len(faults) - len(shown)
    return "; ".join((*shown, f"and {more:,} more") if more else shown)


GONE: Final = Coverage(users=1, gone=1)
"""The coverage of one user who has left."""


def coverage_values(coverage: Coverage) -> dict[str, Value]:
    """The columns of a coverage in the ledger, none larger than it takes."""
    return {name: getattr(coverage, name) for name in _SUMS} | {
        "windows": json.dumps(coverage.windows),
        "notices": json.dumps(coverage.notices),
        "faults": _column(coverage.faults),
    }


def read_coverage(values: Mapping[str, Value]) -> Coverage:
    """The coverage that stands in the columns of a row."""
    return Coverage(
        **{name: int(str(values.get(name, 0))) for name in _SUMS},
        windows=_counts(values["windows"]),
        notices=_counts(values["notices"]),
        faults=tuple(json.loads(str(values["faults"]))),
    )


def _column(faults: Sequence[str]) -> str:
    """The faults as text; those that have no room are left out, they are counted anyway."""
    kept = [fault[:LONGEST_FAULT] for fault in faults]
    while len(text := json.dumps(kept)) > _LARGEST_COLUMN:
        kept.pop()
    return text


def _counts(text: Value) -> Counter[int]:
    return Counter({int(window): count for window, count in json.loads(str(text)).items()})
