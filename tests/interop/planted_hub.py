"""The negative control of the examination: a hub with five faults of the kinds that it looks for.

Run as `python -m tests.interop.planted_hub hub dev ...`. Nothing of this is in the package.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from starlette.responses import JSONResponse, PlainTextResponse, Response

from hub.server import app
from hub.server.routes import Context, Handler, Route
from tests.interop import patient_hub


async def _fails(context: Context) -> Response:
    raise RuntimeError(context.request.method)


async def _undocumented(context: Context) -> Response:
    return PlainTextResponse("", 418, {"x-method": context.request.method})


async def _other_media_type(context: Context) -> Response:
    return PlainTextResponse("{}", 200, {"x-method": context.request.method})


async def _other_schema(context: Context) -> Response:
    return JSONResponse({"method": context.request.method})


def _without_a_header(handler: Handler) -> Handler:
    async def serve(context: Context) -> Response:
        response = await handler(context)
        del response.headers["x-taxii-date-added-last"]
        return response

    return serve


FAULTS: dict[str, Callable[[Handler], Handler]] = {
    "about": lambda _: _fails,
    "api_root": lambda _: _undocumented,
    "discovery": lambda _: _other_media_type,
    "challenge": lambda _: _other_schema,
    "list_objects": _without_a_header,
}
"""Name of the operation -> what becomes of its handler."""


def planted(route: Route) -> Route:
    """The route, with its fault if it shall have one, under its old name."""
    fault = FAULTS.get(route.operation)
    if fault is None:
        return route
    return replace(route, handler=functools.wraps(route.handler)(fault(route.handler)))


if __name__ == "__main__":
    vars(app)["ROUTES"] = tuple(map(planted, app.ROUTES))
    patient_hub.run()
