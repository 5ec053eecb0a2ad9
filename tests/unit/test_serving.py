"""Bodies with caps, for services without the hub's own edge."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from starlette.requests import Request
from starlette.types import Message

from hub.errors import InputError
from hub.serving import (
    BodyBrokenOffError,
    BodyTooLongError,
    BodyTooSlowError,
    check_exposure,
    read_capped,
)
from hub.settings import ServeSettings


def request(chunks: Iterable[bytes], *, end: str = "whole", read: list[int]) -> Request:
    """A request whose body comes in these pieces; `read` counts the bytes taken."""
    pieces = list(chunks)

    async def receive() -> Message:
        if pieces:
            read.append(len(pieces[0]))
            more = len(pieces) > 1 or end != "whole"
            return {"type": "http.request", "body": pieces.pop(0), "more_body": more}
        if end == "slow":
            await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def body_of(chunks: Iterable[bytes], *, end: str = "whole", read: list[int] | None = None) -> bytes:
    asked = request(chunks, end=end, read=[] if read is None else read)
    return asyncio.run(read_capped(asked, 10, 0.05))


def test_a_body_up_to_the_cap_is_read_whole() -> None:
    assert body_of([b"12345", b"67890"]) == b"1234567890"


def test_a_body_beyond_the_cap_is_refused_after_some_of_it() -> None:
    read: list[int] = []
    with pytest.raises(BodyTooLongError, match="10 bytes"):
        body_of([b"x" * 8] * 100, read=read)
    assert 32 <= sum(read) <= 48


@pytest.mark.parametrize(
    ("end", "error"), [("slow", BodyTooSlowError), ("gone", BodyBrokenOffError)]
)
def test_a_body_that_does_not_end(end: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        body_of([b"12345"], end=end)


def test_clear_text_stays_on_loopback() -> None:
    check_exposure(ServeSettings("127.0.0.1"), behind_proxy=False)
    with pytest.raises(InputError, match="no TLS"):
        check_exposure(ServeSettings("192.0.2.1"), behind_proxy=False)
