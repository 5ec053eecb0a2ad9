"""TAXII 2.1, section 5: collections, their manifest, objects and versions."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from hub.server import answers
from hub.server.body import check_headers, read_body
from hub.server.policy import Action
from hub.server.routes import Context, Route
from hub.server.service import Seen
from hub.taxii import filters as query
from hub.taxii import media, wire
from hub.taxii.filters import Filters
from hub.taxii.times import to_text


def _filters(context: Context, allowed: frozenset[str]) -> Filters:
    return query.parse(context.request.query_params.multi_items(), allowed=allowed)


def _resource(seen: Seen) -> dict[str, object]:
    resource: dict[str, object] = msgspec.to_builtins(seen.resource())
    return {**resource, **seen.custom()}


async def list_collections(context: Context) -> Response:
    """Section 5.1; a hub without a visible collection answers `{}`."""
    seen = context.service.collections(context.principal)
    body: dict[str, object] = {"collections": [_resource(one) for one in seen]} if seen else {}
    return answers.taxii(context.request, msgspec.json.encode(body))


async def show_collection(context: Context) -> Response:
    """Section 5.2."""
    seen = context.service.collection(context.principal, context.parameter("collection_id"))
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
    resource = wire.Manifest(page.more or None, page.next, records or None)
    headers = answers.dates(page, asked.added_after)
    return answers.taxii(context.request, wire.encode(resource), headers=headers)


async def list_objects(context: Context) -> Response:
    """Section 5.4."""
    asked = _filters(context, query.ALL_FILTERS)
    page = await context.service.page(context.principal, context.parameter("collection_id"), asked)
    body = wire.envelope([row.raw for row in page.rows], more=page.more, next_cursor=page.next)
    return answers.taxii(context.request, body, headers=answers.dates(page, asked.added_after))


async def add_objects(context: Context) -> Response:
    """Section 5.5; answers 202 with a status whose objects are all dealt with."""
    collection_id = context.parameter("collection_id")
    context.service.writable(context.principal, collection_id)
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
    return answers.taxii(context.request, body, headers=answers.dates(page, asked.added_after))


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
    resource = wire.Versions(page.more or None, page.next, listed or None)
    headers = answers.dates(page, asked.added_after)
    return answers.taxii(context.request, wire.encode(resource), headers=headers)


_COLLECTION = "/{root}/collections/{collection_id}/"
_OBJECT = _COLLECTION + "objects/{object_id}/"

ROUTES = (
    Route("GET", "/{root}/collections/", Action.LIST, list_collections),
    Route("GET", _COLLECTION, Action.VIEW, show_collection),
    Route("GET", _COLLECTION + "manifest/", Action.READ, show_manifest),
    Route("GET", _COLLECTION + "objects/", Action.READ, list_objects),
    Route("POST", _COLLECTION + "objects/", Action.WRITE, add_objects),
    Route("GET", _OBJECT, Action.READ, show_object),
    Route("DELETE", _OBJECT, Action.DELETE, delete_object),
    Route("GET", _OBJECT + "versions/", Action.READ, list_versions),
)
