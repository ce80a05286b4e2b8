"""What is installed in Azure is locked, and is what the project asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
ENTRY = re.compile(r"^(?P<pin>[^#\s].*?)(?P<hashes>(?: \\\n    --hash=\S+)*)$", re.MULTILINE)
RUNTIMES = [
    {"python_version": version, "python_full_version": f"{version}.0", "sys_platform": "linux"}
    for version in ("3.11", "3.13")
]


def entries() -> list[tuple[Requirement, list[str]]]:
    """Each line of the lock, and its hashes."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return [
        (Requirement(found["pin"]), re.findall(r"--hash=(\S+)", found["hashes"]))
        for found in ENTRY.finditer(text)
    ]


def test_each_is_of_one_version_and_hashed() -> None:
    found = entries()
    assert len(found) > 30
    for locked, hashes in found:
        (pin,) = locked.specifier
        assert pin.operator == "==", locked
        assert hashes, locked
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes), locked


@pytest.mark.parametrize("runtime", RUNTIMES, ids=["3.11", "3.13"])
def test_it_is_what_the_project_asks_for(runtime: dict[str, str]) -> None:
    def applies(wanted: Requirement) -> bool:
        return wanted.marker is None or wanted.marker.evaluate(runtime)

    locked = {
        canonicalize_name(each.name): each.specifier for each, _ in entries() if applies(each)
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [each for each in map(Requirement, project["dependencies"]) if applies(each)]
    assert len(wanted) > 15
    for each in wanted:
        (pin,) = locked[canonicalize_name(each.name)]
        assert each.specifier.contains(pin.version), each


def test_it_names_no_index() -> None:
    assert "://" not in (ROOT / "requirements.txt").read_text(encoding="utf-8")
