"""The doctor against real servers: green for all at a hub, and what it says of stock medallion."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from hub.cli.main import cli
from hub.doctor.clients import PROFILES
from hub.doctor.diagnosis import Case, Diagnosis, examine
from hub.doctor.findings import Severity
from hub.doctor.http import HttpAsk
from hub.doctor.line import Credential
from hub.doctor.profile import TAXII_21
from tests.faults.hub_process import HubProcess
from tests.interop.medallion_process import PASSWORD, USER, medallion, stock_backend
from tests.unit.server.harness import indicator

HUB_OBJECTS = 1_200
"""More than a page without limit, so that every client meets page edges."""
STOCK_OBJECTS = 60


def fill(url: str, auth: tuple[str, str], count: int, batch: int) -> None:
    """Post indicators that share one version stamp."""
    for start in range(0, count, batch):
        numbers = range(start, min(start + batch, count))
        answer = requests.post(
            url,
            auth=auth,
            data=json.dumps({"objects": [indicator(number) for number in numbers]}),
            headers={"Accept": TAXII_21, "Content-Type": TAXII_21},
            timeout=30,
        )
        assert answer.status_code == 202


def told(url: str, credential: Credential, *names: str, **more: Any) -> Diagnosis:
    """What the doctor finds."""
    ask = HttpAsk()
    try:
        chosen = [PROFILES[name] for name in names or PROFILES]
        return examine(Case(url, chosen, credential, **more), ask, time.time, lambda _: None)
    finally:
        ask.close()


def met(diagnosis: Diagnosis, who: str) -> set[tuple[str, str]]:
    """What harms a client, beyond remarks."""
    found = diagnosis.of(who).findings
    return {(one.code, one.severity.word) for one in found if one.severity > Severity.WORKS}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("doctor") / "hub") as made:
        fill(made.objects("rw1"), made.auth, HUB_OBJECTS, 200)
        yield made


def test_the_hub_is_green_for_all_seven(hub: HubProcess) -> None:
    user, token = hub.auth
    write = hub.line["collections"]["rw2"]
    rw1 = hub.line["collections"]["rw1"]
    diagnosis = told(hub.root, Credential(user, token), collection=rw1, write=write)
    assert diagnosis.site is not None
    assert len(diagnosis.site.truth.items) == HUB_OBJECTS
    verdicts = {one.who: one.severity.word for one in diagnosis.visited}
    assert set(verdicts.values()) == {"works"}, json.dumps(diagnosis.document(), indent=1)
    assert {who.partition("/")[0] for who in verdicts} == {"server", *PROFILES}
    # Each program that posts has posted its one object.
    posted = requests.get(
        hub.objects("rw2"), auth=hub.auth, headers={"Accept": TAXII_21}, timeout=30
    ).json()["objects"]
    assert {one["name"] for one in posted} == {"stillwatch doctor write probe"}
    assert len(posted) == 3


@pytest.mark.parametrize(
    ("credential", "names"),
    [
        ({"token": True}, ("elastic", "opencti", "xsoar", "taxii2-client")),
        ({"header": "X-API-Key"}, ("xsoar", "taxii2-client")),
    ],
)
def test_the_hub_takes_other_forms_of_the_token(
    hub: HubProcess, credential: dict[str, Any], names: tuple[str, ...]
) -> None:
    form = Credential(None, hub.auth[1], **credential)
    diagnosis = told(hub.root, form, *names, collection=hub.line["collections"]["rw1"])
    assert diagnosis.severity == Severity.WORKS, json.dumps(diagnosis.document(), indent=1)


def test_the_command_line_tells_the_same(hub: HubProcess, tmp_path: Path) -> None:
    user, token = hub.auth
    secret = tmp_path / "token"
    secret.touch(mode=0o600)
    secret.write_text(token)
    words = ["doctor", "--as", "misp", "--user", user, "--password-file", str(secret)]
    result = CliRunner().invoke(cli, [*words, hub.root, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["verdict"] == "works"
    assert [one["client"] for one in document["clients"]] == ["server", "misp/view", "misp/push"]
    assert token not in result.output
    text = CliRunner().invoke(cli, [*words, hub.root])
    assert text.exit_code == 0
    assert "misp/view  works" in text.output


def test_sealed_messages_of_a_channel_are_green_too(hub: HubProcess, tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        result = CliRunner().invoke(
            cli, [*words, "--json"], catch_exceptions=False, standalone_mode=False
        )
        return json.loads(result.stdout)

    user, token = hub.auth
    secret = tmp_path / "token"
    secret.touch(mode=0o600)
    secret.write_text(token)
    data = str(hub.data)
    org = next(one for one in run("hub", "org", "list", "--data", data) if one["name"] == user)
    made = run("hub", "collection", "add", "Circle", "--owner", org["id"], "--data", data)
    home = ("--home", str(tmp_path / "lab"))
    run("init", "--organisation", "Lab", "--key-file", *home)
    account = ("--username", user, "--token-file", str(secret))
    run(
        *("channel", "create", "circle", "--hub", hub.root, "--collection", made["id"]),
        *account,
        *home,
    )
    detections = tmp_path / "accounts.csv"
    rows = [f"u{at}@farm.example,LANTERN,2026-11-01T00:00:00Z,80\n" for at in range(12)]
    detections.write_text("email,campaign,first_seen,confidence\n" + "".join(rows))
    run("publish", str(detections), *home)
    diagnosis = told(hub.root, Credential(user, token), collection=made["id"])
    assert diagnosis.site is not None
    assert len(diagnosis.site.truth.items) >= 3
    assert diagnosis.severity == Severity.WORKS, json.dumps(diagnosis.document(), indent=1)


def test_what_stock_medallion_does_to_them(tmp_path: Path) -> None:
    collection = str(uuid.uuid4())
    backend = stock_backend(
        tmp_path / "data.json",
        [{"id": collection, "title": "Circle", "can_read": True, "can_write": True}],
    )
    with medallion(tmp_path, backend, page=20) as url:
        objects = f"{url}/stock/collections/{collection}/objects/"
        fill(objects, (USER, PASSWORD), STOCK_OBJECTS, 30)
        diagnosis = told(f"{url}/stock/", Credential(USER, PASSWORD), write=collection)
    # A `next` is consumed by its answer, and the objects of one post share their date_added.
    assert met(diagnosis, "server") == {("next-not-repeatable", "loses")}
    remarks = {one.code for one in diagnosis.of("server").findings}
    assert "equal-stamps" in remarks
    # `next` without limit, or without the first request's added_after, is answered 500.
    stuck = {("next-refused", "fails"), ("lost-equal-stamps", "loses")}
    assert met(diagnosis, "sentinel/connector") == stuck | {("resume-loses", "loses")}
    assert met(diagnosis, "elastic/agent") == stuck | {("resume-loses", "loses")}
    assert met(diagnosis, "opencti/feed") == stuck
    assert met(diagnosis, "opencti/connector") == stuck
    # Restarted in the midst of a pull, XSOAR asks from `modified`, which lies before.
    for who in ("splunk/framework", "splunk/reporting", "misp/view", "misp/push", "xsoar/feed"):
        assert met(diagnosis, who) == set(), who
    assert met(diagnosis, "taxii2-client/library") == set()
