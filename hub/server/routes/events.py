"""Beside TAXII: a collection's stream of events, so that nobody has to poll."""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import Response

from hub.errors import InputError
from hub.server.event_stream import MEDIA_TYPE, EventStream, Start
from hub.server.policy import Action
from hub.server.routes import Context, Route
from hub.server.routes.description import Answer, Parameter
from hub.taxii.times import to_micros

_SECONDS: Final = re.compile(r"[0-9]{1,6}")
_LONGEST_ID: Final = 256


async def follow_collection(context: Context) -> Response:
    """Tell what is added to a collection, as server-sent events."""
    service, request = context.service, context.request
    collection_id = context.parameter("collection_id")
    added_after, seconds = _asked(context)
    collection = await service.entitled(context.principal, Action.EVENTS, collection_id)
    last = request.headers.get("last-event-id", "")
    if len(last) > _LONGEST_ID:
        raise InputError("no id of an event of this hub", where="Last-Event-ID")

    async def recheck() -> None:
        principal = await context.again()
        await service.entitled(principal, Action.EVENTS, collection.id)

    principal = context.principal
    stream = EventStream(
        service.push.events,
        context.settings.push,
        Start.of(collection.id, service.epoch, last, added_after),
        seconds=min(seconds, context.settings.limits.stream_seconds),
        account=principal.account_id or principal.org_id,
        recheck=recheck,
    )
    if request.method != "HEAD":
        await stream.open()
    return stream


def _asked(context: Context) -> tuple[int | None, float]:
    """`added_after` in microseconds and `seconds`; parameters that are not ours are ignored."""
    given: dict[str, str] = {}
    for name, value in context.request.query_params.multi_items():
        if given.setdefault(name, value) != value:
            raise InputError("given more than once with different values", where=name)
    added_after, seconds = given.get("added_after"), given.get("seconds")
    if seconds is not None and not _SECONDS.fullmatch(seconds):
        raise InputError("a whole number of seconds is expected", where="seconds")
    return (
        None if added_after is None else to_micros(added_after, where="added_after"),
        float("inf") if seconds is None else float(seconds),
    )


ROUTES = (
    Route(
        "GET",
        "/{root}/collections/{collection_id}/events/",
        Action.EVENTS,
        follow_collection,
        taxii=False,
        summary="Follow what is added to a collection",
        parameters=(
            Parameter(
                "Last-Event-ID",
                "Go on after the event with this id; goes before `added_after`.",
                {"type": "string", "maxLength": _LONGEST_ID},
                where="header",
            ),
            Parameter(
                "added_after",
                "The reader has what was added up to then, and is told at once of what is newer.",
                {"type": "string", "format": "date-time"},
                example="2026-01-01T00:00:00.000000Z",
            ),
            Parameter(
                "seconds",
                "End the stream after so long; 0 answers what there is at once.",
                {"type": "string", "pattern": "^[0-9]{1,6}$"},
                example="0",
            ),
        ),
        answers=(
            Answer(
                200,
                "Events `open`, `added`, `reset` and `end` with JSON data, and comments between. "
                "An id is a cursor as `next` of a page.",
                # Of each event.
                {"type": "object"},
                MEDIA_TYPE,
            ),
        ),
    ),
)
