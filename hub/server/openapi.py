"""The OpenAPI 3.1 document of a hub, made from its table of routes: no copy is kept by hand.

A route says what only it knows (`hub.server.routes.description`). What the endpoint gives to all of
them is added here: credentials, the headers of every answer, and errors with TAXII's error message.
Schemas come from the wire types.

Source: OpenAPI 3.1.0; TAXII 2.1, sections 3.2 (headers) and 3.6.1 (error message).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from hub.server.policy import Action
from hub.server.routes import Route
from hub.server.routes.accounts import PROTOCOL
from hub.server.routes.description import Answer, Content, Link, Parameter
from hub.settings import HubSettings
from hub.taxii import media, wire

OPENAPI: Final = "3.1.0"
_JSON: Final = "application/json"
_SCHEMAS: Final = "#/components/schemas/{name}"
_SEGMENT: Final = {"type": "string", "minLength": 1, "maxLength": 250, "pattern": "^[^/]+$"}
_EXAMPLE_ID: Final = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"

_PATH: Final = {
    "collection_id": ("The collection's id or alias.", _EXAMPLE_ID),
    "object_id": (
        "The STIX object's id.",
        "indicator--252c7c11-daf2-42bd-843b-be65edca9f61",
    ),
    "status_id": ("The id of a status resource, from the answer to a POST.", _EXAMPLE_ID),
    "channel_id": ("The channel's id, from its genesis manifest.", None),
}

_CONDITION: Final = Parameter(
    "If-None-Match",
    "Entity tags of answers that the client has; one that still holds is answered with 304.",
    where="header",
)
_UNCHANGED: Final = Answer(304, "The answer that `If-None-Match` names still holds.")
_STREAM: Final = "text/event-stream"

_ERRORS: Final[Mapping[int, str]] = {
    400: "The request cannot be read: a parameter, header or body of the wrong form.",
    401: "No valid credentials.",
    403: "The account may know of this but not do it.",
    404: "It does not exist, or the account may not know that it does.",
    405: "The path exists, this method on it does not.",
    406: "The client accepts no media type that the hub answers with.",
    408: "The body did not arrive in time.",
    409: "It contradicts what is stored already.",
    413: "The body is longer than `max_content_length`.",
    414: "The target is too long.",
    415: "The body's media type or encoding is not one that the hub reads.",
    416: "No such range.",
    422: "The body is JSON, but not what the endpoint takes, or fails verification.",
    429: "Too many requests or failed log-ins.",
    431: "The headers are too long.",
    500: "The hub failed.",
    503: "The hub is busy or stopping.",
    507: "The hub's storage failed.",
}
_ALWAYS: Final = (400, 401, 403, 405, 414, 429, 431, 500, 503, 507)
_BARE: Final = (414, 431)
"""Answered before the hub sees the request: without a body."""
_WITH_BODY: Final = (408, 413, 415, 422)

_HEADERS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "X-Request-Id": ("Names this request in the hub's log.", {"type": "string"}),
    "ETag": ("Names this answer in `If-None-Match`.", {"type": "string", "minLength": 2}),
    "WWW-Authenticate": ("How to log in.", {"type": "string"}),
    "Retry-After": ("Seconds to wait.", {"type": "string", "pattern": "^[0-9]+$"}),
    "Allow": ("The methods of this path.", {"type": "string"}),
    "X-TAXII-Date-Added-First": (
        "`date_added` of the first row; on an empty page where the next one starts.",
        {"type": "string", "pattern": r"^[0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z$"},
    ),
    "X-TAXII-Date-Added-Last": (
        "`date_added` of the last row; on an empty page where the next one starts.",
        {"type": "string", "pattern": r"^[0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z$"},
    ),
}
_ERROR_HEADERS: Final = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_SECURITY: Final[Mapping[str, dict[str, str]]] = {
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The password is the API token; the user name is free.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The API token, or an access token of a server that the hub trusts.",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The API token.",
    },
    "certificate": {
        "type": "mutualTLS",
        "description": "A client certificate that is bound to the account, where the hub asks "
        "for one.",
    },
}


def document(routes: Sequence[Route], settings: HubSettings) -> dict[str, Any]:
    """Describe the routes of a hub.

    Args:
        routes: the table that the application is made from.
        settings: name the API root and the hub's public URL.
    Returns:
        An OpenAPI document as plain values. Paths end with a slash; requests may leave it out, and
        HEAD is served wherever GET is.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = route.path.replace("{root}", settings.root)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": settings.title,
            "description": settings.description,
            "version": str(PROTOCOL),
        },
        "servers": [{"url": settings.public_url or "/"}],
        "security": [{name: []} for name in _SECURITY],
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "responses": {_error_name(code): _error(code) for code in _error_codes(routes)},
            "headers": {
                name: {"description": text, "schema": schema}
                for name, (text, schema) in _HEADERS.items()
            },
            "securitySchemes": dict(_SECURITY),
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "tags": ["taxii" if route.taxii else "stillwatch"],
        "parameters": [*_path_parameters(route), *map(_parameter, _told(route))],
        "responses": _responses(route),
    }
    if route.body is not None:
        content: dict[str, Any] = {"schema": _schema(route.body.content)}
        if route.body.example is not None:
            content["examples"] = {"example": {"value": route.body.example}}
        operation["requestBody"] = {
            "description": route.body.description,
            "required": True,
            "content": {route.body.media_type: content},
        }
    return operation


