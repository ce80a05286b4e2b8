"""What a token may do, in plain words. Pure. Source: the scopes of Azure DevOps' OAuth."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

FULL_ACCESS: Final = "app_token"
_MOST: Final = 6
_THINGS: Final = {
    "advsec": "security alerts",
    "agentpools": "agent pools",
    "analytics": "analytics",
    "auditlog": "the audit log",
    "build": "builds",
    "code": "code",
    "connected_server": "connected servers",
    "dashboards": "dashboards",
    "drop": "drops",
    "entitlements": "entitlements",
    "environment": "environments",
    "extension": "extensions",
    "extension.data": "extension data",
    "githubconnections": "GitHub connections",
    "gallery": "the marketplace",
    "graph": "users and groups",
    "hooks": "service hooks",
    "identity": "identities",
    "loadtest": "load tests",
    "machinegroup": "deployment groups",
    "memberentitlementmanagement": "member entitlements",
    "notification": "notifications",
    "packaging": "packages",
    "pats": "personal access tokens",
    "pipelineresources": "pipeline resources",
    "profile": "the user profile",
    "project": "projects and teams",
    "release": "releases",
    "securefiles": "secure files",
    "security": "security settings",
    "serviceendpoint": "service connections",
    "settings": "settings",
    "symbols": "symbols",
    "taskgroups": "task groups",
    "test": "tests",
    "threads": "pull request threads",
    "tokenadministration": "everyone's tokens",
    "tokens": "tokens",
    "variablegroups": "variable groups",
    "wiki": "wikis",
    "work": "work items",
}
_DEEDS: Final = {
    "": "read",
    "read": "read",
    "write": "read and write",
    "manage": "manage",
    "execute": "read and run",
    "full": "full control of",
    "status": "read and write the status of",
    "query": "query",
    "publish": "publish to",
    "acquire": "acquire from",
    "use": "use",
    "create": "create",
    "admin": "administer",
    "delete": "delete",
}


@lru_cache(maxsize=1024)  # a fleet has few scopes, and many tokens of each
def in_words(scope: str) -> str:
    """What a scope (space-separated `vso.*`) allows: `read and write code, read packages`.

    An unknown scope is shown as it is; of many, the last are only counted.
    """
    scopes = scope.split()
    if FULL_ACCESS in scopes:
        return "full access"
    words = [_one_in_words(each) for each in scopes]
    shown = list(dict.fromkeys(words))
    if len(shown) > _MOST:
        shown[_MOST - 1 :] = [f"and {len(shown) - _MOST + 1} more"]
    return ", ".join(shown) or "nothing that Azure DevOps names"


def _one_in_words(scope: str) -> str:
    bare = scope.removeprefix("vso.")
    if bare in _THINGS:
        return f"{_DEEDS['']} {_THINGS[bare]}"
    thing, _, deed = bare.rpartition("_")
    if thing in _THINGS and deed in _DEEDS:
        return f"{_DEEDS[deed]} {_THINGS[thing]}"
    return scope
