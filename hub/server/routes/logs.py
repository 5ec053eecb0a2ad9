"""Beside TAXII: a channel's log. Checkpoints, proofs and entries as lines of text.

Source: schemas/channel-v1.md, "Log"; C2SP tlog-checkpoint and tlog-proof.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from typing import Final

from starlette.responses import Response

from hub.errors import InputError
from hub.server import answers
from hub.server.policy import Action
from hub.server.routes import Context, Route
from hub.server.routes.description import Answer, Parameter

_TEXT: Final = "text/plain; charset=utf-8"
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,14}")


def _numbers(context: Context, *names: str) -> Sequence[int]:
    """The request's parameters, which are these, once each, as decimal numbers."""
    given = context.request.query_params.multi_items()
    if sorted(name for name, _ in given) != sorted(names):
        raise InputError(f"the parameters are {' and '.join(names)}, once each", where="query")
    values = dict(given)
    for name in names:
        if not _NUMBER.fullmatch(values[name]):
            raise InputError("a decimal number is expected", where=name)
    return [int(values[name]) for name in names]


def _lines(context: Context, lines: Iterable[str]) -> Response:
    body = "".join(f"{line}\n" for line in lines).encode()
    return answers.plain(context.request, body, media_type=_TEXT)


def _hashes(context: Context, proof: Iterable[bytes]) -> Response:
    return _lines(context, (base64.b64encode(one).decode() for one in proof))


async def checkpoint(context: Context) -> Response:
    """The newest checkpoint, a signed note, with the cosignatures that it has."""
    _numbers(context)
    raw = await context.service.checkpoint(context.principal, context.parameter("channel_id"))
    return answers.plain(context.request, raw.encode(), media_type=_TEXT)


async def inclusion(context: Context) -> Response:
    """The audit path of one entry: base64 hashes, a line each, from the leaf upwards."""
    channel = await context.service.channel(context.principal, context.parameter("channel_id"))
    size, index = _numbers(context, "size", "index")
    return _hashes(context, await context.service.inclusion(channel, index, size))


async def consistency(context: Context) -> Response:
    """The proof between two sizes, likewise; no line when `from` is 0 or `to`."""
    channel = await context.service.channel(context.principal, context.parameter("channel_id"))
    old, new = _numbers(context, "from", "to")
    return _hashes(context, await context.service.consistency(channel, old, new))


async def entries(context: Context) -> Response:
    """Digests of messages in the log's order, in hex, from `from` to before `to`."""
    channel = await context.service.channel(
        context.principal, context.parameter("channel_id"), Action.ENTRIES
    )
    first, end = _numbers(context, "from", "to")
    digests = await context.service.entries(channel, first, end)
    return _lines(context, (one.hex() for one in digests))


_CHANNEL: Final = "/{root}/channels/{channel_id}/"

_WHOLE: Final = {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999}


def _number(name: str, text: str) -> Parameter:
    return Parameter(name, text, _WHOLE, required=True, example="1")


def _text(text: str) -> tuple[Answer, ...]:
    return (Answer(200, text, {"type": "string"}, _TEXT),)


ROUTES = (
    Route(
        "GET",
        _CHANNEL + "checkpoint/",
        Action.LOG,
        checkpoint,
        taxii=False,
        summary="Give the newest checkpoint of a channel's log.",
        answers=_text("A signed note (C2SP tlog-checkpoint) with the cosignatures that it has."),
    ),
    Route(
        "GET",
        _CHANNEL + "proof/inclusion/",
        Action.LOG,
        inclusion,
        taxii=False,
        summary="Prove that an entry is in the log.",
        parameters=(
            _number("size", "Entries of the tree that the proof is for."),
            _number("index", "The entry, counted from 0."),
        ),
        answers=_text("The audit path: base64 hashes, a line each, from the leaf upwards."),
    ),
    Route(
        "GET",
        _CHANNEL + "proof/consistency/",
        Action.LOG,
        consistency,
        taxii=False,
        summary="Prove that one tree goes on from another.",
        parameters=(_number("from", "Entries of the older tree."), _number("to", "Of the newer.")),
        answers=_text("Base64 hashes, a line each; none when `from` is 0 or `to`."),
    ),
    Route(
        "GET",
        _CHANNEL + "entries/",
        Action.ENTRIES,
        entries,
        taxii=False,
        summary="Give digests of the messages in the log's order.",
        parameters=(_number("from", "The first."), _number("to", "The end, exclusive.")),
        answers=_text("Digests in hex, a line each; fewer than asked for when that is many."),
    ),
)
