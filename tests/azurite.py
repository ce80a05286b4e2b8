"""Azurite, Microsoft's storage emulator, as a process of the test run's own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

BINARY = Path(__file__).parent / "node_modules" / ".bin" / "azurite"
# The account that every Azurite has; its key is published and protects nothing.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
STARTS_WITHIN = 30.0


def find_azurite() -> str:
    """The program, or a skip with the command that installs it; under CI a failure."""
    found = str(BINARY) if BINARY.exists() else shutil.which("azurite")
    if found:
        return found
    reason = "Azurite is not installed; `npm ci --prefix tests` installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """The connection string of an Azurite that runs as long as the context."""
    program = find_azurite()
    ports = dict(zip(("blob", "queue", "table"), free_ports(3), strict=True))
    flags = [
        flag
        for service, port in ports.items()
        for flag in (f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port))
    ]
    command = [program, "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    child = subprocess.Popen([*command, "--location", str(folder), *flags])  # noqa: S603 - our own words
    try:
        for port in ports.values():
            _await_port(port, child)
        yield _connection_string(ports)
    finally:
        child.terminate()
        child.wait(timeout=30)


# Below those that the system itself gives to whoever connects somewhere meanwhile.
_PORTS = range(12_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on just now."""
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found += [port] if port not in found else []
    return found


def _await_port(port: int, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while child.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"Azurite did not answer on port {port} within {STARTS_WITHIN:.0f} seconds.")


def _connection_string(ports: dict[str, int]) -> str:
    account = "devstoreaccount1"
    ends = (
        f"{service.title()}Endpoint=http://127.0.0.1:{port}/{account}"
        for service, port in ports.items()
    )
    return f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={KEY};{';'.join(ends)};"
