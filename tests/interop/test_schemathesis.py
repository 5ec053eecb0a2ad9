"""The hub held to its own OpenAPI document by Schemathesis, from outside, in a process of its own.

Schemathesis makes requests from the document (valid and broken ones), follows its links from answer
to request, and compares each answer with what the document says: status, media type, headers,
schema, `Allow`, rights, credentials.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.channel.card import card_message
from hub.channel.carriage import to_artifact
from hub.channel.manifest import genesis, sign_manifest
from hub.channel.verify import TrustedChannel
from hub.store.records import Kind
from hub.store.sqlite import SqliteStore
from tests.faults.hub_process import REPOSITORY, HubProcess
from tests.interop.planted_hub import FAULTS
from tests.interop.raw_http import Peer, indicator
from tests.unit.server.test_admission import Party

SEED = "20260101"
# Only `positive_data_acceptance` is left out: no schema can say which cursors the hub gave out.
EXCLUDED = "positive_data_acceptance"
# Without an end an event stream is not an answer that can be compared.
CONFIGURATION = """
[parameters]
"query.seconds" = "0"
"path.channel_id" = "{channel}"

[checks.negative_data_rejection]
expected-statuses = ["4xx"]
"""
DAY = 86_400


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    data = tmp_path_factory.mktemp("examined") / "hub"
    with HubProcess(data, launcher="tests.interop.patient_hub") as hub:
        peer = Peer(hub)
        peer.stored("rw1", *(indicator() for _ in range(3)))
        hub.line["channel"] = open_channel(peer, data)
        yield peer


def open_channel(peer: Peer, data: Path) -> str:
    """Let the account own a channel with a log of two entries; the channel's id."""
    store = SqliteStore.open(data / "hub.db")
    owner = store.org(peer.hub.auth[0])
    assert owner is not None
    made = store.create_collection(Kind.CHANNEL, "a channel", owner_org=owner.id)
    party, now = Party(1), int(time.time())
    store.bind_member(owner.id, party.member, party.root.public.id)
    store.close()
    peer.hub.line["collections"]["channel"] = made.id
    manifest = genesis(
        owners=[party.root.public.id], members=[party.row], created=now, expires=now + DAY
    )
    raw = sign_manifest(manifest, [party.root])
    channel = TrustedChannel.from_genesis(raw, owner_roots=None, now=now).channel
    peer.stored("channel", to_artifact(raw), to_artifact(card_message(channel, party.card)))
    return channel


def examine(peer: Peer, folder: Path, *options: str) -> dict[str, Any]:
    """Run Schemathesis; its report."""
    document = folder / "openapi.json"
    document.write_bytes(peer.get(f"{peer.root}openapi.json").body)
    configuration = CONFIGURATION.format(channel=peer.hub.line.get("channel", "none"))
    (folder / "schemathesis.toml").write_text(configuration)
    report = folder / "report.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(document), "--no-color"]
    command += ["--url", f"http://{peer.host}:{peer.port}", "--exclude-checks", EXCLUDED]
    command += ["-H", f"Authorization: {peer.basic}", "--request-timeout", "60"]
    command += ["--seed", SEED, "--generation-database", "none", "--continue-on-failure"]
    command += ["--report", "json", "--report-json-path", str(report), *options]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert report.exists(), ran.stdout + ran.stderr
    found: dict[str, Any] = json.loads(report.read_bytes())
    found["said"] = ran.stdout
    return found


def passed(found: dict[str, Any]) -> bool:
    """Whether nothing was found, and everything was looked at."""
    return bool(
        found["failures"] == found["errors"] == []
        and found["exit_code"] == 0
        and found["operations"]["tested"] == found["operations"]["selected"] > 0
    )


def test_each_operation_answers_as_its_description_says(patient: Peer, tmp_path: Path) -> None:
    """Also along the links, from answer to request."""
    phases = "examples,fuzzing,stateful"
    found = examine(patient, tmp_path, "--phases", phases, "-n", "3")
    assert passed(found), found["said"]
    assert {phase["status"] for phase in found["phases"].values()} == {"success", "skip"}
    assert found["phases"]["stateful"]["status"] == "success"
    assert found["test_cases"]["generated"] > 60


@pytest.mark.drill
def test_three_hundred_examples_an_operation(patient: Peer, tmp_path: Path) -> None:
    phases = "examples,coverage,fuzzing,stateful"
    found = examine(patient, tmp_path, "--phases", phases, "-n", "300")
    assert passed(found), found["said"]
    print(found["said"])


def test_planted_faults_are_found(tmp_path: Path) -> None:
    """The negative control: a 500, an undocumented status, and answers of another form."""
    with HubProcess(tmp_path / "hub", launcher="tests.interop.planted_hub") as hub:
        names = [*FAULTS, "list_collections"]
        chosen = [part for name in names for part in ("--include-operation-id", name)]
        found = examine(Peer(hub), tmp_path, "--phases", "stateful,fuzzing", "-n", "3", *chosen)
    assert found["exit_code"] != 0
    told = {failure["type"] for failure in found["failures"]}
    assert told >= {
        "ServerError",
        "UndefinedStatusCode",
        "UndefinedContentType",
        "JsonSchemaError",
        "MissingHeaders",
    }, found["failures"]


def test_the_command_line_prints_the_same_document(patient: Peer) -> None:
    served = patient.get(f"{patient.root}openapi.json").json
    command = [sys.executable, "-m", "hub.cli", "hub", "openapi"]
    command += ["--public-url", f"http://{patient.host}:{patient.port}"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run(command, capture_output=True, check=True, env=environment)
    printed = json.loads(ran.stdout)
    assert {**printed, "info": None} == {**served, "info": None}
