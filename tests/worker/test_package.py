"""What is deployed: the files that .funcignore leaves, with nothing but requirements.txt."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import pytest
from pathspec import GitIgnoreSpec

from tests.worker.conftest import PROTOS, SCHEDULES, TOOL

ROOT = Path(__file__).parents[2]
WORKER = ("azure-functions-runtime==1.3.0", "grpcio>=1.80,<2", "protobuf>=7,<8")
SETTINGS = SCHEDULES | {
    "PAT_ORGANIZATIONS": "contoso",
    "PAT_STORAGE_ACCOUNT": "stpatwarden",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
}
INDEX = """
import importlib, pkgutil, function_app, pat_core
for each in pkgutil.walk_packages(pat_core.__path__, "pat_core."):
    importlib.import_module(each.name)
print(*sorted(each.get_function_name() for each in function_app.app.get_functions()))
"""


def deployed() -> Iterator[Path]:
    """The files that a deployment takes along, as paths from the root."""
    ignored = GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text().splitlines())
    for folder, folders, files in os.walk(ROOT):
        here = Path(folder).relative_to(ROOT)
        folders[:] = [
            each
            for each in folders
            if not ignored.match_file(f"{(here / each).as_posix()}/") and each != "__pycache__"
        ]
        yield from (here / each for each in files if not ignored.match_file(here / each))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what is deployed."""
    folder = tmp_path_factory.mktemp("package")
    for path in deployed():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        copyfile(ROOT / path, folder / path)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with requirements.txt alone."""
    if not os.environ.get("CI"):
        pytest.skip("installs requirements.txt, which takes a minute; CI=true runs it")
    folder = tmp_path_factory.mktemp("python")
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "python", "-m", "pip", "install", "-qr", ROOT / "requirements.txt")
    return folder / "bin" / "python"


def run(*words: str | Path, cwd: Path = ROOT) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(  # noqa: S603 - our own words
        [str(word) for word in words],
        cwd=cwd,
        env=environment | SETTINGS | {"MINIHOST_PROTOS": str(PROTOS)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout


def test_it_holds_the_service_and_nothing_of_a_desk() -> None:
    found = {path.as_posix() for path in deployed()}
    assert {path.partition("/")[0] for path in found} == {
        "README.md",
        "function_app.py",
        "host.json",
        "pat_core",
        "requirements.txt",
    }
    desk = ("__main__", "arguments", "cli", "console", "local", "owner_c", "ops_", "survey")
    ours = {path.removeprefix("pat_core/") for path in found if path.startswith("pat_core/")}
    assert [path for path in ours if path.startswith(desk)] == []
    assert {"channels/templates/digest.html", "web/static/style.css", "front.py"} <= ours
    assert [path for path in found if path.endswith((".env", ".sqlite", ".pyc", ".eml"))] == []


def test_it_imports_with_requirements_alone(package: Path, python: Path) -> None:
    names = run(python, "-W", "error", "-c", INDEX, cwd=package).split()
    assert "scan_users" in names
    assert len(names) == 22


def test_microsofts_worker_indexes_it(package: Path, python: Path, tmp_path: Path) -> None:
    if tuple(sys.version_info) < (3, 13):
        pytest.skip("Microsoft's worker package needs Python 3.13")
    if not TOOL.exists():
        pytest.skip("what drives the worker is not beside this checkout (../shared/tools)")
    run(python, "-m", "pip", "install", "-q", *WORKER)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"Values": SETTINGS}))
    listed = run(python, TOOL, "--app", package, "--settings", settings, "--list")
    assert len(re.findall(r"^\w+ \w+Trigger$", listed, re.MULTILINE)) == 22
