"""What the function app is made of, beside what its functions do."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pat_core.local import host
from pat_core.local.azurite import DEVELOPMENT
from pat_core.local.memory_queues import MOST_DEQUEUED
from pat_core.settings import load_settings

ROOT = Path(__file__).parents[2]
LONGEST_HANDLER = 15
HEAVY = (
    "aiohttp",
    "httpx",
    "azure.identity",
    "azure.data",
    "azure.storage",
    "jinja2",
    "pat_core.openapi",
    "sqlite3",
)


def read(name: str) -> Any:  # noqa: ANN401 - whatever the file holds
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


class TestHandlers:
    def test_they_hold_no_logic(self) -> None:
        tree = ast.parse((ROOT / "function_app.py").read_text(encoding="utf-8"))
        handlers = [node for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
        assert len(handlers) == 22
        for handler in handlers:
            assert (handler.end_lineno or 0) - handler.lineno < LONGEST_HANDLER, handler.name

    def test_nothing_heavy_is_imported_before_it_is_needed(self) -> None:
        script = (
            "import sys, function_app, asyncio, azure.functions as func\n"
            "request = func.HttpRequest('GET', 'http://x/health', body=b'')\n"
            "health = {each.get_function_name(): each.get_user_function()"
            " for each in function_app.app.get_functions()}['health']\n"
            "assert asyncio.run(health(request)).status_code == 503\n"
            f"print([each for each in {HEAVY} if each in sys.modules])"
        )
        done = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"


class TestDeployed:
    def test_what_is_left_out_is_not_needed(self, tmp_path: Path) -> None:
        ignored = (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
        left_out = [ROOT / line.rstrip("/") for line in ignored if line.startswith("pat_core/")]
        assert ROOT / "pat_core" / "local" in left_out
        for path in [ROOT / "function_app.py", *(ROOT / "pat_core").rglob("*")]:
            if path.is_file() and not any(path.is_relative_to(each) for each in left_out):
                there = tmp_path / path.relative_to(ROOT)
                there.parent.mkdir(parents=True, exist_ok=True)
                there.write_bytes(path.read_bytes())
        script = (
            "import asyncio, function_app\n"
            "from pat_core.bootstrap import services\n"
            "from pat_core.channels.render import Renderer\n"
            "async def go():\n"
            "    async with services() as all_of_them:\n"
            "        all_of_them.runner, all_of_them.queues, all_of_them.watch\n"
            "asyncio.run(go())\n"
            "print(function_app.__file__)"
        )
        settings = {
            "PAT_ORGANIZATIONS": "contoso",
            "PAT_STORAGE_ACCOUNT": "stpatwarden",
            "PATH": "",
        }
        done = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(str(tmp_path))


class TestHostJson:
    def test_the_local_host_works_as_azure_will(self) -> None:
        queues = read("host.json")["extensions"]["queues"]
        assert queues["batchSize"] + queues["newBatchThreshold"] == host.PARALLEL
        assert queues["maxDequeueCount"] == MOST_DEQUEUED

    def test_messages_are_read_as_they_are_sent(self) -> None:
        # The default is base64, which would send every message of ours to poison.
        assert read("host.json")["extensions"]["queues"]["messageEncoding"] == "none"

    def test_pages_are_where_the_links_lead(self) -> None:
        assert read("host.json")["extensions"]["http"]["routePrefix"] == ""


class TestLocalSettingsExample:
    VALUES: dict[str, str] = read("local.settings.json.example")["Values"]

    def test_it_has_all_that_the_bindings_ask_for(self) -> None:
        source = (ROOT / "function_app.py").read_text(encoding="utf-8")
        wanted = {*re.findall(r"%(\w+)%", source), "AzureWebJobsStorage"}
        assert wanted <= self.VALUES.keys()

    def test_the_app_starts_with_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in self.VALUES.items():
            monkeypatch.setenv(name, value)
        settings = load_settings()
        assert settings.organizations
        assert settings.storage_connection_string
        assert settings.storage_connection_string.get_secret_value() == DEVELOPMENT

    def test_its_schedules_are_the_defaults(self, monkeypatch: pytest.MonkeyPatch) -> None:
        defaults = load_settings()
        for name in ("scan_schedule", "send_schedule", "summary_schedule"):
            assert self.VALUES[f"PAT_{name.upper()}"] == getattr(defaults, name)
