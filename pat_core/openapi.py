"""The JSON routes as OpenAPI 3.1 describes them, made from the models that read and answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from pat_core import __version__
from pat_core.bodies import Nothing
from pat_core.operations import Guard, Operation, Parameter, Reply, operations
from pat_core.web.http import JSON, LINES, WebResponse
from pat_core.web.session import COOKIE

Schema = dict[str, Any]
Mode = Literal["validation", "serialization"]
_PLACE: Final = "#/components/schemas/{model}"
_ABOUT: Final = (
    "The routes of this service that speak JSON. Times are UTC; what may be added later is not "
    "listed, so ignore what you do not know."
)
_SCHEMES: Final[Mapping[Guard, Schema]] = {
    Guard.KEY: {"type": "apiKey", "in": "header", "name": "x-functions-key"},
    Guard.KEY_IN_QUERY: {"type": "apiKey", "in": "query", "name": "code"},
    Guard.OWNER: {
        "type": "http",
        "scheme": "bearer",
        "description": "An Entra token of the user who owns the PAT, for Azure DevOps.",
    },
    Guard.SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The session of an administrator, who signs in by a browser at /sign-in.",
    },
}


@cache
def document(lifetimes_days: tuple[int, ...]) -> WebResponse:
    """The description as it is sent; anybody may ask, so it is made once."""
    return WebResponse(HTTPStatus.OK, json.dumps(description(lifetimes_days)), kind=JSON)


def description(lifetimes_days: Sequence[int]) -> Schema:
    """The description of a service whose new tokens may live for so many days."""
    known = operations()
    kinds, definitions = _schemas(known)
    definitions["LifetimeDays"] |= {"enum": sorted(lifetimes_days)}
    paths: dict[str, Schema] = {}
    for each in known:
        paths.setdefault(each.path, {})[each.method] = _operation(each, kinds)
    return {
        "openapi": "3.1.0",
        "info": {"title": "PAT Warden", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {guard.value: scheme for guard, scheme in _SCHEMES.items()},
        },
    }


def _schemas(known: Iterable[Operation]) -> tuple[Mapping[type, Schema], dict[str, Schema]]:
    """What stands for each kind, and the definitions that this refers to."""
    wanted: dict[type, Mode] = {}
    for each in known:
        wanted |= dict.fromkeys(
            (kind for reply in each.replies.values() for kind in reply.kinds), "serialization"
        )
        if each.asks is not Nothing:
            wanted[each.asks] = "validation"
    inputs: list[tuple[type, Mode, TypeAdapter[Any]]] = [
        (kind, mode, TypeAdapter(kind)) for kind, mode in wanted.items()
    ]
    found, common = TypeAdapter.json_schemas(inputs, ref_template=_PLACE)
    return {kind: schema for (kind, _), schema in found.items()}, common["$defs"]


def _operation(operation: Operation, kinds: Mapping[type, Schema]) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": [{guard.value: []} for guard in operation.guards],
        "parameters": [_parameter(each) for each in operation.parameters],
        "responses": {
            str(int(status)): _reply(reply, kinds) for status, reply in operation.replies.items()
        },
    }
    if operation.asks is not Nothing:
        required = any(each.is_required() for each in operation.asks.model_fields.values())
        content = {JSON: {"schema": kinds[operation.asks]}}
        described["requestBody"] = {"required": required, "content": content}
    return described


def _parameter(parameter: Parameter) -> Schema:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.words,
        "schema": {"type": "string", **parameter.limits},
    }


def _reply(reply: Reply, kinds: Mapping[type, Schema]) -> Schema:
    described: Schema = {"description": reply.words}
    if reply.headers:
        schema = {"required": True, "schema": {"type": "string"}}
        described["headers"] = dict.fromkeys(reply.headers, schema)
    if reply.kinds:
        described["content"] = {reply.media: {"schema": _one_of(reply, kinds)}}
    elif reply.media:
        described["content"] = {reply.media: {}}
    return described


def _one_of(reply: Reply, kinds: Mapping[type, Schema]) -> Schema:
    schemas = [kinds[kind] for kind in reply.kinds]
    schema: Schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    # Every line is of that kind: what OpenAPI 3.2 calls a sequence has no other form in 3.1.
    return {"type": "array", "items": schema} if reply.media == LINES else schema
