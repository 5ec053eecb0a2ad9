"""The transport against an HTTP server that answers as it is told."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.server
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hub.client.session import GuardedSession
from hub.client.transport import HttpHub, HubAccount, checked_url, connect, discover
from hub.errors import AccessError, ConflictError, InputError, StillwatchError, TransportError
from hub.settings import ClientSettings

TAXII = "application/taxii+json;version=2.1"
COLLECTION = {"id": "c1", "title": "Circle", "can_read": True, "can_write": True}
FAST = ClientSettings(
    connect_timeout_s=2.0,
    read_timeout_s=0.5,
    attempts=3,
    backoff_base_s=0.001,
    backoff_cap_s=0.01,
    max_response_bytes=4096,
    max_standing_pages=10,
)


SILENT = dataclasses.replace(FAST, attempts=50, notice_s=0.05, patience_s=0.6)


@dataclasses.dataclass
class Answer:
    """One answer; `body` is JSON unless it is bytes."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    drop: bool = False
    stall_s: float = 0.0


@dataclasses.dataclass
class Script:
    """What the server answers, and what it was asked."""

    respond: Callable[[str, str], Answer] = lambda method, path: Answer(404)
    asked: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    headers: list[dict[str, str]] = dataclasses.field(default_factory=list)
    bodies: list[bytes] = dataclasses.field(default_factory=list)
    url: str = ""
    hubs: list[HttpHub] = dataclasses.field(default_factory=list)

    def hub(self, token: str = "secret", username: str | None = "lab") -> HttpHub:
        """The transport to this server."""
        made = connect(HubAccount(f"{self.url}root/", username, token), FAST)
        assert isinstance(made, HttpHub)
        self.hubs.append(made)
        return made


@pytest.fixture
def script() -> Iterator[Script]:
    made = Script()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            made.bodies.append(self.rfile.read(length))
            made.asked.append((self.command, self.path))
            made.headers.append(dict(self.headers))
            answer = made.respond(self.command, self.path)
            if answer.stall_s:
                ended.wait(answer.stall_s)
            if answer.drop:
                self.close_connection = True
                return
            content = (
                answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            )
            self.send_response(answer.status)
            fields = {"Content-Type": TAXII, "Content-Length": str(len(content))}
            for name, value in (fields | answer.headers).items():
                self.send_header(name, value)
            # The client hangs up on what is too long or too late.
            with contextlib.suppress(ConnectionError):
                self.end_headers()
                self.wfile.write(content)

        def do_GET(self) -> None:
            self._any()

        def do_POST(self) -> None:
            self._any()

        def log_message(self, *args: Any) -> None:
            pass

    ended = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield made
    finally:
        for hub in made.hubs:
            hub.close()
        ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _routes(**extra: Callable[[], Answer]) -> Callable[[str, str], Answer]:
    """Answers by the end of the path, the collection itself as a matter of course."""

    def respond(method: str, path: str) -> Answer:
        tail = path.partition("?")[0].rstrip("/").rpartition("/")[2]
        if tail in extra:
            return extra[tail]()
        return Answer(body=COLLECTION) if tail == "c1" else Answer(404, {})

    return respond


def test_pages_follow_next_and_give_the_date(script: Script) -> None:
    pages = iter(
        [
            Answer(
                body={"more": True, "next": "n1", "objects": [{"id": "a"}]},
                headers={"X-TAXII-Date-Added-Last": "2026-11-21T00:00:01.000000Z"},
            ),
            Answer(
                body={"objects": [{"id": "b"}]},
                headers={"X-TAXII-Date-Added-Last": "2026-11-21T00:00:02.000000Z"},
            ),
        ]
    )
    script.respond = _routes(objects=lambda: next(pages))
    found = list(script.hub().collection("c1").pages("2026-11-20T00:00:00.000000Z"))
    assert [[each["id"] for each in page.objects] for page in found] == [["a"], ["b"]]
    assert found[1].date_added_last == "2026-11-21T00:00:02.000000Z"
    assert "added_after=2026-11-20" in script.asked[1][1]
    assert "next=n1" in script.asked[2][1]


def test_an_empty_collection_is_one_empty_page(script: Script) -> None:
    script.respond = _routes(objects=lambda: Answer(body={}))
    (page,) = script.hub().collection("c1").pages()
    assert (list(page.objects), page.next, page.date_added_last) == ([], None, None)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy_answers_are_tried_again(script: Script, status: int) -> None:
    answers = iter([Answer(status, {}), Answer(status, {}), Answer(body={})])
    script.respond = _routes(objects=lambda: next(answers))
    assert len(list(script.hub().collection("c1").pages())) == 1
    assert len(script.asked) == 4


