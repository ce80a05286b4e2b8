"""What it takes to start: CPU until a function has what it needs, in a new process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

CLOCK = "import time\nprint(time.process_time())"
APP = "import function_app\nfrom pat_core.bootstrap import services\n"
RUNNING = "import asyncio\nasync def go():\n    {}\nasyncio.run(go())\n"
WAYS = {
    "Python alone": "",
    "azure-functions alone": "import azure.functions\n",
    "`health`": f"{APP}services().watch\n",
    "`scan_users` with a PAT": APP + RUNNING.format("services().runner"),
    "everything": f"{APP}from pat_core.channels.render import Renderer\nRenderer()._environment\n"
    + RUNNING.format("services().runner, services()._identity"),
}
SETTINGS = {
    "PAT_ORGANIZATIONS": "contoso",
    "PAT_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true",
    "PAT_ADMIN_TOKEN": "x",
    "PYTHONWARNINGS": "ignore",
}


def start(script: str) -> float:
    command = [sys.executable, "-c", script + CLOCK]
    environment = os.environ | SETTINGS
    return float(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)


def starting(rounds: int) -> Iterator[str]:
    """CPU until ready, and the ratio to everything."""
    for script in WAYS.values():
        start(script)
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, script in WAYS.items():
            found[name].append(start(script))
    medians = {name: sorted(samples)[rounds // 2] for name, samples in found.items()}
    yield "| what is ready | CPU | to everything |"
    yield "|---|--:|--:|"
    for name, seconds in medians.items():
        yield f"| {name} | {seconds * 1000:,.0f} ms | {seconds / medians['everything']:.2f} |"
