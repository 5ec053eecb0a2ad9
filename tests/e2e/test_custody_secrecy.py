"""Two custodians, two processes: neither learns an identifier, a token or the other's key.

One whole exchange: learn the channel from posted manifests and cards, evaluate for two members.
Then their files, logs and memory are searched, with decoding. Two controls: each custodian's memory
does hold its own private key; and a build that neither blinds nor seals shows every canary.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from hub.channel.custodian_replies import parse_refusal, parse_standing
from hub.channel.custodians import (
    Custodian,
    key_info,
    make_request,
    parse_answer,
    parse_row_text,
)
from hub.custody.folder import DATABASE, Folder, Unlock
from hub.errors import VerificationError
from hub.fingerprint.oblivious import Blinding, blind, oblivious_token, token_input
from hub.fingerprint.tokens import FingerprintKey
from hub.plaintext import occurrences, search_folder, search_process
from tests.e2e.members import free_port
from tests.interop import oprf
from tests.unit.channel import cast
from tests.unit.channel.cast import READER, Person, Scene
from tests.unit.custody.stand import posted

CANARIES: Final = [f"canary-{number:02}-3f9a@mail.example" for number in range(20)]
FINGERPRINT_KEY: Final = cast.seed("fingerprint key of the custody search", 32)
SEARCHABLE: Final = str(Path(__file__).with_name("searchable.py"))
CONTROL: Final = str(Path(__file__).with_name("without_blinding.py"))
ROOT: Final = str(Path(__file__).parents[2])


class Operator:
    """One custodian: its folder, its log, its process.

    Args:
        folder: of the operator, empty.
        name: the custodian's id.
        script: what stands for `stillwatch`.
    """

    def __init__(self, folder: Path, name: str, script: Sequence[str]) -> None:
        folder.mkdir()
        self.folder, self.name, self.script = folder, name, script
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.row: Custodian | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def _argv(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, *self.script, "custodian", *words, "--data", "data"]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
        return {**kept, "PYTHONPATH": ROOT, "PYTHONWARNINGS": "error", "HOME": str(self.folder)}

    def run(self, *words: str) -> str:
        return subprocess.run(
            self._argv(words),
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=120,
            text=True,
        ).stdout

    def start(self, channel: str, key_id: str) -> None:
        self.run("init", "--id", self.name, "--url", self.url, "--key-file")
        self.run("channel", "add", channel)
        self.row = parse_row_text(self.run("key", "new", channel, key_id))
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self._argv(["serve", "--port", str(self.port)]),
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline
            try:
                urllib.request.urlopen(f"{self.url}/livez", timeout=5).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
                continue
            return

    def end(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) == 0

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def private(self, channel: str) -> list[bytes]:
        """The operator's own view: seed and derived scalar of its one key."""
        assert self.row is not None
        sealed = _sealed(self.folder / "data")
        folder = Folder.open(self.folder / "data", Unlock())
        info = key_info(channel, self.row.key_id)
        seed = folder.unseal(sealed, info)
        folder.close()
        secret, public = oprf.derive_key(oprf.VOPRF, seed, info)
        assert public == self.row.public_key
        return [seed, secret]

    def memory(self, needles: Sequence[bytes]) -> set[bytes]:
        assert self.process is not None
        return search_process(self.process.pid, needles)


class Circle:
    """A channel of two members, and two custodians.

    Args:
        folder: empty.
        script: what stands for `stillwatch`.
    """

    def __init__(self, folder: Path, script: Sequence[str]) -> None:
        # The processes have no other clock than the machine's.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cast, "NOW", int(time.time()))
            self.lab, self.provider = Person("lab"), Person("provider")
            self.scene = Scene(self.lab)
        self.scene.rotate()
        self.scene.admit((self.provider, READER))
        self.channel = self.scene.trusted.channel
        self.key = FingerprintKey(f"{self.channel[:16]}.2026q4", FINGERPRINT_KEY)
        self.operators = [
            Operator(folder / name, f"custody-{name}.example", script) for name in "ab"
        ]

    def start(self, count: int = 2) -> None:
        for operator in self.operators[:count]:
            operator.start(self.channel, self.key.key_id)
            status, content = operator.post(
                f"/v1/channels/{self.channel}/messages", posted(self.scene)
            )
            assert status == 200, content
            assert parse_standing(content).missing == ()

    def end(self) -> None:
        for operator in self.operators:
            operator.end()

    def request(self, operator: Operator, who: Person, elements: bytes) -> tuple[int, bytes, bytes]:
        """Status, request and answer."""
        assert operator.row is not None
        asked = make_request(
            who.signing,
            operator.row,
            elements,
            channel=self.channel,
            man=self.scene.manifest.hash,
            now=int(time.time()),
        )
        status, content = operator.post("/v1/evaluate", asked.raw)
        if status == 200:
            parse_answer(content, asked)
        return status, asked.raw, content

    def tokens(self, who: Person) -> tuple[list[str], list[bytes], Blinding]:
        """A member's tokens of the canaries, the outputs behind them, and its blinding."""
        blinding = blind([token_input("email", value) for value in CANARIES])
        outputs = []
        for operator in self.operators:
            assert operator.row is not None
            asked = make_request(
                who.signing,
                operator.row,
                blinding.elements,
                channel=self.channel,
                man=self.scene.manifest.hash,
                now=int(time.time()),
            )
            status, content = operator.post("/v1/evaluate", asked.raw)
            assert status == 200, content
            answer = parse_answer(content, asked)
            outputs.append(
                blinding.finalize(
                    answer.elements, answer.proof, operator.row.public_key, where=operator.name
                )
            )
        pairs = list(zip(*outputs, strict=True))
        made = [oblivious_token(self.key, "email", first, second) for first, second in pairs]
        return made, [each for pair in pairs for each in pair], blinding


