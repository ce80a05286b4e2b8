"""Lets MSAL, which speaks https alone, reach the simulated Entra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

_HOST: Final = "login.microsoftonline.com"


class MsalHttp:
    """An `http_client` for MSAL that sends all it is given to an address on loopback.

    It blocks: who serves Entra in the same event loop runs MSAL in a thread, from its making on.
    """

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(base_url=address, trust_env=False)

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,  # noqa: ANN401
    ) -> httpx.Response:
        """The reply to a GET. Raises ValueError for another host than Entra's."""
        return self._http.get(_path(url), params=params, headers=headers)

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,  # noqa: ANN401
    ) -> httpx.Response:
        """The reply to the POST of a form. Raises ValueError for another host than Entra's."""
        return self._http.post(_path(url), params=params, data=data, headers=headers)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


def _path(url: str) -> str:
    asked = urlsplit(url)
    if asked.hostname != _HOST:
        raise ValueError(f"MSAL asked for {asked.hostname}, where no Entra is simulated.")
    return asked.path + (f"?{asked.query}" if asked.query else "")
