"""What is refused before any flow is asked, with a line of the log that names nobody."""

from __future__ import annotations

import logging
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from pat_core.signals import Event
from pat_core.views import Problem

_LOG: Final = logging.getLogger("pat_warden")


class Why(StrEnum):
    """What was missing."""

    ORIGIN = "origin"
    """The request came from no page of ours."""
    ROLE = "role"
    """Who is signed in is no administrator."""
    SIGNATURE = "signature"
    """The session says that it is an administrator's, and Entra does not, or does no more."""


_PROBLEMS: Final = {
    Why.ORIGIN: Problem(
        HTTPStatus.FORBIDDEN,
        "The request did not come from this page",
        "Nothing was done.",
        "Open the token's page and choose there.",
    ),
    Why.ROLE: Problem(
        HTTPStatus.FORBIDDEN,
        "This page is for administrators",
        "You are signed in, but you do not hold the role PatAdministrator of this service.",
        "Ask those who run this service for it. Your own tokens are under My tokens.",
    ),
}


def noted(why: Why) -> None:
    """Log a refusal."""
    _LOG.warning(Event.ACCESS_REFUSED, extra={"why": why.value})


def refused(why: Why) -> Problem:
    """What is told of a refusal, which is logged."""
    noted(why)
    return _PROBLEMS[why]
