"""Nothing secret is logged, echoed or kept: the whole API is used, well and badly, at DEBUG.

Looked through are the log, every refusal, the command line, and every file of the data directory,
under the encodings that credentials travel in. The control logs what it is sent.
"""

from __future__ import annotations

import base64
import re
import resource
import secrets
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import requests

from hub.keyfile import read_seed
from hub.plaintext import occurrences, search_folder
from hub.server.app import ROUTES
from hub.store.sqlite import SqliteStore
from tests.faults.hub_process import HubProcess
from tests.faults.served_hub import NO_RATES, ServedHub
from tests.interop.raw_http import TAXII, envelope, indicator

TALKATIVE: Final = ("--access-log", "--log-level", "debug", *NO_RATES)
SECONDS: Final = 20.0
METHODS: Final = ("GET", "HEAD", "POST", "DELETE", "PUT")


@dataclass
class Spoken:
    """What clients send that nobody may repeat, and what they were answered.

    Args:
        hub: the running process.
        token: of the hub's only account.
        revoked: another of its tokens.
    """

    hub: HubProcess
    token: str
    revoked: str
    guess: str = field(default_factory=lambda: f"sw_{secrets.token_hex(6)}_{secrets.token_hex(32)}")
    password: str = field(default_factory=lambda: f"hunter-{secrets.token_hex(16)}")
    content: str = field(default_factory=lambda: f"prompt-{secrets.token_hex(16)}")
    sought: str = field(default_factory=lambda: f"sought-{secrets.token_hex(16)}")
    refusals: list[bytes] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)

    @property
    def credentials(self) -> list[bytes]:
        """In no log, answer or file."""
        tokens = [self.token, self.revoked, self.guess]
        return [
            *(one.split("_")[-1].encode() for one in tokens),
            self.password.encode(),
            base64.b64encode(f"user:{self.token}".encode()),
        ]

    @property
    def all(self) -> list[bytes]:
        """In no log and no refusal."""
        return [*self.credentials, self.content.encode(), self.sought.encode()]

    def logins(self) -> Iterator[Mapping[str, str]]:
        """Headers in every form of a log-in, right and wrong."""
        for token in (self.token, self.revoked, self.guess, self.password):
            pair = base64.b64encode(f"user:{token}".encode()).decode()
            yield {"Authorization": f"Basic {pair}"}
            yield {"Authorization": f"Bearer {token}"}
            yield {"Authorization": f"Token {token}"}
            yield {"X-API-Key": token}
        yield {"Authorization": f"Digest {self.password}"}
        yield {"Authorization": f"Bearer eyJhbGciOiJub25lIn0.{self.password}."}
        yield {"Cookie": f"session={self.password}"}
        yield {}

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send one request, whatever comes back; streams are not waited for."""
        host = self.hub.root.removesuffix("/stillwatch/")
        with requests.request(
            method,
            f"{host}{path}",
            params={"match[id]": self.sought, "token": self.password},
            headers={"Accept": TAXII, "Content-Type": TAXII, **headers},
            data=body or None,
            timeout=SECONDS,
            stream=True,
        ) as answer:
            self.statuses.add(answer.status_code)
            if answer.status_code >= 400:
                self.refusals.append(answer.content + str(answer.headers).encode())

    def use_everything(self) -> None:
        """Every route with every method, log-in and kind of body, and then with a broken disk."""
        good = {"Authorization": f"Bearer {self.token}"}
        stored = envelope(indicator(name=self.content))
        broken = stored[:-9] + self.content.encode()
        double = stored.replace(b'"name"', b'"name":1,"name"')
        paths = sorted({self._path(route.path) for route in ROUTES})
        for path in paths:
            for method in METHODS:
                for body in (b"", stored, broken, double):
                    self.ask(method, path, good, body)
        for headers in self.logins():
            for method in ("GET", "POST"):
                self.ask(
                    method, self._path("/{root}/collections/{collection_id}/objects/"), headers
                )
        self._break_the_disk(good)

    def _break_the_disk(self, good: Mapping[str, str]) -> None:
        pid = self.hub.process.pid
        usual = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        # The log is a file too: nothing of it may fail.
        log = Path(f"/proc/{pid}/fd/2").stat().st_size + 2**16
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (log, usual[1]))
        large = envelope(*(indicator(name=self.content * 40) for _ in range(200)))
        for _ in range(5):
            self.ask(
                "POST", self._path("/{root}/collections/{collection_id}/objects/"), good, large
            )
        resource.prlimit(pid, resource.RLIMIT_FSIZE, usual)

    def _path(self, template: str) -> str:
        values = {
            "root": "stillwatch",
            "collection_id": str(self.hub.line["collections"]["rw1"]),
            "object_id": f"indicator--{uuid.uuid5(uuid.NAMESPACE_OID, self.content)}",
        }
        return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "0" * 32), template)


def spoken(place: Path, launcher: str = "hub.cli") -> tuple[Spoken, ServedHub]:
    """Use a hub until its end."""
    hub = ServedHub(place, arguments=TALKATIVE, launcher=launcher)
    with hub:
        store = SqliteStore.open(place / "hub.db")
        org = store.orgs()[0].id
        issued = store.create_token(org)
        store.revoke_token(issued.token.id, now=int(time.time()))
        store.close()
        said = Spoken(hub, str(hub.line["token"]), issued.secret)
        said.use_everything()
        argv = Path(f"/proc/{hub.process.pid}/cmdline").read_bytes()
        assert occurrences(argv, said.all) == set()
    return said, hub


def test_nothing_secret_is_logged_echoed_or_kept(tmp_path: Path) -> None:
    place = tmp_path / "hub"
    said, hub = spoken(place)
    assert {200, 202, 400, 401, 404, 405, 507} <= said.statuses
    assert not said.statuses & {500, 501, 502}
    log = hub.errors().encode()
    assert log.count(b'"level": "debug"') + log.count(b'"path"') > 100
    assert occurrences(log, said.all) == set()
    for refusal in said.refusals:
        assert occurrences(refusal, said.all) == set(), refusal[:500]
    assert search_folder(place, said.credentials) == {}
    _keys_stay_in_their_files(place, log)


def _keys_stay_in_their_files(place: Path, log: bytes) -> None:
    keys = {
        "hub.db.token-key": (place / "hub.db.token-key").read_bytes(),
        "log.key": read_seed(place / "log.key"),
    }
    for name, key in keys.items():
        forms = [key, key.hex().encode(), base64.b64encode(key)]
        assert occurrences(log, forms) == set()
        assert set(search_folder(place, forms)) == {name}
        assert (place / name).stat().st_mode & 0o777 == 0o600


def test_a_hub_that_logs_headers_is_caught(tmp_path: Path) -> None:
    said, hub = spoken(tmp_path / "hub", "tests.e2e.indiscreet")
    found = occurrences(hub.errors().encode(), said.all)
    assert set(said.credentials) <= found
    assert said.sought.encode() in found
