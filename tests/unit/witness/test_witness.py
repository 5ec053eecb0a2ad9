"""The witness over HTTP: what it cosigns, and each way in which it does not."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.types import Message

from hub.channel.log import tree
from hub.channel.log.checkpoint import (
    Checkpoint,
    check_quorum,
    log_key,
    parse_checkpoint,
    sign_checkpoint,
)
from hub.channel.log.note import add_lines, parse_lines
from hub.channel.primitives.sign import NotePrivate
from hub.errors import ConflictError, InputError, StoreError
from hub.witness import submission
from hub.witness.app import create_app
from hub.witness.service import NotThereError, Witness
from hub.witness.state import MAX_REFUSED, Log, State

NOW = 1_790_000_000
ORIGIN = "hub.example/stillwatch/c/0123456789abcdef"
LOG_KEY = NotePrivate(b"\x01" * 32)
KEY = NotePrivate(b"\x02" * 32)


def leaves(count: int, *, fork: int = 0) -> list[bytes]:
    """Leaf hashes; with `fork`, other ones from that position on."""
    names = [f"{n}{'x' if fork and n >= fork else ''}" for n in range(count)]
    return [tree.leaf_hash(hashlib.sha256(name.encode()).digest()) for name in names]


def signed(size: int, *, fork: int = 0, key: NotePrivate = LOG_KEY, origin: str = ORIGIN) -> str:
    root = tree.root_of(leaves(size, fork=fork))
    return sign_checkpoint(Checkpoint(origin, size, root, NOW), key)


def body(old: int, size: int, *, fork: int = 0, raw: str | None = None) -> bytes:
    proof = tree.consistency_proof(tree.LeafNodes(leaves(size, fork=fork)), min(old, size), size)
    lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof)]
    return ("\n".join(lines) + "\n\n" + (raw or signed(size, fork=fork))).encode()


@dataclass
class Post:
    """A witness in this process."""

    path: Path
    clock: list[int] = field(default_factory=lambda: [NOW])

    def __post_init__(self) -> None:
        self.state = State.create(self.path, "witness.example")
        self.state.add_log(log_key(ORIGIN, LOG_KEY).text)
        self.start()

    def start(self) -> None:
        self.witness = Witness(self.state, KEY, now=lambda: self.clock[0])
        self.app = create_app(self.witness)

    def restart(self) -> None:
        self.state.close()
        self.state = State.open(self.path)
        self.start()

    def ask(self, sent: bytes, *, method: str = "POST") -> tuple[int, str, str]:
        """Status, content type and body."""
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": "/add-checkpoint",
            "raw_path": b"/add-checkpoint",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [],
        }
        incoming: list[Message] = [{"type": "http.request", "body": sent, "more_body": False}]
        messages: list[Message] = []

        async def receive() -> Message:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            messages.append(message)

        asyncio.run(self.app(scope, receive, send))
        kinds = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        return messages[0]["status"], kinds["content-type"], messages[1]["body"].decode()

    def status(self, sent: bytes) -> int:
        return self.ask(sent)[0]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    made = Post(tmp_path / "witness.db")
    yield made
    made.state.close()


def test_a_log_that_grows_is_cosigned(post: Post) -> None:
    for old, size in ((0, 3), (3, 8), (8, 8), (8, 21)):
        status, _, line = post.ask(body(old, size))
        assert status == 200
        raw = add_lines(signed(size), parse_lines(line))
        names = check_quorum(parse_checkpoint(raw), [post.witness.verifier_key], 1)
        assert names == ("witness.example",)
        log = post.state.log(ORIGIN)
        assert log is not None
        assert (log.size, log.root) == (size, tree.root_of(leaves(size)))


def test_the_size_that_it_has_is_told(post: Post) -> None:
    assert post.status(body(0, 5)) == 200
    for old in (0, 3, 7):
        assert post.ask(body(old, 8)) == (409, "text/x.tlog.size", "5\n")
    post.restart()
    assert post.ask(body(0, 8)) == (409, "text/x.tlog.size", "5\n")
    assert post.status(body(5, 8)) == 200


def test_another_history_is_not_cosigned(post: Post) -> None:
    assert post.status(body(0, 5)) == 200
    assert post.status(body(5, 8, fork=4)) == 422
    assert post.state.refused(ORIGIN) == []
    # The same size with another root: the log has signed a contradiction, which is kept.
    assert post.ask(body(5, 5, fork=4)) == (409, "text/x.tlog.size", "5\n")
    assert post.state.refused(ORIGIN) == [signed(5, fork=4)]
    log = post.state.log(ORIGIN)
    assert log is not None
    assert log.root == tree.root_of(leaves(5))


def test_a_smaller_log_is_not_cosigned(post: Post) -> None:
    assert post.status(body(0, 5)) == 200
    assert post.status(body(5, 3)) == 400
    assert post.status(body(3, 3)) == 409


def test_who_signed_counts(post: Post) -> None:
    other = NotePrivate(b"\x03" * 32)
    assert post.status(body(0, 3, raw=signed(3, key=other))) == 403
    elsewhere = "elsewhere.example/log"
    assert post.status(body(0, 3, raw=signed(3, origin=elsewhere))) == 404
    post.state.remove_log(ORIGIN)
    assert post.status(body(0, 3)) == 404


def test_a_log_that_comes_back_goes_on_where_it_was(post: Post) -> None:
    assert post.status(body(0, 5)) == 200
    post.state.remove_log(ORIGIN)
    assert post.state.add_log(log_key(ORIGIN, LOG_KEY).text).size == 5
    assert post.status(body(0, 5, fork=2)) == 409
    with pytest.raises(ConflictError, match="another key"):
        post.state.add_log(log_key(ORIGIN, NotePrivate(b"\x09" * 32)).text)
    with pytest.raises(InputError, match="no such log"):
        post.state.remove_log("elsewhere.example")


GOOD = body(3, 5)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"old 0",
        b"\xff\n\n" + signed(3).encode(),
        GOOD.replace(b"old 3", b"old 03"),
        GOOD.replace(b"old 3", b"old -3"),
        GOOD.replace(b"old 3", b"old 3 "),
        GOOD.replace(b"old 3", b"new 3"),
        GOOD.replace(b"old 3", b"old 9999999999999999"),
        GOOD.replace(b"old 3\n", b"old 3\nAAAA\n"),
        GOOD.replace(b"old 3\n", b"old 3\n!\n"),
        GOOD.replace(b"old 3\n", b"old 3\n" + b"A" * 43 + b"=\n" * 64),
        GOOD.replace(b"\n\n", b"\n"),
        GOOD.replace(b"time ", b"tame "),
        GOOD + b"more",
        b"old 5\n\n" + signed(3).encode(),
    ],
)
def test_what_is_malformed_is_refused(post: Post, sent: bytes) -> None:
    status, _, said = post.ask(sent)
    assert (status, said.endswith("\n")) == (400, True)
    assert post.state.log(ORIGIN) is not None
    assert post.status(body(0, 3)) == 200


def test_every_cut_is_refused(post: Post) -> None:
    whole = body(0, 3)
    for end in range(0, len(whole) - 1, 7):
        assert post.status(whole[:end]) in (400, 403, 404), end
    assert post.status(b"x" * (submission.MAX_BODY + 1)) == 413
    assert post.ask(whole, method="GET")[0] == 405


def test_the_proof_of_a_beginning_is_empty(post: Post) -> None:
    extra = body(0, 3).replace(b"old 0\n", b"old 0\n" + base64.b64encode(bytes(32)) + b"\n")
    assert post.status(extra) == 422


def test_of_two_at_once_one_is_cosigned(post: Post) -> None:
    """Both were judged against the same size; the second must not roll the first back."""
    assert post.status(body(0, 3)) == 200
    judged = threading.Barrier(2)
    advance = post.state.advance

    def slowly(seen: Log, size: int, root: bytes, checkpoint: str, now: int) -> bool:
        judged.wait(10)
        return advance(seen, size, root, checkpoint, now)

    vars(post.state)["advance"] = slowly
    results: list[str] = []

    def submit(size: int) -> None:
        try:
            post.witness.add_checkpoint(body(3, size))
            results.append("cosigned")
        except NotThereError as error:
            log = post.state.log(ORIGIN)
            assert log is not None
            results.append("told" if error.size == log.size else "lied to")

    threads = [threading.Thread(target=submit, args=(size,)) for size in (5, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["cosigned", "told"]


def test_nothing_is_signed_that_cannot_be_remembered(post: Post) -> None:
    def full(*arguments: object) -> bool:
        raise StoreError("the disk is full")

    vars(post.state)["advance"] = full
    assert post.status(body(0, 3)) == 503


def test_contradictions_do_not_fill_the_disk(post: Post) -> None:
    assert post.status(body(0, 5)) == 200
    for number in range(MAX_REFUSED + 20):
        post.state.refuse(ORIGIN, f"note {number}", NOW)
        post.state.refuse(ORIGIN, f"note {number}", NOW)
    kept = post.state.refused(ORIGIN)
    assert (len(kept), kept[-1]) == (MAX_REFUSED, f"note {MAX_REFUSED + 19}")


def test_a_witness_without_its_memory_does_not_begin_anew(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="memory is missing"):
        State.open(tmp_path / "witness.db")
    (tmp_path / "junk.db").write_bytes(b"junk" * 1000)
    with pytest.raises(StoreError, match="memory failed"):
        State.open(tmp_path / "junk.db")
    State.create(tmp_path / "one.db", "witness.example").close()
    with pytest.raises(ConflictError):
        State.create(tmp_path / "one.db", "witness.example")
    assert (tmp_path / "one.db").stat().st_mode & 0o777 == 0o600
