"""What a route says of itself, for the OpenAPI document that `hub.server.openapi` makes.

Only what the route itself decides is said here. What the endpoint adds to every route (credentials,
`Accept`, errors, headers) stands once, in `hub.server.openapi`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from hub.taxii import media

Schema = Mapping[str, Any]
"""JSON Schema, draft 2020-12."""
Content = type[msgspec.Struct] | Schema
"""A wire type, which becomes a component of the document, or a schema."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a route.

    The path parameters `collection_id`, `object_id`, `status_id` and `channel_id` are known to the
    document and need none.

    Args:
        name: as it travels.
        description: what it does, in one sentence.
        schema: of its value, as text.
        where: in the query, the path or a header.
        required: path parameters always are.
        example: a value that the route takes.
    """

    name: str
    description: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    where: Literal["query", "path", "header"] = "query"
    required: bool = False
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """What a route reads.

    Args:
        description: in one sentence.
        content: of the body.
        media_type: its Content-Type.
        example: a body that the route takes.
    """

    description: str
    content: Content
    media_type: str = media.TAXII
    example: Any = None


@dataclass(frozen=True, slots=True)
class Link:
    """Where an answer leads to.

    Args:
        name: unique within the answer.
        operation: name of the other route's handler function.
        parameters: its parameters by runtime expressions (`$response.body#/id`, `$request.path.x`).
        description: in one sentence.
    """

    name: str
    operation: str
    parameters: Mapping[str, str]
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which a route answers when it does what was asked; errors are not listed.

    Args:
        status: 200, 202, 206, 304, ...
        description: in one sentence.
        content: of the body; None for an answer without one.
        media_type: its Content-Type; None is TAXII's for TAXII routes, otherwise JSON.
        headers: name -> what it says, beside those that every answer carries.
        links: where it leads to.
        example: such a body.
    """

    status: int
    description: str
    content: Content | None = None
    media_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    example: Any = None
