"""TAXII 2.1, section 4: discovery, API root, status; and the document that describes all of it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hub.server import answers
from hub.server.policy import Action
from hub.server.routes import Context, Route
from hub.server.routes.description import Answer, Link
from hub.settings import HubSettings
from hub.taxii import wire


def base_url(request: Request, settings: HubSettings) -> str:
    """How this client reaches the hub, without a trailing slash."""
    return (settings.public_url or str(request.base_url)).rstrip("/")


async def discovery(context: Context) -> Response:
    """Section 4.1."""
    context.service.allow(context.principal, Action.DISCOVER)
    settings = context.settings
    root = f"{base_url(context.request, settings)}/{settings.root}/"
    resource = wire.Discovery(
        title=settings.title,
        description=settings.description,
        contact=settings.contact,
        default=root,
        api_roots=[root],
    )
    return answers.taxii(context.request, wire.encode(resource))


async def api_root(context: Context) -> Response:
    """Section 4.2."""
    context.service.allow(context.principal, Action.API_ROOT)
    resource = wire.ApiRoot(
        title=context.settings.title,
        description=context.settings.description,
        max_content_length=context.settings.limits.content_length,
    )
    return answers.taxii(context.request, wire.encode(resource))


async def status(context: Context) -> Response:
    """Section 4.3."""
    raw = await context.service.status(context.principal, context.parameter("status_id"))
    return answers.taxii(context.request, raw)


async def openapi(context: Context) -> Response:
    """The OpenAPI document of this hub."""
    context.service.allow(context.principal, Action.ABOUT)
    return answers.plain(context.request, context.document, media_type="application/json")


_TO_ROOT = Link("collections", "list_collections", {}, "The collections of the API root.")

ROUTES = (
    Route(
        "GET",
        "/taxii2/",
        Action.DISCOVER,
        discovery,
        summary="Show what this server is and which API roots it has.",
        answers=(Answer(200, "The discovery resource.", wire.Discovery),),
    ),
    Route(
        "GET",
        "/{root}/",
        Action.API_ROOT,
        api_root,
        summary="Show the API root: its title, versions and longest body.",
        answers=(Answer(200, "The API root resource.", wire.ApiRoot, links=(_TO_ROOT,)),),
    ),
    Route(
        "GET",
        "/{root}/status/{status_id}/",
        Action.STATUS,
        status,
        summary="Show what became of the objects of a POST, to the organisation that made it.",
        answers=(Answer(200, "The status resource.", wire.Status),),
    ),
    Route(
        "GET",
        "/{root}/openapi.json/",
        Action.ABOUT,
        openapi,
        taxii=False,
        summary="Show this document.",
        answers=(Answer(200, "An OpenAPI 3.1 document.", {"type": "object"}),),
    ),
)
