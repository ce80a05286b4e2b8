"""The PAT Lifecycle API of the simulated Azure DevOps: what owners do with their own tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.responses import JSONResponse, Response

from pat_core.local.calls import Call, error, page_mark, page_start
from pat_core.local.changes import Changes
from pat_core.local.policies import Policies, Refused
from pat_core.local.shapes import as_stored, pat_token
from pat_core.local.world import Person
from pat_core.model import NewToken, Token

MOST: Final = 100
_ONE: Final = "authorizationId"


class _Listing(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    display_filter_option: Literal["active", "revoked", "expired", "all"] = "active"
    sort_by_option: Literal["displayName", "displayDate", "status"] = "displayDate"
    is_sort_ascending: bool = True
    continuation_token: str = ""
    top: int = Field(MOST, alias="$top", ge=1, le=MOST)


class _Asked(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    authorization_id: str = ""
    display_name: str | None = None
    scope: str | None = None
    valid_to: str | None = None
    all_orgs: bool = False


class Lifecycle:
    """Answers the calls to `tokens/pats`; each person sees and changes their own tokens alone."""

    def __init__(self, changes: Changes, policies: Policies) -> None:
        self._changes = changes
        self._policies = policies

    def answer(self, call: Call) -> Response:
        """What comes back: most refusals stand inside a 200."""
        person = call.caller.person
        if person is None or call.caller.by_pat:
            return error(403, f"{call.request.url.path}: access denied.")
        try:
            return self._verb(call)(person, call)
        except Refused as fault:
            return _result(None, fault.error, str(fault))
        except ValueError:
            return error(400, "The request is not valid.")

    def _verb(self, call: Call) -> Callable[[Person, Call], Response]:
        if call.request.method in ("GET", "HEAD"):
            return self._one if _ONE in call.request.query_params else self._list
        return {"POST": self._create, "PUT": self._update, "DELETE": self._revoke}[
            call.request.method
        ]

    def _list(self, person: Person, call: Call) -> Response:
        asked = _Listing.model_validate(dict(call.request.query_params))
        start = page_start(asked.continuation_token)
        if start is None:
            return error(400, "The continuation token is not valid.")
        shown = self._shown(person, asked)
        end = start + asked.top
        # Both mean the end, and both are met.
        last = ("", None)[person.number % 2]
        return JSONResponse(
            {
                "continuationToken": page_mark(end) if end < len(shown) else last,
                "patTokens": [self._as_json(token) for token in shown[start:end]],
            }
        )

    def _shown(self, person: Person, asked: _Listing) -> list[Token]:
        wanted, now = asked.display_filter_option, self._changes.now()
        keys: dict[str, Callable[[Token], Any]] = {
            "displayName": lambda token: token.display_name,
            "displayDate": lambda token: token.valid_to,
            "status": lambda token: _status(token, now),
        }
        found = [t for t in self._changes.tokens(person) if wanted in ("all", _status(t, now))]
        return sorted(found, key=keys[asked.sort_by_option], reverse=not asked.is_sort_ascending)

    def _one(self, person: Person, call: Call) -> Response:
        token = self._token(person, call.request.query_params[_ONE])
        return _result(self._as_json(token))

    def _create(self, person: Person, call: Call) -> Response:
        asked, now = _Asked.model_validate_json(call.body), self._changes.now()
        self._policies.check_creation()
        _check_reach(asked)
        name, scope = asked.display_name or "", asked.scope or ""
        if not name.strip():
            raise Refused("displayNameRequired", "A name is required.")
        self._policies.check_scope(scope)
        end = self._policies.end(_time(asked.valid_to), now, now)
        issued = self._changes.create(person, NewToken(name, scope, as_stored(end)))
        return _result(self._as_json(issued.token, issued.secret.get_secret_value()))

    def _update(self, person: Person, call: Call) -> Response:
        asked, now = _Asked.model_validate_json(call.body), self._changes.now()
        token = self._token(person, asked.authorization_id)
        if _status(token, now) != "active":
            raise Refused("expiredPatCannotBeExtended", "Only an active token can be changed.")
        _check_reach(asked)
        scope, end = asked.scope or token.scope, token.valid_to
        self._policies.check_scope(scope)
        if asked.valid_to:
            end = as_stored(self._policies.end(_time(asked.valid_to), token.valid_from, now))
        name = asked.display_name or token.display_name
        updated = replace(token, display_name=name, scope=scope, valid_to=end)
        self._changes.update(person, updated)
        return _result(self._as_json(updated))

    def _revoke(self, person: Person, call: Call) -> Response:
        token = self._token(person, call.request.query_params.get(_ONE, ""))
        self._changes.revoke([token.authorization_id], self._changes.now())
        return Response(status_code=204)

    def _token(self, person: Person, authorization_id: str) -> Token:
        if token := self._changes.token(person, authorization_id):
            return token
        raise Refused("authorizationNotFound", "There is no such token.")

    def _as_json(self, token: Token, secret: str | None = None) -> dict[str, Any]:
        return pat_token(token, self._changes.world.organization, secret)


def _result(
    shown: dict[str, Any] | None, fault: str = "none", message: str | None = None
) -> Response:
    body = {"patToken": shown, "patTokenError": fault, "patTokenErrorMessage": message}
    return JSONResponse(body)


def _status(token: Token, now: datetime) -> str:
    if not token.is_valid:
        return "revoked"
    return "active" if token.valid_to > now else "expired"


def _check_reach(asked: _Asked) -> None:
    if asked.all_orgs:
        raise Refused("globalPATCreationBlocked", "Tokens for all organizations are blocked.")


def _time(text: str | None) -> datetime:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        raise Refused("invalidValidTo", "The end is no time.") from None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
