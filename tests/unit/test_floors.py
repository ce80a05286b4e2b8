"""Keeps the arrows: a module imports only from its own floor's allowances, never back up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PURE = {
    "pat_core",
    "address",
    "allowance",
    "audit",
    "bodies",
    "coverage",
    "decision",
    "delivered",
    "digest",
    "errors",
    "expiry",
    "export",
    "fleet",
    "fleet_views",
    "ledger_version",
    "listing",
    "messages",
    "model",
    "outbox",
    "owner_records",
    "problems",
    "records",
    "renewals",
    "retention",
    "risk",
    "rotations",
    "routes",
    "rows",
    "run_records",
    "scopes",
    "signals",
    "summary",
    "vault_name",
    "views",
}
PORTS = {"ports"}
FLOWS = {
    "acts",
    "answers",
    "book",
    "current",
    "delivery",
    "desk",
    "doctor",
    "finishing",
    "dossiers",
    "fleet_keeping",
    "fleet_report",
    "forecasting",
    "forgetting",
    "inventory",
    "joining",
    "listed",
    "migrations",
    "owner_views",
    "pointing",
    "preview",
    "spelling",
    "purging",
    "recording",
    "renewal",
    "reports",
    "rotation",
    "run_log",
    "runs",
    "scan",
    "summarize",
    "taps",
    "trail",
}
ADAPTERS = {"azure_devops", "channels", "ledger", "queues", "telemetry", "vault", "web"}
FRONT = {
    "admin_front",
    "downloads",
    "front",
    "openapi",
    "operations",
    "posts",
    "refusals",
    "unexpected",
}
BOOTSTRAP = {"bootstrap", "settings"}
TOP = {
    "__main__",
    "arguments",
    "cli",
    "console",
    "function_app",
    "local",
    "ops_cli",
    "report_cli",
    "owner_cli",
    "owner_console",
    "survey",
}
ALLOWED = {
    **dict.fromkeys(PURE, PURE),
    **dict.fromkeys(PORTS, PURE),
    **dict.fromkeys(FLOWS, PURE | PORTS | FLOWS),
    # An adapter knows itself, the pure rules and the ports: no flow, no other adapter.
    **{room: PURE | PORTS | {room} for room in ADAPTERS},
    # What answers for the pages: it calls flows and has them shown.
    **dict.fromkeys(FRONT, PURE | PORTS | FLOWS | {"web"} | FRONT),
    "settings": PURE,
    "bootstrap": PURE | PORTS | FLOWS | ADAPTERS | FRONT | BOOTSTRAP,
    **dict.fromkeys(TOP, PURE | PORTS | FLOWS | ADAPTERS | FRONT | BOOTSTRAP | TOP),
}
# What rules and flows may not know: no I/O, no clock, no framework.
OUTSIDE = {"aiohttp", "azure", "httpx", "os", "pathlib", "sqlite3", "time"}


def modules() -> Iterator[tuple[str, Path]]:
    yield "function_app", ROOT / "function_app.py"
    for path in sorted((ROOT / "pat_core").rglob("*.py")):
        first = path.relative_to(ROOT / "pat_core").parts[0].removesuffix(".py")
        yield ("pat_core" if first == "__init__" else first), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides its floor"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(path: Path) -> Iterator[str]:
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "pat_core" and len(parts) > 1:
            known = parts[1] in ALLOWED
            yield parts[1] if known else "pat_core"


class TestFloors:
    def test_every_module_stands_on_a_floor(self) -> None:
        assert {room for room, _ in modules()} <= ALLOWED.keys()

    def test_no_arrow_runs_back_up(self) -> None:
        wrong = [
            f"{path.relative_to(ROOT)} imports {found}"
            for room, path in modules()
            for found in rooms(path)
            if found not in ALLOWED[room]
        ]
        assert wrong == []

    def test_pure_rules_and_flows_know_no_outside(self) -> None:
        wrong = [
            f"{path.relative_to(ROOT)} imports {name}"
            for room, path in modules()
            for name in imports(path)
            if room in PURE | FLOWS and name.split(".")[0] in OUTSIDE
        ]
        assert wrong == []

    def test_only_the_function_app_and_who_runs_it_here_know_azure_functions(self) -> None:
        knowing = [
            path.name
            for _, path in modules()
            if any(name.startswith("azure.functions") for name in imports(path))
        ]
        assert knowing == ["function_app.py", "host.py"]

    def test_only_bootstrap_reads_the_clock(self) -> None:
        reading = [
            path.name
            for _, path in modules()
            for line in path.read_text(encoding="utf-8").splitlines()
            if any(
                call in line for call in ("datetime.now(", "utcnow(", "time.time(", "monotonic(")
            )
        ]
        assert set(reading) == {"bootstrap.py"}
