"""Hostile answers over real sockets: each ends within its bounds."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hub.doctor.http import HttpAsk
from hub.doctor.wire import Request, Trouble, UnansweredError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/taxii+json;version=2.1\r\n"


@contextmanager
def serving(
    *answers: bytes, drip: float = 0.0, ends: bool = True
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives one answer to each connection.

    Args:
        drip: seconds between the octets of an answer.
        ends: close after the answer; False holds the connection.
    """
    heard: list[bytes] = []
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def serve() -> None:
            for answer in answers:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    heard.append(peer.recv(65_536))
                    try:
                        if drip:
                            for at in range(len(answer)):
                                peer.sendall(answer[at : at + 1])
                                if stop.wait(drip):
                                    return
                        else:
                            peer.sendall(answer)
                        if not ends:
                            stop.wait(5)
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/x", heard
        finally:
            stop.set()
            thread.join()


def asked(url: str, *, timeout: float = 5.0, most: int = 100_000) -> object:
    """What comes of one request: the answer, or why there is none."""
    ask = HttpAsk(max_bytes=most)
    try:
        return ask(Request("GET", url, {"Accept": "a/b", "User-Agent": "me"}, timeout_s=timeout))
    except UnansweredError as error:
        return error.trouble
    finally:
        ask.close()


def sized(body: bytes, *more: bytes) -> bytes:
    return HEAD + b"".join(more) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_a_good_answer_comes_whole_and_the_headers_go_as_given() -> None:
    with serving(sized(gzip.compress(b"{}"), b"Content-Encoding: gzip\r\n")) as (url, heard):
        answer = asked(url)
    assert getattr(answer, "body", None) == b"{}"
    assert b"User-Agent: me\r\n" in heard[0]
    assert b"Accept: a/b\r\n" in heard[0]
    assert b"Authorization" not in heard[0]


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (sized(b"x" * 200_000), Trouble.TOO_LARGE),
        (sized(gzip.compress(b" " * 5_000_000), b"Content-Encoding: gzip\r\n"), Trouble.TOO_LARGE),
        (HEAD + b"Content-Length: 50\r\n\r\nshort", Trouble.BROKEN),
        (sized(b"no gzip", b"Content-Encoding: gzip\r\n"), Trouble.BROKEN),
        (b"SSH-2.0-other\r\n", Trouble.UNREACHABLE),
        (b"", Trouble.UNREACHABLE),
        (HEAD + b"X: " + b"a" * 100_000 + b"\r\n\r\n", Trouble.UNREACHABLE),
    ],
)
def test_a_bad_answer_is_named(answer: bytes, trouble: Trouble) -> None:
    with serving(answer) as (url, _):
        assert asked(url) == trouble


@pytest.mark.parametrize("answer", [HEAD, sized(b"x" * 100)[:-40]])
def test_a_dripping_answer_is_given_up(answer: bytes) -> None:
    begun = time.monotonic()
    with serving(answer, drip=0.05) as (url, _):
        assert asked(url, timeout=0.3) == Trouble.TIMEOUT
    assert time.monotonic() - begun < 5


def test_a_silent_server_is_given_up() -> None:
    with serving(b"", ends=False) as (url, _):
        assert asked(url, timeout=0.3) == Trouble.TIMEOUT


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert asked(f"http://127.0.0.1:{port}/") == Trouble.UNREACHABLE


def test_a_certificate_that_nobody_trusts() -> None:
    # What answers a TLS hello with plain text is no trusted server either.
    with serving(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (url, _):
        assert asked(url.replace("http:", "https:")) == Trouble.TLS


def test_redirects_are_not_followed() -> None:
    moved = b"HTTP/1.1 301 Moved\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"
    with serving(moved) as (url, _):
        assert getattr(asked(url), "status", None) == 301


def test_a_busy_server_is_asked_again_when_it_says_when() -> None:
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with serving(busy, sized(b"{}")) as (url, heard):
        assert getattr(asked(url), "status", None) == 200
    assert len(heard) == 2
    later = busy.replace(b": 0\r\nContent", b": 60\r\nContent", 1)
    with serving(later) as (url, _):
        assert getattr(asked(url), "status", None) == 503
