"""The ASGI application, made from settings, a store and the table of routes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route as HttpRoute

from hub.channel.primitives.sign import NotePrivate
from hub.errors import StillwatchError, StoreError
from hub.server import answers, gauges, openapi
from hub.server.admission import Admission
from hub.server.appender import Appender
from hub.server.auth import Authenticator
from hub.server.calls import StoreCalls
from hub.server.closing import ended, in_a_thread
from hub.server.cosigning import Cosigner
from hub.server.edge import Edge, client_address
from hub.server.logbook import Logbook
from hub.server.metrics import Metrics, reason_of
from hub.server.observing import Observer
from hub.server.oversight import Oversight
from hub.server.push import Push
from hub.server.rates import Rate
from hub.server.recorder import Recorder
from hub.server.refusals import HiddenError, MethodNotAllowedError, NotAcceptableError, RefusalError
from hub.server.remembered import Remembered
from hub.server.routes import (
    Context,
    Route,
    accounts,
    audit,
    collections,
    events,
    logs,
    server_information,
    snapshots,
)
from hub.server.service import HubService
from hub.server.submission import HttpSubmit, Submit
from hub.server.tracing import OFF, Tracing
from hub.settings import HubSettings
from hub.store.interface import Store
from hub.taxii import media

ROUTES: Final[tuple[Route, ...]] = (
    *server_information.ROUTES,
    *collections.ROUTES,
    *accounts.ROUTES,
    *audit.ROUTES,
    *logs.ROUTES,
    *events.ROUTES,
    *snapshots.ROUTES,
)
"""Everything that needs a token; `/livez` and `/readyz` do not."""

_logger = logging.getLogger("stillwatch.server")
_PRUNE_SECONDS: Final = 3600.0
_COMMIT_SECONDS: Final = 6.0
_PART_SECONDS: Final = 1.0
_Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(
    settings: HubSettings,
    store: Store,
    *,
    appender: Appender | None = None,
    log_key: NotePrivate | None = None,
    submit: Submit | None = None,
    metrics: Metrics | None = None,
    tracing: Tracing = OFF,
    now: Callable[[], int] = lambda: int(time.time()),
) -> Starlette:
    """Make the application; its lifespan starts and drains the appender, the store stays open.

    Args:
        settings: names and limits.
        store: all state; the caller closes it afterwards.
        appender: the one writer of this process; made here unless given.
        log_key: signs the checkpoints of channels' logs; without it none are offered.
        submit: how witnesses are asked; over HTTP unless given.
        metrics: where to count; made here unless given.
        tracing: where spans go; the caller closes it afterwards.
        now: wall clock in whole seconds UTC.
    """
    meter = metrics or Metrics(process=False)
    writer = appender or Appender(store, settings.limits)
    writer.count_in(meter, tracing)
    calls = StoreCalls(store, settings.limits)
    remembered = Remembered(store, now=now)
    admission = Admission(store, now=now)
    logbook = Logbook(settings, store, log_key)
    ask = submit or HttpSubmit(settings.witnesses.request_seconds)
    cosigner = Cosigner(settings.witnesses, store, logbook, admission, ask, calls)
    push = Push.of(settings, store, logbook, calls.pool)
    recorder = Recorder(store)
    service = HubService(
        settings,
        store,
        writer,
        admission,
        logbook,
        cosigner,
        calls,
        push=push,
        oversight=Oversight(store, admission, recorder),
        remembered=remembered,
        now=now,
    )
    authenticator = Authenticator(
        store,
        settings.limits,
        settings.logins,
        now=now,
        calls=calls,
        remembered=remembered,
    )
    rate = Rate(settings.limits.account_rate, settings.limits.account_burst, "account")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        admission.load()
        writer.start()
        recorder.start()
        push.start()
        tasks = [asyncio.create_task(_prune(store, settings.limits.status_seconds, now))]
        if settings.witnesses.urls:
            tasks.append(asyncio.create_task(cosigner.run()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            # First what is queued is committed. All together take less than a supervisor waits.
            await ended("the appender", in_a_thread(writer.stop), _COMMIT_SECONDS)
            await ended("the audit log", in_a_thread(recorder.stop), _PART_SECONDS)
            await ended("push", push.close(), _PART_SECONDS)
            await ended("cosigning", cosigner.close(), _PART_SECONDS)
            await ended("log-ins", in_a_thread(authenticator.close), _PART_SECONDS)
            await ended("the store's threads", in_a_thread(calls.close), 2 * _PART_SECONDS)

    document = msgspec.json.encode(openapi.document(ROUTES, settings))
    endpoints: dict[str, dict[str, _Endpoint]] = {}
    for route in ROUTES:
        path = route.path.replace("{root}", settings.root)
        endpoint = _endpoint(route, settings, service, authenticator, calls, rate, document)
        endpoints.setdefault(path, {})[route.method] = endpoint
    # Paths are tried in this order, so what is asked for all the time comes first.
    often = sorted(endpoints.items(), key=lambda item: not item[0].endswith("/objects/"))
    routes = [_http_route(path, by_method) for path, by_method in often]
    app = Starlette(
        routes=[*routes, *_probes(calls)],
        middleware=[
            Middleware(
                Edge,
                behind_proxy=settings.behind_proxy,
                limits=settings.limits,
                observer=Observer(meter, tracing, settings.slow_seconds),
            )
        ],
        exception_handlers={HTTPException: _on_http_exception},
        lifespan=lifespan,
    )
    # Streams would keep the server from draining: whoever serves ends them first.
    app.state.on_stop = push.stop
    app.state.events, app.state.segments = push.events, push.segments
    app.state.draining = app.state.leaving = False
    gauges.watch(meter, store, push, logbook, cosigner, ready=lambda: not app.state.draining)
    return app


async def _prune(store: Store, lifetime: int, now: Callable[[], int]) -> None:
    """Drop status resources whose time is over, now and every hour."""
    while True:
        try:
            await asyncio.to_thread(store.prune_statuses, now() - lifetime)
        except StoreError as error:
            _logger.warning("could not drop statuses", extra={"fields": {"cause": error.message}})
        await asyncio.sleep(_PRUNE_SECONDS)


def _http_route(path: str, by_method: Mapping[str, _Endpoint]) -> HttpRoute:
    async def dispatch(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await by_method[method](request)

    return HttpRoute(path, dispatch, methods=list(by_method))


def _endpoint(
    route: Route,
    settings: HubSettings,
    service: HubService,
    authenticator: Authenticator,
    calls: StoreCalls,
    rate: Rate,
    document: bytes,
) -> _Endpoint:
    async def serve(request: Request) -> Response:
        request.state.route = route.path
        try:
            log_in = partial(
                authenticator.principal,
                request.scope["headers"],
                client_address(request.scope),
                peer=request.state.peer,
            )
            principal = await log_in()
            request.state.org = principal.org_id
            rate.take(principal.account_id or principal.org_id)
            if route.taxii and not media.acceptable(_joined(request, "accept")):
                raise NotAcceptableError(
                    "the client accepts nothing that this hub answers with",
                    where="Accept",
                    hint=f"accept {media.TAXII}",
                )
            context = Context(service, settings, principal, request, document, log_in)
            return await route.handler(context)
        except StillwatchError as error:
            return _refuse(request, error)
        except Exception:
            _logger.exception("a request failed")
            return _refuse(request, StillwatchError("the hub failed to answer"))

    return serve


def _refuse(request: Request, error: StillwatchError) -> Response:
    request_id = request.state.request_id
    request.state.refused = reason_of(error)
    if isinstance(error, StoreError) and not isinstance(error, RefusalError):
        fields = {"cause": error.message}
        _logger.error("the store failed", extra={"fields": fields})
    return answers.failure(request, error, error_id=request_id)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    refusal: RefusalError
    if error.status_code == 405:
        headers["allow"] = ", ".join(sorted(headers["allow"].split(", ")))
        refusal = MethodNotAllowedError("this resource does not know that method", headers=headers)
    else:
        refusal = HiddenError("no such resource", headers=headers)
    return _refuse(request, refusal)


def _probes(calls: StoreCalls) -> list[HttpRoute]:
    async def live(request: Request) -> Response:
        request.state.route = "/livez/"
        return PlainTextResponse("ok\n")

    async def ready(request: Request) -> Response:
        request.state.route = "/readyz/"
        if request.app.state.draining:
            return PlainTextResponse("the hub is stopping\n", status_code=503)
        if not await calls.ready():
            return PlainTextResponse("the store cannot be read\n", status_code=503)
        return PlainTextResponse("ok\n")

    return [HttpRoute("/livez/", live), HttpRoute("/readyz/", ready)]


def _joined(request: Request, name: str) -> str | None:
    """A list-valued header that may come on several lines (RFC 9110, section 5.3)."""
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None
