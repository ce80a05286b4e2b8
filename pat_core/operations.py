"""The JSON routes: who may ask, what each takes, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from pat_core.audit import AuditEntry
from pat_core.bodies import (
    Asked,
    Done,
    Health,
    LedgerAway,
    Nothing,
    ProblemDetails,
    Refusal,
    RotationAnswer,
    RunAsked,
    RunOrdered,
    RunProgress,
    WrongSettings,
)
from pat_core.export import TokenLine
from pat_core.listing import Flag, Order
from pat_core.messages import RUN_ID
from pat_core.posts import ACTIONS, AUTHORIZATION_ID, ROTATING
from pat_core.problems import TITLES
from pat_core.risk import Risk
from pat_core.web.http import JSON, LINES, PROBLEM


class Guard(StrEnum):
    """What a caller shows, by the name of the security scheme."""

    KEY = "functionKey"
    KEY_IN_QUERY = "functionKeyInQuery"
    OWNER = "ownerToken"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, a text within `limits` of JSON Schema; those in the path are always given."""

    name: str
    place: str
    words: str
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: a body of one of `kinds`, or a body that says nothing to a program."""

    words: str
    kinds: tuple[type, ...] = ()
    media: str = JSON
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; any one of `guards` will do, and none means that it is open."""

    name: str
    method: str
    path: str
    summary: str
    replies: Mapping[int, Reply]
    guards: tuple[Guard, ...] = ()
    asks: type[Asked] = Nothing
    parameters: tuple[Parameter, ...] = ()


_Replies = dict[int, Reply]
_KEYS: Final = (Guard.KEY, Guard.KEY_IN_QUERY)
_NO_KEY: Final[_Replies] = {
    HTTPStatus.UNAUTHORIZED: Reply("Azure Functions refused the key", media="")
}
_AWAY: Final[_Replies] = {
    HTTPStatus.SERVICE_UNAVAILABLE: Reply(
        "The ledger is away", (Refusal,), headers=("Retry-After",)
    )
}
_RUN: Final = Parameter("run_id", "path", "As it was answered", {"pattern": RUN_ID})
_TOKEN: Final = (
    Parameter("organization", "path", "An organization that is scanned"),
    Parameter("authorization_id", "path", "The token's id", {"pattern": AUTHORIZATION_ID}),
)
_KEY_OF_CALLER: Final = Parameter(
    "Idempotency-Key", "header", "Kept with the rotation: a token is never rotated twice at once"
)
_ACTIONS: Final = {
    "rotate": "Replace a token by a new one of the same name and scopes",
    "extend": "Let a token live longer",
    "snooze": "Be reminded of a token later",
    "revoke": "End a token now",
    "let-expire": "Be reminded of a token no more",
    "remind": "Be reminded of a token again",
    "stored": "Say that the new token is stored: from now on the overlap runs",
    "restart": "Give a rotation up whose new token was not stored",
    "keep": "Let the old token live longer",
}


def operations() -> list[Operation]:
    """All of them, those for ops first."""
    actions = [_action(name, summary) for name, summary in _ACTIONS.items()]
    return [*_for_ops(), *actions, *_exports()]


def _for_ops() -> Sequence[Operation]:
    ordered: _Replies = {
        HTTPStatus.ACCEPTED: Reply("Ordered", (RunOrdered,), headers=("Location",)),
        HTTPStatus.BAD_REQUEST: Reply("The body cannot be read", (Refusal,)),
    }
    shown: _Replies = {
        HTTPStatus.OK: Reply("Found", (RunProgress,)),
        HTTPStatus.NOT_FOUND: Reply("No such run", (Refusal,)),
    }
    well: _Replies = {
        HTTPStatus.OK: Reply("Healthy", (Health,)),
        HTTPStatus.SERVICE_UNAVAILABLE: Reply("Unhealthy", (Health, WrongSettings, LedgerAway)),
    }
    document: _Replies = {HTTPStatus.OK: Reply("OpenAPI 3.1", (dict[str, object],))}
    ordering, showing = ordered | _AWAY | _NO_KEY, shown | _AWAY | _NO_KEY
    return (
        Operation("order_run", "post", "/runs", "Order a run now", ordering, _KEYS, RunAsked),
        Operation(
            "run_progress",
            "get",
            "/runs/{run_id}",
            "How far a run is",
            showing,
            _KEYS,
            parameters=(_RUN,),
        ),
        Operation("health", "get", "/health", "Whether all was scanned wholly of late", well),
        Operation("openapi", "get", "/openapi.json", "This description", document),
    )


def _action(name: str, summary: str) -> Operation:
    kind = RotationAnswer if name in ROTATING else Done
    path = f"/tokens/{{organization}}/{{authorization_id}}/{name}"
    parameters = (*_TOKEN, _KEY_OF_CALLER) if name == "rotate" else _TOKEN
    replies: _Replies = {HTTPStatus.OK: Reply("Done", (kind,))} | {
        status: Reply("; or ".join(titles), (ProblemDetails,), PROBLEM, _needed(status))
        for status, titles in TITLES.items()
    }
    return Operation(
        f"{name.replace('-', '_')}_token",
        "post",
        path,
        summary,
        replies,
        (Guard.OWNER,),
        ACTIONS[name],
        parameters,
    )


def _needed(status: int) -> tuple[str, ...]:
    return ("WWW-Authenticate",) if status == HTTPStatus.UNAUTHORIZED else ()


def _exports() -> Sequence[Operation]:
    choices = {"only": Flag, "risk": Risk, "sort": Order}
    words = "What cannot be read asks for nothing"
    query = [Parameter(name, "query", words) for name in ("organization", "window", "search")] + [
        Parameter(name, "query", words, {"enum": [each.value for each in kind]})
        for name, kind in choices.items()
    ]
    return (
        _export("export", "Every token, a line each", TokenLine, tuple(query)),
        _export("trail", "Who did what to which token, a line each", AuditEntry),
    )


def _export(name: str, summary: str, kind: type, query: tuple[Parameter, ...] = ()) -> Operation:
    page = Reply("A page that says why", media="text/html")
    headers = ("Content-Disposition", "Content-Encoding")
    return Operation(
        f"{name}_lines",
        "get",
        f"/report/{name}.jsonl",
        summary,
        {
            HTTPStatus.OK: Reply("JSON lines, packed by gzip", (kind,), LINES, headers),
            HTTPStatus.SEE_OTHER: Reply("Nobody is signed in", media="", headers=("Location",)),
            HTTPStatus.FORBIDDEN: page,
            HTTPStatus.CONFLICT: page,
            HTTPStatus.BAD_GATEWAY: page,
            HTTPStatus.SERVICE_UNAVAILABLE: page,
        },
        (Guard.SESSION,),
        parameters=query,
    )
