"""One route that answers an empty envelope: what the server itself costs."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def _empty(request: Request) -> Response:
    del request
    return Response(b"{}", media_type="application/taxii+json;version=2.1")


application = Starlette(routes=[Route("/", _empty)])
