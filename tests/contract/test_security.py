"""The table in SECURITY.md names tests, and each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(?:(\w+)::)?(\w+)`")


def names_in(path: Path) -> set[tuple[str, str]]:
    """The tests of a file: their class, "" for none, and name."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        home = node.name if isinstance(node, ast.ClassDef) else ""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        found |= {(home, each.name) for each in inner if isinstance(each, kinds)}
    return found


def test_each_that_is_named_is_there() -> None:
    named = NAMED.findall((ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) > 50
    missing = [each for each in named if (each[1], each[2]) not in names_in(ROOT / each[0])]
    assert missing == []
