"""Spans arrive at an OTLP/HTTP receiver, hang together, and tell nothing that they should not."""

from __future__ import annotations

import builtins
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from hub.errors import InputError
from hub.server.tracing import OFF, open_tracing
from tests.unit.server.harness import TAXII, House
from tests.unit.server.test_metrics import note

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


class Receiver:
    """An OTLP/HTTP receiver of traces on loopback."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        received = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                raw = self.rfile.read(int(self.headers["content-length"]))
                received.take(ExportTraceServiceRequest.FromString(raw))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any, **__: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            for attribute in resource.resource.attributes:
                if attribute.key == "service.name":
                    self.services.add(attribute.value.string_value)
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    made.thread.start()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_post_makes_a_request_span_and_its_transaction(
    tmp_path: Path, receiver: Receiver
) -> None:
    tracing = open_tracing(receiver.url, version="1", environment={})
    with House(tmp_path, tracing=tracing) as house:
        collection = house.plain(owner="rw")
        path = f"/stillwatch/collections/{collection}/objects/"
        body = json.dumps({"objects": [note(1), note(2)]}).encode()
        sent = {"content-type": TAXII, "traceparent": f"00-{TRACE}-{CALLER}-01"}
        assert house.ask("POST", path, body=body, headers=sent).status == 202
        assert house.ask("GET", path, headers={"x-request-id": "request-1"}).status == 200
        assert house.ask("GET", "/secret/", who=None).status == 404
    tracing.close()
    route = "/{root}/collections/{collection_id}/objects/"
    (post,) = receiver.named(f"POST {route}")
    assert post.trace_id.hex() == TRACE
    assert post.parent_span_id.hex() == CALLER
    assert attributes(post)["http.route"] == route
    assert attributes(post)["http.response.status_code"] == 202
    (transaction,) = receiver.named("store.transaction")
    assert transaction.trace_id.hex() == TRACE
    assert transaction.parent_span_id == post.span_id
    assert attributes(transaction) == {"stillwatch.objects": 2}
    (get,) = receiver.named(f"GET {route}")
    assert get.trace_id.hex() != TRACE
    assert attributes(get)["stillwatch.request_id"] == "request-1"
    text = str(receiver.spans)
    for word in (collection, "secret", "note--", house.owner.id, house.tokens["owner"]):
        assert word not in text
    assert receiver.services == {"stillwatch-hub"}


def test_a_transaction_of_several_requests_is_linked_with_them_all(receiver: Receiver) -> None:
    tracing = open_tracing(receiver.url, environment={})
    from hub.server.correlation import Correlation

    links = []
    for name in ("request-1", "request-2"):
        span = tracing.request(Correlation(name), "POST")
        links.append(tracing.current())
        assert span is not None
        span.end("", 202)
    with pytest.raises(KeyError), tracing.transaction([*links, None], 7):
        raise KeyError("note--secret")
    with tracing.review(links[0], 3):
        pass
    tracing.close()
    (transaction,) = receiver.named("store.transaction")
    posts = receiver.named("POST")
    assert {link.span_id for link in transaction.links} == {span.span_id for span in posts}
    assert not transaction.parent_span_id
    assert transaction.status.message == "KeyError"
    (review,) = receiver.named("channel.review")
    assert review.parent_span_id in {span.span_id for span in posts}
    assert "secret" not in str(receiver.spans)


def test_failures_are_marked(receiver: Receiver) -> None:
    tracing = open_tracing(receiver.url, environment={})
    from hub.server.correlation import Correlation

    for status in (200, 404, 500, 0):
        span = tracing.request(Correlation(f"request-{status}"), "BREW")
        assert span is not None
        span.end("/taxii2/", status)
    tracing.close()
    assert [span.status.code for span in receiver.spans] == [0, 0, 2, 2]
    assert {span.name for span in receiver.spans} == {"_OTHER /taxii2/"}


def test_the_standard_variables_turn_it_on_and_off(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_tracing(None, environment={}) is OFF
    named = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    assert open_tracing(None, environment={**named, "OTEL_SDK_DISABLED": "true"}) is OFF
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "elsewhere")
    tracing = open_tracing(None)
    assert tracing.on
    with tracing.transaction([], 1):
        pass
    tracing.close()
    assert len(receiver.spans) == 1
    assert receiver.services == {"elsewhere"}


@pytest.mark.parametrize("url", ["127.0.0.1:4318", "http://user:secret@127.0.0.1:4318"])
def test_endpoints_that_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="receiver of traces") as refused:
        open_tracing(url, environment={})
    assert "secret" not in str(refused.value)


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "hub.server.otel":
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="not installed") as refused:
        open_tracing("http://127.0.0.1:4318", environment={})
    assert refused.value.hint == "install stillwatch[otel]"


def test_a_receiver_that_is_away_costs_requests_nothing(tmp_path: Path, receiver: Receiver) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as free:
        port = free.server_address[1]
    tracing = open_tracing(f"http://127.0.0.1:{port}", environment={})
    with House(tmp_path, tracing=tracing) as house:
        assert house.ask("GET", "/taxii2/").status == 200


def test_off_does_nothing() -> None:
    with OFF.review(None, 1), OFF.transaction([], 1):
        assert OFF.current() is None
    OFF.close()
    assert not OFF.on
