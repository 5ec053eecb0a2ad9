"""`stillwatch hub …` as an operator runs it: each command a process, the hub over TLS."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.authority import Authority
from tests.faults.hub_process import REPOSITORY
from tests.unit.server.harness import TAXII, indicator

SECONDS = 10
_HUB = (sys.executable, "-W", "error", "-m", "hub.cli", "hub")


def run(*arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*_HUB, *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=60,
        check=False,
    )
    assert (done.returncode == 0) is ok, done.stderr
    return done


def asked(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


@pytest.fixture
def data(tmp_path: Path) -> str:
    place = str(tmp_path / "hub")
    run("init", "--data", place)
    return place


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(data: str, *arguments: str, port: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*_HUB, "serve", "--data", data, "--port", str(port), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        assert first.startswith("Serving "), first + process.stderr.read()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stderr.close()


def test_init_makes_a_private_place_once(data: str) -> None:
    place = Path(data)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    keys = [path for path in place.iterdir() if "key" in path.name]
    assert len(keys) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    again = run("init", "--data", data, ok=False)
    assert again.returncode == 5
    assert "there is a hub already" in again.stderr
    assert asked("org", "list", "--data", data) == []
    assert asked("token", "list", "--data", data) == []


def test_accounts_tokens_collections_and_grants(data: str) -> None:
    org = asked("org", "add", "--data", data, "Lab A")
    token = asked("token", "issue", "--data", data, "Lab A", "--name", "publisher", "--days", "30")
    assert token["token"].startswith(f"sw_{token['prefix']}")
    listed = run("token", "list", "--data", data).stdout
    assert token["prefix"] in listed
    assert token["token"] not in listed
    made = asked("collection", "add", "--data", data, "Distillation", "--owner", "Lab A")
    assert made["kind"] == "channel"
    plain = asked(
        "collection", "add", "--data", data, "Plain", "--owner", org["id"], "--kind", "plain"
    )
    asked("org", "add", "--data", data, "Provider")
    granted = asked("collection", "grant", "--data", data, plain["id"], "Provider", "--read")
    assert {(one["can_read"], one["can_write"]) for one in granted["grants"]} == {
        (True, True),
        (True, False),
    }
    refused = run("collection", "grant", "--data", data, made["id"], "Provider", ok=False)
    assert refused.returncode == 2
    titles = [one["title"] for one in asked("collection", "list", "--data", data)]
    assert titles == ["Distillation", "Distillation (join requests)", "Plain"]
    fresh = asked("token", "rotate", "--data", data, token["id"], "--overlap-hours", "1")
    assert fresh["token"] != token["token"]
    run("token", "revoke", "--data", data, fresh["id"])
    states = {one["id"]: one["revoked"] for one in asked("token", "list", "--data", data)}
    assert states[fresh["id"]] is not None
    for wrong in (("org", "bar", "nobody"), ("token", "issue", "nobody")):
        done = run(*wrong[:2], "--data", data, *wrong[2:], ok=False)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_no_token_is_kept_anywhere(data: str) -> None:
    run("org", "add", "--data", data, "Lab")
    token = asked("token", "issue", "--data", data, "Lab")["token"]
    port = free_port()
    with serving(data, port=port) as process:
        answer = requests.get(
            f"http://127.0.0.1:{port}/stillwatch/collections/",
            auth=("lab", token),
            headers={"Accept": TAXII},
            timeout=SECONDS,
        )
        assert answer.status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        log = process.stderr.read()
    assert '"path": "/stillwatch/collections/"' in log
    secret = token.split("_")[-1]
    assert secret not in log
    for path in Path(data).iterdir():
        assert secret.encode() not in path.read_bytes(), path.name


def test_backup_and_restore(data: str, tmp_path: Path) -> None:
    run("org", "add", "--data", data, "Lab")
    token = asked("token", "issue", "--data", data, "Lab")["token"]
    made = asked("collection", "add", "--data", data, "P", "--owner", "Lab", "--kind", "plain")
    copy = str(tmp_path / "copy.db")
    port = free_port()
    path = f"/stillwatch/collections/{made['id']}/objects/"
    headers = {"Accept": TAXII, "Content-Type": TAXII}
    with serving(data, port=port):
        url = f"http://127.0.0.1:{port}{path}"
        body = {"objects": [indicator(1), indicator(2)]}
        done = requests.post(url, json=body, headers=headers, auth=("", token), timeout=SECONDS)
        assert done.status_code == 202
        first = requests.get(
            url, params={"limit": "1"}, headers=headers, auth=("", token), timeout=SECONDS
        )
        run("backup", "--data", data, copy)
    other = str(tmp_path / "other")
    run("restore", "--data", other, copy)
    assert run("restore", "--data", other, copy, ok=False).returncode == 5
    verified = asked("verify", "--data", other)
    assert verified["objects"][made["id"]] == 2
    with serving(other, port=port):
        got = requests.get(url, headers=headers, auth=("", token), timeout=SECONDS)
        assert got.json()["objects"] == [indicator(1), indicator(2)]
        # A cursor of the lost history is refused, so that the client resyncs.
        stale = requests.get(
            url,
            params={"next": first.json()["next"]},
            headers=headers,
            auth=("", token),
            timeout=SECONDS,
        )
        assert stale.status_code == 400


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--host", "0.0.0.0", "--public-url", "https://hub.example"), "no TLS"),
        (("--host", "0.0.0.0"), "--public-url"),
        (("--behind-proxy",), "--public-url"),
        (("--root", "taxii2"), "API root"),
        (("--root", "a/b"), "API root"),
    ],
)
def test_serve_refuses_what_is_unsafe(data: str, arguments: tuple[str, ...], words: str) -> None:
    done = run("serve", "--data", data, *arguments, ok=False)
    assert done.returncode == 2
    assert words in done.stderr


def test_serve_without_a_hub(tmp_path: Path) -> None:
    done = run("serve", "--data", str(tmp_path / "nothing"), ok=False)
    assert done.returncode == 2
    assert "hub init" in done.stderr


def test_tls_and_client_certificates(data: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, server_key = authority.issue("server")
    client, _ = authority.issue("client")
    run("org", "add", "--data", data, "Lab")
    token = asked("token", "issue", "--data", data, "Lab")["token"]
    port = free_port()
    tls = ("--tls-cert", str(server), "--tls-key", str(server_key))
    url = f"https://127.0.0.1:{port}/taxii2/"
    with serving(data, *tls, port=port):
        answer = requests.get(
            url,
            auth=("", token),
            headers={"Accept": TAXII},
            verify=str(authority.file),
            timeout=SECONDS,
        )
        assert answer.json()["default"] == f"https://127.0.0.1:{port}/stillwatch/"
        assert "strict-transport-security" in answer.headers
    time.sleep(0.1)
    with serving(data, *tls, "--tls-client-ca", str(authority.file), port=port):
        options: dict[str, Any] = {
            "auth": ("", token),
            "headers": {"Accept": TAXII},
            "verify": str(authority.file),
            "timeout": SECONDS,
        }
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(url, **options)
        assert requests.get(url, cert=str(client), **options).status_code == 200


def test_limits_of_the_command_line_hold(data: str) -> None:
    run("org", "add", "--data", data, "Lab")
    token = asked("token", "issue", "--data", data, "Lab")["token"]
    made = asked("collection", "add", "--data", data, "P", "--owner", "Lab", "--kind", "plain")
    port = free_port()
    with serving(data, "--max-body", "64KiB", "--page-limit", "2", port=port):
        root = f"http://127.0.0.1:{port}/stillwatch/"
        url = f"{root}collections/{made['id']}/objects/"
        with requests.Session() as session:
            session.headers.update({"Accept": TAXII, "Content-Type": TAXII})
            session.auth = ("", token)
            assert session.get(root, timeout=SECONDS).json()["max_content_length"] == 65_536
            body = {"objects": [indicator(number) for number in range(3)]}
            assert session.post(url, json=body, timeout=SECONDS).status_code == 202
            page = session.get(url, params={"limit": "100"}, timeout=SECONDS).json()
            assert (len(page["objects"]), page["more"]) == (2, True)
            large = {"objects": [indicator(9, x_padding="a" * 65_536)]}
            assert session.post(url, json=large, timeout=SECONDS).status_code == 413
    refused = run("serve", "--data", data, "--max-body", "8", ok=False)
    assert "with a unit" in refused.stderr
