"""The examination as a whole: bounds, credentials, hostile answers, and a good server."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import pytest

from hub.doctor.clients import PROFILES
from hub.doctor.diagnosis import Case, examine
from hub.doctor.findings import Severity
from hub.doctor.line import Credential
from hub.doctor.wire import Answer, Request
from tests.unit.doctor.faults import (
    AGENT,
    CONNECTOR,
    FEED,
    OBJECTS,
    VIEW,
    XSOAR,
    full,
    headed,
    in_resource,
    met,
    on,
    only_for,
    seen,
)
from tests.unit.doctor.scripted import (
    COLLECTION,
    NOW,
    ROOT,
    SECRET,
    USER,
    Params,
    Row,
    Server,
    chosen,
    collection_of,
    indicator,
    told,
)


@pytest.mark.parametrize("page", [1000, 7])
@pytest.mark.parametrize("apart", [1, 1_000])
def test_a_good_server_is_green_for_all(page: int, apart: int) -> None:
    server = Server(rows=collection_of(20, apart=apart), page=page)
    diagnosis = seen(server, write=COLLECTION)
    worst = {one.who: one.severity for one in diagnosis.visited}
    assert set(worst.values()) == {Severity.WORKS}, json.dumps(diagnosis.document(), indent=1)
    assert len(worst) == 11
    # Four programs post one object each.
    assert len(server.rows) == 23 or len(server.rows) == 24


def test_nothing_is_posted_unless_asked_for() -> None:
    server = full()
    seen(server)
    assert {request.method for request in server.asked} == {"GET"}


def test_a_token_alone_does_not_fit_a_client_with_passwords_only() -> None:
    diagnosis = seen(
        full(), "sentinel", "elastic", "misp", credential=Credential(None, SECRET, True)
    )
    assert met(diagnosis, "sentinel/connector")["auth-form"] == Severity.FAILS
    assert met(diagnosis, VIEW)["auth-form"] == Severity.FAILS
    assert diagnosis.of(AGENT).severity == Severity.WORKS


def test_a_key_in_its_own_header_fits_those_who_have_that() -> None:
    key = Credential(None, SECRET, header="X-API-Key")
    diagnosis = seen(full(), "opencti", credential=key)
    assert diagnosis.of(CONNECTOR).severity == Severity.WORKS
    assert met(diagnosis, FEED)["auth-form"] == Severity.FAILS


def test_each_client_sends_its_own_form_of_the_credential() -> None:
    server = full()
    seen(server)
    forms = {
        request.headers["User-Agent"]: request.headers["Authorization"].split(" ")[0]
        for request in server.asked
    }
    assert forms["CakePHP"] == "basic"
    assert forms["axios/1.7.9"] == "Basic"
    token = full()
    seen(token, "xsoar", "elastic", credential=Credential(USER, SECRET, True))
    sent = {request.headers["Authorization"].split(" ")[0] for request in token.asked}
    assert sent == {"Bearer", "Token"}


def test_an_address_without_taxii_is_said_to_be_none() -> None:
    server = full(resource=lambda _, body: {"hello": "there"})
    diagnosis = seen(server, "misp")
    assert diagnosis.site is None
    assert met(diagnosis, "server") == {"not-taxii": Severity.FAILS}


def test_a_client_that_refuses_http_is_warned_of_it() -> None:
    def inward(request: Request) -> Answer:
        return server(dataclasses.replace(request, url=request.url.replace("http:", "https:")))

    server = full(resource=in_resource("/taxii2/", api_roots=["/root/"]))
    case = Case(
        url=ROOT.replace("https:", "http:"),
        profiles=[PROFILES["splunk"]],
        credential=Credential(USER, SECRET),
    )
    diagnosis = examine(case, inward, lambda: NOW, lambda _: None)
    assert met(diagnosis, "splunk/framework")["plain-http"] == Severity.FAILS


def test_requests_are_bounded() -> None:
    server = full(rows=collection_of(2000), page=10)
    diagnosis = seen(server, max_requests=20)
    assert met(diagnosis, "server")["read-part"] == Severity.WORKS
    assert all(one.requests <= 20 for one in diagnosis.visited[1:])
    # What lies behind the bound is not called lost.
    assert all("lost-objects" not in met(diagnosis, one.who) for one in diagnosis.visited)
    few = seen(full(), "xsoar", max_requests=5)
    assert "budget" in met(few, XSOAR) | met(few, "server")


def test_endless_pages_end() -> None:
    def endless(body: dict[str, Any], params: Params) -> dict[str, Any]:
        at = int(params.get("next", "n0")[1:])
        return {"more": True, "next": f"n{at + 1}", "objects": [indicator(at)]}

    server = full(envelope=endless, start=lambda *_: 0)
    diagnosis = seen(server, max_requests=30)
    assert len(server.asked) <= 30 * (11 + 3) + 40
    assert met(diagnosis, "server")["read-part"] == Severity.WORKS


def test_a_deleted_object_is_not_called_lost() -> None:
    server = full()
    gone = server.rows[3][1]["id"]
    count = 0

    def forget(rows: list[Row], params: Params) -> list[Row]:
        nonlocal count
        count += 1
        # The careful reader reads objects and manifest in six requests.
        return chosen([row for row in rows if count <= 6 or row[1]["id"] != gone], params)

    server.select = forget
    server.bend = on(f"{OBJECTS}{gone}/", lambda *_: told(404, {}))
    assert "lost-objects" not in met(seen(server, "xsoar"), XSOAR)


def test_a_stale_next_is_refused_to_the_connector() -> None:
    def fresh_only(text: str, params: Params) -> int | None:
        window = params.get("added_after", "2000")
        return int(text[1:]) if window.startswith("2000") else None

    found = met(seen(full(start=fresh_only), "opencti"), CONNECTOR)
    assert found["stale-next"] == Severity.FAILS


def test_a_secret_with_a_colon_breaks_the_push_script() -> None:
    server = full(secret="a:b")
    found = met(seen(server, "misp", credential=Credential(USER, "a:b")), "misp/push")
    assert found == {"secret-colon": Severity.FAILS}


def test_what_a_server_sends_back_of_a_secret_is_struck_out() -> None:
    def echo(request: Request, answer: Answer) -> Answer:
        sent = request.headers.get("Authorization", "").replace("Basic ", "")
        return headed(answer, content_type=f"{SECRET}\x1b[31m {sent}")

    text = json.dumps(seen(full(bend=echo)).document())
    assert SECRET not in text
    assert "\\u001b" not in text
    assert "[secret]" in text
    assert base64.b64encode(f"{USER}:{SECRET}".encode()).decode() not in text


def test_a_hostile_list_of_collections_reaches_no_terminal() -> None:
    hostile = f"\x1b]0;x\x07{SECRET}"
    document = seen(full(id=hostile), "misp").document()
    text = json.dumps(document, ensure_ascii=False)
    assert SECRET not in text
    assert "\x1b" not in text


def test_the_careful_reader_tries_the_other_forms_of_a_token() -> None:
    def token_only(request: Request, answer: Answer) -> Answer:
        form = request.headers["Authorization"].split(" ")[0]
        return answer if form == "Token" else told(401, {})

    diagnosis = seen(full(bend=token_only), "xsoar", credential=Credential(None, SECRET, True))
    assert diagnosis.site is not None
    assert diagnosis.of(XSOAR).severity == Severity.WORKS


@pytest.mark.parametrize("to", ["http://taxii.example/root/", "https://taxii.example:8443/root/"])
def test_a_credential_follows_to_no_other_host_and_not_in_clear(to: str) -> None:
    server = full(bend=only_for("axios", lambda *_: headed(told(301, {}), location=to)))
    assert met(seen(server, "opencti"), FEED)["redirect-elsewhere"] == Severity.FAILS
    assert all(request.url.startswith("https://taxii.example/") for request in server.asked)


def test_a_site_is_found_from_any_of_its_addresses() -> None:
    for url in (
        "https://taxii.example/",
        "https://taxii.example/taxii2/",
        "https://taxii.example/root",
        f"{ROOT}collections/",
        f"{ROOT}collections/{COLLECTION}/",
        f"{ROOT}collections/{COLLECTION}/objects/",
    ):
        site = seen(full(), "misp", url=url).site
        assert site is not None
        assert (site.root, site.collection.id) == (ROOT, COLLECTION)


def test_a_collection_is_found_by_its_title() -> None:
    site = seen(full(), "misp", collection="Circle").site
    assert site is not None
    assert site.collection.id == COLLECTION


def test_what_is_assumed_is_said_to_be() -> None:
    titles = {one.who: one.title for one in seen(full()).visited}
    assumed = {who for who, title in titles.items() if "assumed" in title}
    assert assumed == {"sentinel/connector", "splunk/framework"}
