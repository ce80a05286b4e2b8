"""How much harm a token can do in the wrong hands, by its scope. Pure."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Final

from pat_core.scopes import FULL_ACCESS

_WRITES: Final = (
    "_write", "_manage", "_execute", "_full", "_status", "_publish", "_create", "_admin",
)  # fmt: skip
_RULES: Final = ("vso.security", "vso.pats")
_TOKENS: Final = ("vso.tokens", "vso.tokenadministration")
_PEOPLE: Final = ("vso.graph", "vso.identity", "vso.memberentitlementmanagement", "vso.project")
_SUPPLY: Final = (
    "vso.code",
    "vso.build",
    "vso.release",
    "vso.packaging",
    "vso.serviceendpoint",
    "vso.agentpools",
    "vso.environment",
    "vso.securefiles",
    "vso.variablegroups",
    "vso.extension",
    "vso.pipelineresources",
)


class Risk(StrEnum):
    """What the gravest scope of a token allows, the gravest first."""

    FULL_ACCESS = "full-access"
    RULES = "manage-access"
    SUPPLY = "write-code"
    WRITE = "write"
    READ = "read"


RISK_WORDS: Final = {
    Risk.FULL_ACCESS: "full access",
    Risk.RULES: "manages tokens or people",
    Risk.SUPPLY: "writes code or pipelines",
    Risk.WRITE: "writes other things",
    Risk.READ: "reads only",
}


@lru_cache(maxsize=1024)  # a fleet has few scopes, and many tokens of each
def risk_of(scope: str) -> Risk:
    """The risk of a scope (space-separated `vso.*`); a deed that is not known counts as reading."""
    scopes = scope.split()
    if FULL_ACCESS in scopes:
        return Risk.FULL_ACCESS
    return min((_one(each) for each in scopes), key=list(Risk).index, default=Risk.READ)


def _one(scope: str) -> Risk:
    if scope.startswith(_TOKENS):
        # Their names end in no deed, and they let everybody's tokens be revoked.
        return Risk.RULES
    if not scope.endswith(_WRITES):
        return Risk.READ
    if scope.startswith((*_RULES, *_PEOPLE)):
        return Risk.RULES
    return Risk.SUPPLY if scope.startswith(_SUPPLY) else Risk.WRITE
