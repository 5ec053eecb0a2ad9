"""The hub's routes: one table, from which the application and the privilege matrix are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from hub.server.policy import Action, Principal
from hub.server.routes.description import Answer, Body, Parameter
from hub.server.service import HubService
from hub.settings import HubSettings


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler works with.

    Args:
        service: does the work and asks the policy.
        settings: of the hub.
        principal: who asks; the endpoint has authenticated already.
        request: the HTTP request; its path parameters are `collection_id`, `object_id`, ...
        document: the OpenAPI document of all routes, as JSON.
        again: asks who it is once more, for answers that take long; raises when nobody any more.
    """

    service: HubService
    settings: HubSettings
    principal: Principal
    request: Request
    document: bytes
    again: Callable[[], Awaitable[Principal]]

    def parameter(self, name: str) -> str:
        """A path parameter."""
        return str(self.request.path_params[name])


Handler = Callable[[Context], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    Args:
        method: GET (which serves HEAD too), POST or DELETE.
        path: with a trailing slash, which requests may leave out; `{root}` is the API root's name.
        action: what the policy is asked.
        handler: does it.
        taxii: the answer is a TAXII resource, so `Accept` is checked.
        summary: what it does, in one line; a test demands it of every route.
        parameters: what it reads beside its well-known path parameters.
        answers: how it answers when all is well; at least one.
        body: what it reads; None for routes that take no body.
        errors: status codes that only this route refuses with, beside those of every route
            (400, 401, 403, 404, 429, 500, 503), of TAXII routes (406) and of bodies (408, 413,
            415, 422).
    """

    method: str
    path: str
    action: Action
    handler: Handler
    taxii: bool = True
    summary: str = ""
    parameters: tuple[Parameter, ...] = ()
    answers: tuple[Answer, ...] = ()
    body: Body | None = None
    errors: tuple[int, ...] = ()

    @property
    def operation(self) -> str:
        """Name of the operation in the OpenAPI document: the handler's."""
        return self.handler.__name__
