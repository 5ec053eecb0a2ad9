"""The witness over HTTP: `POST /add-checkpoint` and a probe.

Source: C2SP tlog-witness.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hub.errors import InputError, StillwatchError, StoreError
from hub.serving import (
    BodyBrokenOffError,
    BodyTooLongError,
    BodyTooSlowError,
    livez,
    read_capped,
)
from hub.witness.service import (
    NotConsistentError,
    NotSignedError,
    NotThereError,
    UnknownLogError,
    Witness,
)
from hub.witness.submission import MAX_BODY

logger = logging.getLogger("stillwatch.witness")
_THREADS: Final = 2
_BODY_SECONDS: Final = 10.0
# The first family that fits.
_STATUS: Final[tuple[tuple[type[StillwatchError], int], ...]] = (
    (BodyTooLongError, 413),
    (BodyTooSlowError, 408),
    (BodyBrokenOffError, 400),
    (UnknownLogError, 404),
    (NotSignedError, 403),
    (NotThereError, 409),
    (NotConsistentError, 422),
    (InputError, 400),
    (StoreError, 503),
)


def create_app(witness: Witness) -> Starlette:
    """Make the application; the caller closes the witness's state afterwards."""
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="stillwatch-witness")

    async def add_checkpoint(request: Request) -> Response:
        began = time.perf_counter()
        try:
            body = await read_capped(request, MAX_BODY, _BODY_SECONDS)
            loop = asyncio.get_running_loop()
            line = await loop.run_in_executor(pool, witness.add_checkpoint, body)
            response: Response = PlainTextResponse(line)
        except StillwatchError as error:
            response = _refusal(error)
        except Exception:
            logger.exception("a request failed")
            response = PlainTextResponse("the witness failed to answer\n", status_code=500)
        took = round((time.perf_counter() - began) * 1000, 2)
        logger.info("add-checkpoint %d %s ms", response.status_code, took)
        return response

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        try:
            yield
        finally:
            pool.shutdown(wait=True)

    route = Route("/add-checkpoint", add_checkpoint, methods=["POST"])
    return Starlette(routes=[route, livez()], lifespan=lifespan)


def _refusal(error: StillwatchError) -> Response:
    status = next((code for family, code in _STATUS if isinstance(error, family)), 500)
    if isinstance(error, NotThereError):
        # Exactly this type: as a media type, Starlette would add a character set.
        return Response(f"{error.size}\n", status, headers={"content-type": "text/x.tlog.size"})
    if status in (403, 422, 500, 503):
        logger.warning("refused with %d: %s", status, error)
    return PlainTextResponse(f"{error}\n", status_code=status)