def test_a_dropped_connection_is_tried_again(script: Script) -> None:
    answers = iter([Answer(drop=True), Answer(body={})])
    script.respond = _routes(objects=lambda: next(answers))
    assert len(list(script.hub().collection("c1").pages())) == 1


def test_giving_up_after_the_last_attempt(script: Script) -> None:
    script.respond = _routes(objects=lambda: Answer(503, {}))
    with pytest.raises(TransportError, match="503"):
        list(script.hub().collection("c1").pages())
    assert len(script.asked) == 1 + FAST.attempts


def test_retry_after_is_honoured_up_to_the_cap(script: Script) -> None:
    waited: list[float] = []
    answers = iter(
        [
            Answer(503, {}, {"Retry-After": "2"}),
            Answer(429, {}, {"Retry-After": "86400"}),
            Answer(503, {}, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
            Answer(503, {}, {"Retry-After": "soon"}),
            Answer(body={}),
        ]
    )
    script.respond = lambda method, path: next(answers)
    settings = dataclasses.replace(FAST, attempts=5, backoff_base_s=1.0, backoff_cap_s=30.0)
    session = GuardedSession(settings, sleep=waited.append, jitter=lambda: 0.5)
    assert session.get(script.url).status_code == 200
    session.close()
    assert waited == [2.0, 30.0, 0.0, 4.0]


def test_silence_ends_in_a_time_out(script: Script) -> None:
    script.respond = _routes(objects=lambda: Answer(body={}, stall_s=20.0))
    with pytest.raises(TransportError, match="in time"):
        list(script.hub().collection("c1").pages())


def test_a_huge_answer_is_cut_off(script: Script) -> None:
    script.respond = _routes(objects=lambda: Answer(body={"objects": [{"x": "y" * 8000}]}))
    with pytest.raises(TransportError, match="exceeds 4096 bytes"):
        list(script.hub().collection("c1").pages())


@pytest.mark.parametrize(
    ("status", "family", "hint"),
    [
        (401, AccessError, "token"),
        (403, AccessError, "administrator"),
        (404, AccessError, "does not exist"),
        (406, TransportError, "TAXII 2.1"),
        (409, ConflictError, ""),
        (413, TransportError, "max_content_length"),
        (500, TransportError, "again"),
        (507, TransportError, "disk"),
    ],
)
def test_statuses_become_families(
    script: Script, status: int, family: type[StillwatchError], hint: str
) -> None:
    said = {"title": "No", "description": "because\x1b[31m"}
    script.respond = _routes(objects=lambda: Answer(status, said))
    with pytest.raises(family, match=f"{status}: because") as caught:
        list(script.hub().collection("c1").pages())
    assert hint in str(caught.value.hint or "")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>"),
        Answer(body=[]),
        Answer(body={"objects": "none"}),
        Answer(body={"objects": ["none"]}),
        Answer(body={"more": True, "objects": []}),
        Answer(body={}, headers={"Content-Type": "text/html"}),
        Answer(body=b'{"objects": ' + b"[" * 2000 + b"]" * 2000 + b"}"),
    ],
)
def test_what_is_not_taxii_is_a_transport_error(script: Script, answer: Answer) -> None:
    script.respond = _routes(objects=lambda: answer)
    with pytest.raises(TransportError):
        list(script.hub().collection("c1").pages())


def test_a_server_that_repeats_itself_is_left(script: Script) -> None:
    script.respond = _routes(
        objects=lambda: Answer(body={"more": True, "next": "n", "objects": []})
    )
    with pytest.raises(TransportError, match="repeats"):
        list(script.hub().collection("c1").pages())


def test_redirects_are_not_followed(script: Script) -> None:
    away = Answer(302, b"", {"Location": "https://elsewhere.example/"})
    script.respond = _routes(objects=lambda: away)
    with pytest.raises(TransportError, match="redirects"):
        list(script.hub().collection("c1").pages())


def test_a_post_names_each_failure(script: Script) -> None:
    status = {
        "id": "s1",
        "status": "complete",
        "total_count": 2,
        "success_count": 1,
        "failure_count": 1,
        "pending_count": 0,
        "failures": [{"id": "b", "version": "v", "message": "forked"}],
    }
    script.respond = _routes(objects=lambda: Answer(202, status))
    result = script.hub().collection("c1").add([{"id": "a"}, {"id": "b"}])
    assert (result.accepted, dict(result.failures)) == (("a",), {"b": "forked"})
    assert json.loads(script.bodies[-1]) == {"objects": [{"id": "a"}, {"id": "b"}]}


