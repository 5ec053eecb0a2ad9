"""TAXII 2.1, section 5: collections, their manifest, objects and versions."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response

from hub.server import answers
from hub.server.body import check_headers, read_body
from hub.server.policy import Action
from hub.server.routes import Context, Route
from hub.server.routes.description import Answer, Body, Content, Link, Schema
from hub.server.routes.query import filters
from hub.server.service import Seen
from hub.taxii import filters as query
from hub.taxii import media, wire
from hub.taxii.filters import Filters
from hub.taxii.times import to_text

_SHORT_QUERY: Final = 256


def _filters(context: Context, allowed: frozenset[str]) -> Filters:
    asked: bytes = context.request.scope["query_string"]
    read = _remembered if len(asked) <= _SHORT_QUERY else _read
    return read(asked, allowed)


def _read(asked: bytes, allowed: frozenset[str]) -> Filters:
    return query.parse(QueryParams(asked).multi_items(), allowed=allowed)


# Who polls asks the same until there is something new.
_remembered = lru_cache(maxsize=4096)(_read)


def _resource(seen: Seen) -> dict[str, object]:
    resource: dict[str, object] = msgspec.to_builtins(seen.resource())
    return {**resource, **seen.custom()}


async def list_collections(context: Context) -> Response:
    """Section 5.1; a hub without a visible collection answers `{}`."""
    seen = await context.service.collections(context.principal)
    body: dict[str, object] = {"collections": [_resource(one) for one in seen]} if seen else {}
    return answers.taxii(context.request, msgspec.json.encode(body))


async def show_collection(context: Context) -> Response:
    """Section 5.2."""
    seen = await context.service.collection(context.principal, context.parameter("collection_id"))
    return answers.taxii(context.request, msgspec.json.encode(_resource(seen)))


async def show_manifest(context: Context) -> Response:
    """Section 5.3."""
    asked = _filters(context, query.ALL_FILTERS)
    page = await context.service.manifest(
        context.principal, context.parameter("collection_id"), asked
    )
    records = [
        wire.ManifestRecord(
            id=row.id,
            date_added=to_text(row.date_added),
            version=row.version,
            media_type=media.object_media_type(row.spec_version),
        )
        for row in page.rows
    ]
    resource = wire.Manifest(page.more if records else None, page.next, records or None)
    headers = answers.dates(page, asked)
    return answers.taxii(context.request, wire.encode(resource), headers=headers)


async def list_objects(context: Context) -> Response:
    """Section 5.4."""
    asked = _filters(context, query.ALL_FILTERS)
    found = await context.service.envelope(
        context.principal,
        context.parameter("collection_id"),
        asked,
        answers.coding(context.request),
    )
    headers = answers.between(found.first, found.last, asked)
    return answers.segment(context.request, found, headers)


async def add_objects(context: Context) -> Response:
    """Section 5.5; answers 202 with a status whose objects are all dealt with."""
    collection_id = context.parameter("collection_id")
    await context.service.writable(context.principal, collection_id)
    limits = context.settings.limits
    encoding = check_headers(context.request, limits)
    body = await read_body(context.request, limits, encoding=encoding)
    status = await context.service.post(context.principal, collection_id, body)
    return answers.taxii(context.request, status, status=202)


async def show_object(context: Context) -> Response:
    """Section 5.6."""
    asked = _filters(context, query.OBJECT_FILTERS)
    page = await context.service.one_object(
        context.principal,
        context.parameter("collection_id"),
        context.parameter("object_id"),
        asked,
    )
    body = wire.envelope([row.raw for row in page.rows], more=page.more, next_cursor=page.next)
    return answers.taxii(context.request, body, headers=answers.dates(page, asked))


async def delete_object(context: Context) -> Response:
    """Section 5.7."""
    asked = query.parse(
        context.request.query_params.multi_items(),
        allowed=query.DELETE_FILTERS,
        default_versions=query.EVERY,
    )
    await context.service.delete(
        context.principal,
        context.parameter("collection_id"),
        context.parameter("object_id"),
        asked,
    )
    return answers.taxii(context.request, b"")


async def list_versions(context: Context) -> Response:
    """Section 5.8."""
    asked = _filters(context, query.VERSIONS_FILTERS)
    page = await context.service.versions(
        context.principal,
        context.parameter("collection_id"),
        context.parameter("object_id"),
        asked,
    )
    # One version may be kept in two specification versions, and is listed once.
    listed = list(dict.fromkeys(row.version for row in page.rows))
    resource = wire.Versions(page.more if listed else None, page.next, listed or None)
    headers = answers.dates(page, asked)
    return answers.taxii(context.request, wire.encode(resource), headers=headers)


_COLLECTION = "/{root}/collections/{collection_id}/"
_OBJECT = _COLLECTION + "objects/{object_id}/"

_IN_PATH = {"collection_id": "$request.path.collection_id"}
_OBJECT_IN_PATH = {**_IN_PATH, "object_id": "$request.path.object_id"}
_DATES = {
    "X-TAXII-Date-Added-First": "`date_added` of the first row; see there for an empty page.",
    "X-TAXII-Date-Added-Last": "`date_added` of the last row. On an empty page both say where "
    "the next page would start, so that it can always be taken as the next `added_after`.",
}
_TIME: Schema = {
    "type": "string",
    "pattern": "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z$",
}
_INDICATOR: Schema = {
    "type": "object",
    "description": "What is posted most often: STIX 2.1, section 4.7.",
    "properties": {
        "type": {"const": "indicator"},
        "spec_version": {"const": "2.1"},
        "id": {
            "type": "string",
            "pattern": "^indicator--[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}"
            "-[0-9a-f]{12}$",
        },
        "created": _TIME,
        "modified": _TIME,
        "pattern": {"type": "string"},
        "pattern_type": {"type": "string"},
        "valid_from": _TIME,
    },
    "required": ["type", "spec_version", "id", "created", "modified", "pattern", "pattern_type"],
}
_ENVELOPE: Schema = {
    "type": "object",
    "properties": {
        "objects": {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [_INDICATOR, {"type": "object"}]},
        }
    },
    "required": ["objects"],
}
_EXAMPLE = {
    "type": "indicator",
    "spec_version": "2.1",
    "id": "indicator--252c7c11-daf2-42bd-843b-be65edca9f61",
    "created": "2026-01-01T00:00:00.000Z",
    "modified": "2026-01-01T00:00:00.000Z",
    "pattern": "[ipv4-addr:value = '192.0.2.7']",
    "pattern_type": "stix",
    "valid_from": "2026-01-01T00:00:00Z",
}


def _page(text: str, content: Content, operation: str, *links: Link, one: bool = False) -> Answer:
    """A page's answer, whose `next` leads to the following one."""
    place = _OBJECT_IN_PATH if one else _IN_PATH
    onward = {**place, "next": "$response.body#/next"}
    following = Link("next", operation, onward, "The following page.")
    return Answer(200, text, content, headers=_DATES, links=(following, *links))


