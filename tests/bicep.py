"""As much of Bicep as the tests of `infra/` need, read from its text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INFRA: Final = Path(__file__).parents[1] / "infra"
_PARAM: Final = re.compile(
    r"(?P<decorators>(?:^@.*\n(?:^[ \])].*\n)*)*)"
    r"^param (?P<name>\w+) (?P<kind>[\w\[\]]+)(?P<optional>\?)?(?: = (?P<default>.+))?$",
    re.MULTILINE,
)
_PAIR: Final = re.compile(r"^ +(\w+): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Param:
    """A parameter: its decorators as written, its type, and its default without quotes."""

    name: str
    decorators: str
    kind: str
    default: str | None
    optional: bool

    def limit(self, decorator: str) -> int | None:
        """The number that `@minValue` and the like hold, or None."""
        found = re.search(rf"@{decorator}\((-?\d+)\)", self.decorators)
        return int(found[1]) if found else None


def text(path: str) -> str:
    """The text of a file of `infra/`."""
    return (INFRA / path).read_text(encoding="utf-8")


def files() -> list[str]:
    """The paths of all Bicep files, from `infra/`."""
    return sorted(path.relative_to(INFRA).as_posix() for path in INFRA.rglob("*.bicep"))


def params(path: str) -> dict[str, Param]:
    """The parameters of a file by name."""
    return {
        found["name"]: Param(
            found["name"],
            found["decorators"],
            found["kind"],
            None if found["default"] is None else found["default"].strip("'"),
            found["optional"] is not None,
        )
        for found in _PARAM.finditer(text(path))
    }


def outputs(path: str) -> list[str]:
    """The names of the outputs of a file."""
    return re.findall(r"^output (\w+) ", text(path), re.MULTILINE)


def pairs(path: str, begins: str) -> dict[str, str]:
    """What stands in the object that begins so, up to its closing brace: names and expressions."""
    source = text(path)
    start = source.index(begins)
    indent = re.match(" *", source[source.rindex("\n", 0, start) + 1 :])
    assert indent
    return dict(_PAIR.findall(source[start : source.index(f"\n{indent[0]}}}", start)]))


def strings(path: str, begins: str) -> list[str]:
    """The strings of the list that begins so."""
    source = text(path)
    start = source.index(begins)
    return re.findall(r"'([^']*)'", source[start : source.index("]", start)])


def calls(path: str) -> list[str]:
    """What a file of KQL asks for by name: each metric and event in quotes."""
    return re.findall(r"'([a-z]+(?:[._][a-z]+)+)'", text(path))