def test_failures_without_names_are_no_success(script: Script) -> None:
    status = {
        "id": "s1",
        "status": "complete",
        "total_count": 1,
        "success_count": 0,
        "failure_count": 1,
        "pending_count": 0,
    }
    script.respond = _routes(objects=lambda: Answer(202, status))
    with pytest.raises(TransportError, match="without naming"):
        script.hub().collection("c1").add([{"id": "a"}])


def test_a_missing_object_is_none(script: Script) -> None:
    script.respond = _routes(a=lambda: Answer(404, {}), b=lambda: Answer(403, {}))
    collection = script.hub().collection("c1")
    assert collection.get("a") is None
    with pytest.raises(AccessError):
        collection.get("b")


def test_the_token_goes_as_basic_or_bearer_and_nowhere_else(script: Script) -> None:
    script.respond = _routes(objects=lambda: Answer(401, {}))
    for username in ("lab", None):
        with pytest.raises(AccessError) as caught:
            list(script.hub("t0ken", username).collection("c1").pages())
        assert "t0ken" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    sent = [each["Authorization"] for each in script.headers]
    assert sent[0] == "Basic " + base64.b64encode(b"lab:t0ken").decode()
    assert sent[-1] == "Bearer t0ken"
    assert "t0ken" not in repr(HubAccount(script.url, None, "t0ken"))


def test_a_stock_server_has_no_about_and_no_binding(script: Script) -> None:
    hub = script.hub()
    assert hub.about() is None
    assert hub.challenge() is None
    script.respond = lambda method, path: Answer(body={"software": "other"})
    assert hub.about() is None


def test_a_stillwatch_hub_is_known_by_its_about(script: Script) -> None:
    about = {"software": "stillwatch", "protocol": 1, "time": 12}
    script.respond = _routes(
        about=lambda: Answer(body=about),
        challenge=lambda: Answer(body={"challenge": "ab", "expires": 1}),
        binding=lambda: Answer(body={"member": "identity--1"}),
    )
    hub = script.hub()
    found = hub.about()
    assert found is not None
    assert found.time == 12
    assert hub.challenge() == "ab"
    assert hub.bind(b"signed") == "identity--1"
    assert script.bodies[-1] == b"signed"


def test_discovery_leads_to_the_default_root(script: Script) -> None:
    script.respond = lambda method, path: Answer(
        body={"title": "Hub", "default": "/root/", "api_roots": ["/root/"]}
    )
    account = HubAccount(f"{script.url}taxii2/", None, "t")
    assert discover(account, FAST) == f"{script.url}root/"
    direct = HubAccount(f"{script.url}root/", None, "t")
    assert discover(direct, FAST) == f"{script.url}root/"


def test_nobody_listening_is_a_transport_error() -> None:
    account = HubAccount("http://127.0.0.1:1/root/", None, "t")
    with pytest.raises(TransportError, match="cannot be reached"):
        connect(account, FAST).collections()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://hub.example/", "not an http"),
        ("hub.example", "not an http"),
        ("https://user:pass@hub.example/", "credentials"),
        ("http://hub.example/root/", "plain http"),
    ],
)
def test_addresses_that_would_leak(url: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        checked_url(url)
    assert "pass@" not in str(caught.value)


def test_addresses_get_their_slash() -> None:
    assert checked_url("https://hub.example/root") == "https://hub.example/root/"
    assert checked_url("http://[::1]:8/r/") == "http://[::1]:8/r/"
    allowed = checked_url("http://hub.example/r", allow_plain_http=True)
    assert allowed == "http://hub.example/r/"


def test_pages_that_lead_nowhere_end(script: Script) -> None:
    def endless(method: str, path: str) -> Answer:
        if path.endswith("/collections/c1/"):
            return Answer(200, COLLECTION)
        body = {"more": True, "next": str(len(script.asked)), "objects": [{"type": "x"}]}
        return Answer(200, body, {"X-TAXII-Date-Added-Last": "2026-11-21T00:00:00.000000Z"})

    script.respond = endless
    pages = itertools.islice(script.hub().collection("c1").pages(), 50)
    with pytest.raises(TransportError, match="lead nowhere"):
        list(pages)


def test_a_silent_hub_is_told_of_and_given_up(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script.respond = lambda method, path: Answer(stall_s=5.0)
    account = HubAccount(f"{script.url}root/", "lab", "secret")
    begun = time.monotonic()
    silent = connect(account, SILENT)
    with (
        contextlib.closing(silent),
        pytest.raises(TransportError, match="did not answer in time"),
    ):
        silent.about()
    assert time.monotonic() - begun < 4
    assert len(script.asked) == 2
    assert "no answer for 0 s, waiting on" in caplog.text
