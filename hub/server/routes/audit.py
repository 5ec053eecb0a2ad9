"""Beside TAXII: what of the audit log concerns the asking organisation."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from starlette.responses import Response

from hub.errors import InputError
from hub.server import answers
from hub.server.policy import Action
from hub.server.routes import Context, Route
from hub.server.routes.description import Answer, Parameter

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,14}")
_MOST: Final = 1000


async def show_audit(context: Context) -> Response:
    """Lines of the audit log that concern the account's organisation, oldest first."""
    given = dict(context.request.query_params.multi_items())
    after = _number(given, "after", 0)
    limit = min(_MOST, max(1, _number(given, "limit", _MOST)))
    found = await context.service.audit_lines(context.principal, after, limit + 1)
    more = len(found) > limit
    document: dict[str, object] = {"rows": found[:limit], "more": more}
    return answers.plain(
        context.request, msgspec.json.encode(document), media_type="application/json"
    )


def _number(given: dict[str, str], name: str, default: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    if not _NUMBER.fullmatch(value):
        raise InputError("a decimal number is expected", where=name)
    return int(value)


_ROW: Final = {
    "type": "object",
    "properties": {
        "seq": {"type": "integer", "description": "Number of the line; `after` takes it."},
        "time": {"type": "integer", "description": "Seconds UTC."},
        "event": {"type": "string"},
        "organization": {"type": ["string", "null"], "description": "Who did it, or to whom."},
        "collection": {"type": ["string", "null"]},
        "detail": {"type": "object", "additionalProperties": {"type": "string"}},
        "hash": {"type": "string", "description": "Of the line in the chain, in hex."},
    },
    "required": ["seq", "time", "event", "organization", "collection", "detail", "hash"],
}

ROUTES = (
    Route(
        "GET",
        "/{root}/audit/",
        Action.AUDIT,
        show_audit,
        taxii=False,
        summary="Show what of the audit log concerns the account's organisation.",
        parameters=(
            Parameter(
                "after",
                "Lines with a greater number only.",
                {"type": "string", "pattern": "^(0|[1-9][0-9]{0,14})$"},
                example="0",
            ),
            Parameter(
                "limit",
                f"At most so many lines; {_MOST} is the most.",
                {"type": "string", "pattern": "^(0|[1-9][0-9]{0,14})$"},
                example="100",
            ),
        ),
        answers=(
            Answer(
                200,
                "The lines, and whether there are more.",
                {
                    "type": "object",
                    "properties": {
                        "rows": {"type": "array", "items": _ROW},
                        "more": {"type": "boolean"},
                    },
                    "required": ["rows", "more"],
                },
            ),
        ),
    ),
)