def _conditional(route: Route) -> bool:
    """Whether an answer that has not changed is not sent again: every GET but a stream."""
    return route.method == "GET" and all(one.media_type != _STREAM for one in route.answers)


def _told(route: Route) -> list[Parameter]:
    """The parameters that the route tells of, and those of all like it."""
    names = {parameter.name for parameter in route.parameters}
    added = [_CONDITION] if _conditional(route) and _CONDITION.name not in names else []
    return [*route.parameters, *added]


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    told = {parameter.name for parameter in route.parameters if parameter.where == "path"}
    names = re.findall(r"\{([a-z_]+)(?::[a-z]+)?\}", route.path)
    found = []
    for name in names:
        if name != "root" and name not in told:
            text, example = _PATH[name]
            found.append(_parameter(Parameter(name, text, _SEGMENT, "path", example=example)))
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "required": parameter.required or parameter.where == "path",
        "schema": dict(parameter.schema),
    }
    kind = parameter.schema.get("type")
    if kind == "array":
        made |= {"style": "form", "explode": False}
    if parameter.example is not None:
        made["example"] = _example(kind, parameter.example)
    return made


def _example(kind: object, text: str) -> object:
    if kind == "integer":
        return int(text)
    return text.split(",") if kind == "array" else text


def _responses(route: Route) -> dict[str, Any]:
    told = route.answers or (Answer(200, "Done."),)
    if _conditional(route) and all(one.status != 304 for one in told):
        told = (*told, _UNCHANGED)
    made = {str(answer.status): _answer(route, answer) for answer in told}
    for code in _codes(route):
        made.setdefault(str(code), {"$ref": f"#/components/responses/{_error_name(code)}"})
    return dict(sorted(made.items()))


def _codes(route: Route) -> set[int]:
    codes = {*_ALWAYS, *route.errors}
    if "{" in route.path.replace("{root}", "") or route.action is Action.BIND:
        codes.add(404)
    if route.taxii:
        codes.add(406)
    if route.body is not None:
        codes.update(_WITH_BODY)
    return codes


def _error_codes(routes: Iterable[Route]) -> list[int]:
    return sorted(set[int]().union(*map(_codes, routes)))


def _answer(route: Route, answer: Answer) -> dict[str, Any]:
    made: dict[str, Any] = {
        "description": answer.description,
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
    }
    if _conditional(route):
        made["headers"]["ETag"] = {"$ref": "#/components/headers/ETag"}
    for name, text in answer.headers.items():
        _, schema = _HEADERS.get(name, ("", {"type": "string"}))
        made["headers"][name] = {"description": text, "required": True, "schema": schema}
    if answer.content is not None:
        media_type = answer.media_type or (media.TAXII if route.taxii else _JSON)
        content: dict[str, Any] = {"schema": _schema(answer.content)}
        if answer.example is not None:
            content["examples"] = {"example": {"value": answer.example}}
        made["content"] = {media_type: content}
    if answer.links:
        made["links"] = {link.name: _link(link) for link in answer.links}
    return made


def _link(link: Link) -> dict[str, Any]:
    return {
        "operationId": link.operation,
        "parameters": dict(link.parameters),
        "description": link.description,
    }


def _error_name(code: int) -> str:
    return f"Error{code}"


def _error(code: int) -> dict[str, Any]:
    if code in _BARE:
        return {"description": _ERRORS[code]}
    headers = ("X-Request-Id", *_ERROR_HEADERS.get(code, ()))
    return {
        "description": _ERRORS[code],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {media.TAXII: {"schema": _schema(wire.Error)}},
    }


def _schema(content: Content) -> dict[str, Any]:
    if isinstance(content, type):
        return {"$ref": _SCHEMAS.format(name=content.__name__)}
    return dict(content)


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    types: dict[str, type[msgspec.Struct]] = {"Error": wire.Error}
    for route in routes:
        told: list[Content | None] = [answer.content for answer in route.answers]
        if route.body is not None:
            told.append(route.body.content)
        types.update({one.__name__: one for one in told if isinstance(one, type)})
    _, made = msgspec.json.schema_components(types.values(), ref_template=_SCHEMAS)
    return {name: _without_null(schema) for name, schema in sorted(made.items())}


def _without_null(schema: Any) -> Any:
    """Say of an optional field that it may be absent: the hub never writes null for it."""
    if isinstance(schema, list):
        return [_without_null(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("default", "") is None and {"type": "null"} in schema.get("anyOf", ()):
        (rest,) = (one for one in schema["anyOf"] if one != {"type": "null"})
        return _without_null(rest)
    return {key: _without_null(value) for key, value in schema.items()}
