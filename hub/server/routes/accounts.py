"""Beside TAXII: what this server is, and binding an account to a channel member."""

from __future__ import annotations

import time

import msgspec
from starlette.responses import Response

from hub.server import answers
from hub.server.body import check_headers, read_body
from hub.server.policy import Action
from hub.server.routes import Context, Route
from hub.server.routes.description import Answer, Body, Schema

_JSON = "application/json"
PROTOCOL = 1
"""Version of the channel protocol that this hub checks."""


def _json(context: Context, body: dict[str, object]) -> Response:
    return answers.plain(context.request, msgspec.json.encode(body), media_type=_JSON)


async def about(context: Context) -> Response:
    """Name, protocol version and clock (seconds UTC), so that members notice a skew."""
    context.service.allow(context.principal, Action.ABOUT)
    return _json(
        context, {"software": "stillwatch", "protocol": PROTOCOL, "time": int(time.time())}
    )


async def challenge(context: Context) -> Response:
    """A challenge for a member's card to sign."""
    text, expires = await context.service.challenge(context.principal)
    return _json(context, {"challenge": text, "expires": expires})


async def bind(context: Context) -> Response:
    """Take a signed challenge."""
    context.service.allow(context.principal, Action.BIND)
    limits = context.settings.limits
    encoding = check_headers(context.request, limits, taxii=False)
    raw = await read_body(context.request, limits, encoding=encoding)
    return _json(context, {"member": await context.service.bind(context.principal, raw)})


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT = {"type": "string"}
_SECONDS = {"type": "integer", "description": "Seconds UTC."}

ROUTES = (
    Route(
        "GET",
        "/{root}/about/",
        Action.ABOUT,
        about,
        taxii=False,
        summary="Show the hub's protocol version and clock.",
        answers=(
            Answer(
                200,
                "What this hub is.",
                _object(software=_TEXT, protocol={"type": "integer"}, time=_SECONDS),
            ),
        ),
    ),
    Route(
        "POST",
        "/{root}/binding/challenge/",
        Action.BIND,
        challenge,
        taxii=False,
        summary="Ask for a challenge that a channel member's card signs.",
        answers=(
            Answer(200, "The challenge, in hex.", _object(challenge=_TEXT, expires=_SECONDS)),
        ),
    ),
    Route(
        "POST",
        "/{root}/binding/",
        Action.BIND,
        bind,
        taxii=False,
        summary="Bind the account's organisation to a channel member.",
        body=Body("The signed challenge.", {"type": "object"}, "application/json"),
        answers=(Answer(200, "The member that it is bound to.", _object(member=_TEXT)),),
        errors=(409,),
    ),
)