def _sealed(data: Path) -> bytes:
    folder = Folder.open(data, None)
    sealed = folder.rows("SELECT sealed FROM evaluation_key")[0][0]
    folder.close()
    assert isinstance(sealed, bytes)
    return sealed


def needles_of(circle: Circle) -> list[bytes]:
    """All that no custodian may hold: identifiers, fingerprint key, tokens, outputs."""
    made, outputs, _ = circle.tokens(circle.provider)
    digests = [bytes.fromhex(each.rsplit(":", 1)[1]) for each in made]
    identifiers = [value.encode() for value in CANARIES]
    texts = [digest.hex().encode() for digest in digests]
    return [*identifiers, FINGERPRINT_KEY, *digests, *texts, *outputs]


@pytest.fixture(scope="module")
def circle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Circle]:
    made = Circle(tmp_path_factory.mktemp("custody"), [SEARCHABLE])
    made.start()
    yield made
    made.end()


def test_members_make_the_same_tokens(circle: Circle) -> None:
    ours, _, _ = circle.tokens(circle.lab)
    theirs, _, _ = circle.tokens(circle.provider)
    assert ours == theirs
    assert len(set(ours)) == len(CANARIES)


def test_neither_holds_an_identifier_a_token_or_the_others_key(circle: Circle) -> None:
    needles = needles_of(circle)
    first, second = circle.operators
    for mine, other in ((first, second), (second, first)):
        seed, secret = mine.private(circle.channel)
        foreign = [*needles, *other.private(circle.channel)]
        assert search_folder(mine.folder, [*foreign, seed, secret]) == {}
        # Its own key is there, and only there: so the search in memory works.
        held = mine.memory([*foreign, seed, secret])
        assert secret in held
        assert held <= {seed, secret}


def test_the_log_and_the_audit_hold_no_element(circle: Circle) -> None:
    _, _, blinding = circle.tokens(circle.lab)
    elements = [blinding.elements[at : at + 32] for at in range(0, len(blinding.elements), 32)]
    for operator in circle.operators:
        assert search_folder(operator.folder, elements) == {}
        assert b'"elements": 20' in (operator.folder / "log").read_bytes()
        assert "unbroken" in operator.run("audit", "--verify")


def test_swapped_answers_and_a_body_of_500_mb_are_refused(circle: Circle) -> None:
    first, second = circle.operators
    assert first.row is not None
    blinding = blind([token_input("email", CANARIES[0])])
    asked = make_request(
        circle.lab.signing,
        first.row,
        blinding.elements,
        channel=circle.channel,
        man=circle.scene.manifest.hash,
        now=int(time.time()),
    )
    status, content = second.post("/v1/evaluate", asked.raw)
    assert (status, parse_refusal(content).code) == (400, "bad-request")
    assert circle.request(second, circle.lab, blinding.elements)[0] == 200
    swapped = circle.request(second, circle.lab, blinding.elements)[2]
    with pytest.raises(VerificationError, match="is the answer to another request"):
        parse_answer(swapped, asked)
    connection = http.client.HTTPConnection("127.0.0.1", first.port, timeout=60)
    connection.putrequest("POST", "/v1/evaluate")
    connection.putheader("Content-Length", str(500 * 10**6))
    connection.endheaders()
    sent = 0
    with contextlib.suppress(OSError):
        # Refused while we are still sending.
        for _ in range(500):
            connection.send(bytes(10**6))
            sent += 10**6
    connection.close()
    assert sent < 100 * 10**6
    assert circle.request(first, circle.lab, blinding.elements)[0] == 200


def test_the_same_search_finds_everything_in_a_build_that_hides_nothing(tmp_path: Path) -> None:
    circle = Circle(tmp_path, [CONTROL])
    clear = b"".join(value.encode().ljust(32, b".") for value in CANARIES)
    needles = [value.encode() for value in CANARIES]
    circle.start(1)
    try:
        operator = circle.operators[0]
        for _ in range(2):
            assert circle.request(operator, circle.lab, clear)[0] == 200
        assert operator.memory(needles) == set(needles)
        log = (operator.folder / "log").read_bytes()
        assert occurrences(log, needles) == set(needles)
        stored = (operator.folder / "data" / DATABASE).read_bytes()
        assert all(needle.hex().encode() in stored for needle in needles)
        assert operator.row is not None
        # What is sealed ends with the seed where nothing is encrypted.
        sealed = _sealed(operator.folder / "data")
        info = key_info(circle.channel, operator.row.key_id)
        assert oprf.derive_key(oprf.VOPRF, sealed[-32:], info)[1] == operator.row.public_key
        assert search_folder(operator.folder, [sealed[-32:]]) == {
            f"data/{DATABASE}": {sealed[-32:]}
        }
    finally:
        circle.end()
