"""What a caller is told where nobody foresaw what happened, and what the log holds of it."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Final

from pat_core.errors import PatWardenError
from pat_core.signals import Event
from pat_core.views import Problem
from pat_core.web.http import WebRequest, WebResponse, as_problem
from pat_core.web.pages import Pages

_LOG: Final = logging.getLogger("pat_warden")
_PROBLEM: Final = Problem(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "Something failed",
    "Nobody foresaw this, so it is not known how far it came. It stands in the log.",
    "Look whether it was done before you try again. If it fails again, ask those who run this "
    "service.",
)


class Unexpected(Exception):
    """Stands in the log for an exception: its kind and where it was, nothing of what it says."""


def unexpected(fault: Exception, function: str, request: WebRequest) -> WebResponse:
    """A 500 that tells nothing of the inside: a page for browsers, else a problem. It is logged."""
    # Any library may have put an address, a header or an input into the words of its exception.
    said = str(fault) if isinstance(fault, PatWardenError) else type(fault).__name__
    seen = Unexpected(said).with_traceback(fault.__traceback__)
    _LOG.error(Event.REQUEST_FAILED, exc_info=seen, extra={"function": function})
    if "text/html" in request.headers.get("accept", ""):
        return WebResponse(_PROBLEM.status, Pages().problem(_PROBLEM, who=""))
    return as_problem(_PROBLEM)