def _to_object(pointer: str) -> tuple[Link, ...]:
    """Links to one object of an answer and to what can be done with it."""
    there = {**_IN_PATH, "object_id": f"$response.body#/{pointer}/0/id"}
    return (
        Link("object", "show_object", there, "The first of the objects."),
        Link("versions", "list_versions", there, "Its versions."),
        Link("delete", "delete_object", there, "Its deletion."),
    )


def _to_collection() -> tuple[Link, ...]:
    there = {"collection_id": "$response.body#/collections/0/id"}
    return (
        Link("collection", "show_collection", there, "The first of the collections."),
        Link("objects", "list_objects", there, "Its objects."),
        Link("manifest", "show_manifest", there, "Its manifest."),
        Link("add", "add_objects", there, "Adding objects to it."),
        Link("snapshot", "show_snapshot", there, "Everything that it holds, in files."),
        Link("events", "follow_collection", there, "What is added to it from now on."),
    )


ROUTES = (
    Route(
        "GET",
        "/{root}/collections/",
        Action.LIST,
        list_collections,
        summary="List the collections that the account may know of.",
        answers=(Answer(200, "The collections.", wire.Collections, links=_to_collection()),),
    ),
    Route(
        "GET",
        _COLLECTION,
        Action.VIEW,
        show_collection,
        summary="Show one collection and the account's rights in it.",
        answers=(Answer(200, "The collection.", wire.Collection),),
    ),
    Route(
        "GET",
        _COLLECTION + "manifest/",
        Action.READ,
        show_manifest,
        summary="List the objects of a collection without their contents.",
        parameters=filters(query.ALL_FILTERS),
        answers=(
            _page(
                "A page of the manifest.", wire.Manifest, "show_manifest", *_to_object("objects")
            ),
        ),
    ),
    Route(
        "GET",
        _COLLECTION + "objects/",
        Action.READ,
        list_objects,
        summary="Give the objects of a collection, oldest `date_added` first.",
        parameters=filters(query.ALL_FILTERS),
        answers=(
            _page("A page of objects.", wire.Envelope, "list_objects", *_to_object("objects")),
        ),
    ),
    Route(
        "POST",
        _COLLECTION + "objects/",
        Action.WRITE,
        add_objects,
        summary="Add objects to a collection.",
        body=Body(
            "The objects. Each is judged by itself: the status tells what became of it.",
            _ENVELOPE,
            example={"objects": [_EXAMPLE]},
        ),
        answers=(
            Answer(
                202,
                "The status: every object is stored, or failed and says why.",
                wire.Status,
                links=(
                    Link("status", "status", {"status_id": "$response.body#/id"}, "It again."),
                    *_to_object("successes"),
                ),
            ),
        ),
    ),
    Route(
        "GET",
        _OBJECT,
        Action.READ,
        show_object,
        summary="Give one object, in its last version unless asked otherwise.",
        parameters=filters(query.OBJECT_FILTERS),
        answers=(_page("Versions of the object.", wire.Envelope, "show_object", one=True),),
    ),
    Route(
        "DELETE",
        _OBJECT,
        Action.DELETE,
        delete_object,
        summary="Delete an object, every version of it unless asked otherwise.",
        parameters=filters(query.DELETE_FILTERS),
        answers=(Answer(200, "Deleted."),),
    ),
    Route(
        "GET",
        _OBJECT + "versions/",
        Action.READ,
        list_versions,
        summary="List the versions of one object.",
        parameters=filters(query.VERSIONS_FILTERS),
        answers=(_page("Its versions.", wire.Versions, "list_versions", one=True),),
    ),
)
