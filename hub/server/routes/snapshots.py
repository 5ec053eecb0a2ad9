"""Beside TAXII: everything that a collection holds, in files that are ready, for who begins."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from hub.server import answers
from hub.server.policy import Action
from hub.server.ranges import FileRange, wanted
from hub.server.refusals import HiddenError
from hub.server.routes import Context, Route
from hub.server.routes.description import Answer, Link, Parameter
from hub.taxii import frames

_JSON: Final = "application/json"
_PATH: Final = "/{root}/collections/{collection_id}/snapshot/"
_DATES: Final = {"type": "string", "format": "date-time"}
_FRAME: Final = {
    "type": "object",
    "required": ["sha256", "bytes", "unpacked", "objects", "first", "last"],
    "properties": {
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "bytes": {"type": "integer"},
        "unpacked": {"type": "integer"},
        "objects": {"type": "integer"},
        "first": _DATES,
        "last": _DATES,
    },
}
_SNAPSHOT: Final = {
    "type": "object",
    "required": ["manifest", "note"],
    "properties": {
        "manifest": {
            "type": "object",
            "required": ["collection", "epoch", "head", "objects", "frames"],
            "properties": {
                "collection": {"type": "string"},
                "epoch": {"type": "string"},
                "head": {"type": ["string", "null"]},
                "objects": {"type": "integer"},
                "frames": {"type": "array", "items": _FRAME},
            },
        },
        "note": {"type": ["string", "null"]},
    },
}


async def _entitled(context: Context) -> str:
    named = context.parameter("collection_id")
    found = await context.service.entitled(context.principal, Action.SNAPSHOT, named)
    return found.id


async def show_snapshot(context: Context) -> Response:
    """The manifest, and the note of the log's key over it."""
    collection_id = await _entitled(context)
    body = await context.service.calls.long(context.service.push.snapshots.signed, collection_id)
    return answers.plain(context.request, body, media_type=_JSON)


async def read_frame(context: Context) -> Response:
    """One frame, or a part of it."""
    request, name = context.request, context.parameter("frame")
    collection_id = await _entitled(context)
    find = context.service.push.snapshots.frame
    path, frame = await context.service.calls.long(find, collection_id, name)
    tag = f'"{frame.sha256}"'
    headers = {**answers.common(request), "etag": tag, "cache-control": answers.REVALIDATE}
    if answers.holds(request, tag):
        return answers.not_modified(headers)
    asked = request.headers
    part = wanted(asked.get("range"), asked.get("if-range"), tag, frame.bytes)
    try:
        return FileRange(
            path, frame.bytes, part, {**headers, "content-type": frames.MEDIA_TYPE}, request.method
        )
    except FileNotFoundError:
        raise HiddenError("no such frame any more", hint="ask for the manifest again") from None


ROUTES = (
    Route(
        "GET",
        _PATH,
        Action.SNAPSHOT,
        show_snapshot,
        taxii=False,
        summary="List the frames that hold a collection's objects",
        answers=(
            Answer(
                200,
                "The manifest, and a C2SP note of the log's key over the SHA-256 of its bytes.",
                _SNAPSHOT,
                links=(
                    Link(
                        "frame",
                        "read_frame",
                        {
                            "collection_id": "$request.path.collection_id",
                            "frame": "$response.body#/manifest/frames/0/sha256",
                        },
                        "Its first frame.",
                    ),
                ),
            ),
            Answer(304, "The client holds this manifest."),
        ),
    ),
    Route(
        "GET",
        _PATH + "{frame}/",
        Action.SNAPSHOT,
        read_frame,
        taxii=False,
        summary="Read one frame of a snapshot",
        parameters=(
            Parameter(
                "frame",
                "SHA-256 of the frame, from the manifest.",
                {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                where="path",
                required=True,
                example="0" * 64,
            ),
            Parameter("Range", "One range of bytes.", where="header", example="bytes=0-1023"),
        ),
        answers=(
            Answer(
                200,
                "One zstd frame of JSON lines: date_added, and the object.",
                {"type": "string", "format": "binary"},
                frames.MEDIA_TYPE,
            ),
            Answer(
                206,
                "The range that was asked for.",
                {"type": "string", "format": "binary"},
                frames.MEDIA_TYPE,
                headers={"Content-Range": "Which bytes these are."},
            ),
            Answer(304, "The client holds this frame."),
        ),
        errors=(416,),
    ),
)
