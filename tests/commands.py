"""Runs commands, each in a process of its own that is forked from one which imported everything.

Importing is most of what a short command costs. Modules, environment, folder, output and exit
status are a process's own all the same.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Final
from unittest.mock import patch

import anyio
import anyio.to_thread

_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["pat_core.cli", "pat_core.local.demo", "pat_core.local.host", "function_app", "aiohttp"]
)

# The SDK for tables looks at its errors in a way that Python is about to give up.
_WARNINGS: Final = "error,ignore:Testing an element's truth:DeprecationWarning"


async def run_command(
    words: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> CompletedProcess[str]:
    """What `python -m pat_core` with these words writes and how it ends; nothing is typed in."""
    with TemporaryDirectory() as place:
        files = Path(place, "out"), Path(place, "err")
        child = _FORKS.Process(target=_run, args=(words, folder, dict(environment), files))
        # Heeded when the process that all are forked from starts, as each of them would on its own.
        with patch.dict(os.environ, PYTHONWARNINGS=_WARNINGS):
            child.start()
        await anyio.to_thread.run_sync(child.join)
        text = [path.read_text(encoding="utf-8") for path in files]
    assert child.exitcode is not None
    return CompletedProcess(["pat_core", *words], child.exitcode, *text)


def _run(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], files: tuple[Path, Path]
) -> None:
    for number, path in enumerate(files, start=1):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["pat_core", *words]
    runpy.run_module("pat_core", run_name="__main__", alter_sys=True)
