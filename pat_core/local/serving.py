"""Serves an application on loopback within the running event loop."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from pat_core.errors import SettingsError


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave Ctrl+C to the program around it."""
        yield


@asynccontextmanager
async def serving(
    app: ASGIApp, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """The address of an application that is served as long as the context; port 0 is any free one.

    With `tls`, which holds a certificate, it is served by https. Raises SettingsError where the
    port is taken.
    """
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as fault:
        raise SettingsError(
            [f"--port {port} cannot be used: {os.strerror(fault.errno or 0)}. Example: --port 7072"]
        ) from None
    # The event loop does so only for sockets that name their protocol, and these do not. Without it
    # each answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    config.load()
    config.ssl = tls
    server = _Server(config)
    task = asyncio.create_task(server.serve([listener]))
    try:
        # The socket listens already: who connects before the server is up waits a moment.
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
