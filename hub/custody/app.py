"""The custodian over HTTP: three resources and a probe. No request body is ever logged.

| resource | body | answer |
|---|---|---|
| `POST /v1/evaluate` | a request | an answer, or a refusal |
| `GET /v1/channels/{channel}` | | the standing |
| `POST /v1/channels/{channel}/messages` | manifests and cards | the standing, or a refusal |
| `GET /livez` | | `ok` |
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.channel.custodian_replies import MAX_POST, Refusal
from hub.channel.custodians import MAX_REQUEST
from hub.channel.primitives.hash import is_hash
from hub.custody.channels import BehindError, NotAReaderError, UnknownError
from hub.custody.keys import GoneError
from hub.custody.quota import QuotaExceededError
from hub.custody.service import Custodian, ReplayedError
from hub.errors import InputError, StillwatchError, VerificationError
from hub.serving import (
    BodyBrokenOffError,
    BodyTooLongError,
    BodyTooSlowError,
    livez,
    read_capped,
)

logger = logging.getLogger("stillwatch.custodian")
_SECONDS: Final = 30.0
_SWEEP_SECONDS: Final = 3_600.0
_MESSAGE: Final = 512
_BYTES: Final = "application/octet-stream"
# The first family that fits; `unavailable` for the rest.
_CODES: Final[tuple[tuple[type[StillwatchError], str, int], ...]] = (
    (BodyTooLongError, "too-large", 413),
    (BodyTooSlowError, "bad-request", 408),
    (BodyBrokenOffError, "bad-request", 400),
    (QuotaExceededError, "quota", 429),
    (ReplayedError, "replayed", 409),
    (BehindError, "behind", 409),
    (NotAReaderError, "not-a-reader", 403),
    (UnknownError, "unknown", 404),
    (VerificationError, "not-verified", 403),
    (InputError, "bad-request", 400),
)
_Work = Callable[[bytes, int], tuple[bytes, int]]


def create_app(custodian: Custodian, *, now: Callable[[], int] | None = None) -> Starlette:
    """Make the application.

    Args:
        custodian: used by one thread of this application alone.
        now: wall clock in whole seconds UTC.
    """
    clock = now or (lambda: int(time.time()))
    pool = ThreadPoolExecutor(1, thread_name_prefix="stillwatch-custodian")

    async def work(request: Request, most: int, action: _Work) -> Response:
        began, count = time.perf_counter(), 0
        try:
            body = await read_capped(request, most, _SECONDS) if most else b""
            loop = asyncio.get_running_loop()
            content, count = await loop.run_in_executor(pool, action, body, clock())
            media = _BYTES if request.url.path == "/v1/evaluate" else "application/json"
            response = Response(content, media_type=media)
        except StillwatchError as error:
            response = _refuse(error)
        except Exception:
            logger.exception("a request failed")
            response = _refuse(StillwatchError("the custodian failed to answer"))
        _log(request, response.status_code, count, time.perf_counter() - began)
        return response

    async def evaluate(request: Request) -> Response:
        return await work(request, MAX_REQUEST, custodian.evaluate)

    async def standing(request: Request) -> Response:
        channel = request.path_params["channel"]
        return await work(request, 0, lambda _, at: (_standing(custodian, channel, at), 0))

    async def messages(request: Request) -> Response:
        channel = request.path_params["channel"]

        def learn(body: bytes, at: int) -> tuple[bytes, int]:
            return custodian.learn(_channel(channel), body, at).to_bytes(), 0

        return await work(request, MAX_POST, learn)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        sweeping = asyncio.create_task(_sweep(custodian, pool, clock))
        try:
            yield
        finally:
            sweeping.cancel()
            pool.shutdown(wait=True)

    routes: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("/v1/evaluate", "POST", evaluate),
        ("/v1/channels/{channel}", "GET", standing),
        ("/v1/channels/{channel}/messages", "POST", messages),
    ]
    return Starlette(
        routes=[livez(), *(Route(path, end, methods=[method]) for path, method, end in routes)],
        lifespan=lifespan,
    )


def _channel(channel: str) -> str:
    if not is_hash(channel):
        raise InputError("64 lower-case hex digits are expected", where="channel")
    return channel


def _standing(custodian: Custodian, channel: str, now: int) -> bytes:
    return custodian.standing(_channel(channel), now).to_bytes()


async def _sweep(custodian: Custodian, pool: ThreadPoolExecutor, clock: Callable[[], int]) -> None:
    while True:
        try:
            gone = await asyncio.get_running_loop().run_in_executor(pool, custodian.sweep, clock())
            for row in gone:
                logger.info(json.dumps({"event": "key-destroyed", "key": row.key_id}))
        except StillwatchError as error:
            logger.warning(json.dumps({"event": "sweep-failed", "cause": error.message}))
        await asyncio.sleep(_SWEEP_SECONDS)


def _refuse(error: StillwatchError) -> Response:
    code, status = "unavailable", 503
    if isinstance(error, GoneError):
        code, status = error.code, 410
    else:
        for family, name, number in _CODES:
            if isinstance(error, family):
                code, status = name, number
                break
    wait, quota = None, None
    if isinstance(error, QuotaExceededError):
        wait, quota = error.retry_after, error.quota
    # A disk's or library's own words are for the operator.
    text = str(error) if status != 503 else "the custodian cannot answer now"
    if status == 503:
        logger.error(json.dumps({"event": "failed", "cause": error.message}))
    refusal = Refusal(code, _shown(text), error.hint and _shown(error.hint), wait, quota)
    headers = {} if wait is None else {"Retry-After": str(wait)}
    if code == "too-large":
        headers["Connection"] = "close"
    return Response(refusal.to_bytes(), status, headers, media_type="application/json")


def _shown(text: str) -> str:
    """Printable text of bounded length: causes may quote what was sent."""
    return "".join(each if each.isprintable() else "?" for each in text)[:_MESSAGE]


def _log(request: Request, status: int, count: int, seconds: float) -> None:
    row = {
        "at": int(time.time()),
        "method": request.method,
        # The route, not the path: a path may hold anything.
        "route": request.scope["route"].path if "route" in request.scope else None,
        "status": status,
        "elements": count,
        "ms": round(seconds * 1000, 1),
    }
    logger.info(json.dumps(row))
