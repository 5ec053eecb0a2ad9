"""Where a passphrase and keys must not be: arguments, environment, output, dumps, other memory."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.client.home import Home
from hub.client.keyring import Unlock
from tests.e2e.members import Work

CANARY = "canary 4c1e correct horse battery"


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    made = Work(tmp_path, 0)
    for name, text in (("pp", CANARY), ("pp2", CANARY[::-1]), ("bad", f"not the {CANARY}")):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(text + "\n")
    made.run("lab", "init", "--organisation", "Lab", "--passphrase-file", "pp")
    yield made
    with contextlib.suppress(AssertionError):
        made.run("lab", "agent", "stop", code=None)


def _needles(work: Work) -> list[bytes]:
    """The passphrase and the keys, also as the keyring's text writes them."""
    with Home.open(work.folder / "lab", Unlock.passphrase(CANARY.encode())) as home:
        keys = home.keyring
    assert keys.root is not None
    raw = [keys.root.to_seed(), keys.current.signing.to_seed(), keys.state_key]
    texts = [base64.b64encode(each) for each in raw] + [each.hex().encode() for each in raw]
    return [CANARY.encode(), *raw, *texts]


def _found(needles: list[bytes], content: bytes) -> bool:
    return any(each in content for each in needles)


def _memory(pid: int) -> bytes:
    """Every writable part of a process's memory; empty where the system refuses."""
    parts = []
    with contextlib.suppress(PermissionError):
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for line in maps:
                place, mode = line.split()[:2]
                if not mode.startswith("rw"):
                    continue
                start, end = (int(each, 16) for each in place.split("-"))
                with contextlib.suppress(OSError, ValueError, OverflowError):
                    memory.seek(start)
                    parts.append(memory.read(end - start))
    return b"".join(parts)


def _proc(pid: int, name: str) -> bytes:
    with contextlib.suppress(PermissionError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


def test_an_agent_shows_nothing(work: Work) -> None:
    assert "The agent opens" in work.run("lab", "agent", "start", "--passphrase-file", "pp")
    status = work.json("lab", "agent", "status")
    assert [each["home"] for each in status["homes"]] == [str(work.folder / "lab")]
    assert status["protected"]
    pid = status["pid"]
    # No passphrase is asked for any more, and nobody is there to type it.
    assert "Lab" in work.run("lab", "status")
    needles = _needles(work)
    for name in ("cmdline", "environ"):
        assert not _found(needles, _proc(pid, name))
    assert not _found(needles, _memory(pid))
    limit = next(line for line in _proc(pid, "limits").decode().splitlines() if "core file" in line)
    assert limit.split()[4:6] == ["0", "0"]
    work.run("lab", "agent", "lock")
    assert "no terminal" in work.run("lab", "status", code=4)
    work.run("lab", "agent", "stop")
    deadline = time.monotonic() + 20
    while (work.folder / ".stillwatch-agent").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_search_finds_a_careless_process(work: Work) -> None:
    """The control: the same search finds the passphrase where it is."""
    code = "import sys, time; kept = sys.argv[1] + '!'; print(flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code, CANARY],
        env={**work.environment("lab"), "CARELESS": CANARY},
        stdout=subprocess.PIPE,
    ) as careless:
        try:
            assert careless.stdout is not None
            careless.stdout.readline()
            needles = [CANARY.encode()]
            assert _found(needles, _proc(careless.pid, "cmdline"))
            assert _found(needles, _proc(careless.pid, "environ"))
            assert _found(needles, _memory(careless.pid))
        finally:
            careless.kill()


def test_a_killed_agent_is_replaced(work: Work) -> None:
    work.run("lab", "agent", "start", "--passphrase-file", "pp", "--timeout", "1h")
    first = work.json("lab", "agent", "status")["pid"]
    os.kill(first, 9)
    assert "No agent" in work.run("lab", "agent", "status")
    work.run("lab", "agent", "start", "--passphrase-file", "pp")
    assert work.json("lab", "agent", "status")["pid"] != first


def test_a_typed_passphrase_is_not_echoed(work: Work) -> None:
    ours, theirs = pty.openpty()
    # Opened after setsid, the terminal becomes the process's own, as getpass wants it.
    code = (
        "import os, sys; os.open(os.ttyname(0), os.O_RDWR); "
        "os.execv(sys.executable, [sys.executable, '-m', 'hub.cli', 'status'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=work.folder,
        env=work.environment("lab"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while b"Passphrase" not in shown:
            shown += os.read(ours, 4096)
        # getpass throws away what was typed before it had switched the echo off.
        time.sleep(0.3)
        os.write(ours, CANARY.encode() + b"\n")
        with contextlib.suppress(OSError):
            while part := os.read(ours, 4096):
                shown += part
        assert process.wait(60) == 0, shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"Lab" in shown
    assert b"canary" not in shown


FAULT = """
import sys
from hub.client import keyring
from hub.cli import main
def broken(cls, plain, outer, *, where):
    raise RuntimeError(plain)
keyring.Keyring.from_bytes = classmethod(broken)
if "careless" in sys.argv:
    main.quiet_tracebacks = lambda: None
sys.argv[1:] = ["status", "--passphrase-file", "pp"]
main.main()
"""


def test_no_error_shows_a_secret(work: Work) -> None:
    needles = _needles(work)
    said = [work.run("lab", "status", "--passphrase-file", "bad", code=4)]
    whole = json.loads((work.folder / "lab" / "keyring.json").read_text())
    for changes in ({"sealed": "AAAA"}, {"created": "x"}):
        (work.folder / "lab" / "keyring.json").write_text(json.dumps(whole | changes))
        said.append(work.run("lab", "status", "--passphrase-file", "pp", code=None))
    (work.folder / "lab" / "keyring.json").write_text(json.dumps(whole))
    outputs = {}
    for mode in ("careful", "careless"):
        done = subprocess.run(
            [sys.executable, "-c", FAULT, mode],
            cwd=work.folder,
            env=work.environment("lab"),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        outputs[mode] = done.stdout + done.stderr
    assert not _found([*needles, b"canary"], "".join(said).encode())
    assert not _found(needles, outputs["careful"])
    assert b"builtins.RuntimeError" in outputs["careful"]
    assert _found(needles, outputs["careless"])


def test_a_back_up_travels_to_another_machine(work: Work) -> None:
    made = work.run("lab", "backup", "export", "b", "--passphrase-file", "pp", "--form", "form")
    assert (work.folder / "form").stat().st_mode & 0o777 == 0o600
    form = (work.folder / "form").read_text()
    line = next(each for each in form.splitlines() if each.startswith("  4."))
    assert line.split()[1] not in made
    checked = work.json("none", "backup", "verify", "b", "--recovery-file", "form")
    assert checked["organisation"] == "Lab"
    words = line.split()
    wrong = form.replace(line, "  ".join([words[0], *words[2:], "acid"]))
    (work.folder / "wrong").write_text(wrong)
    said = work.run("none", "backup", "verify", "b", "--recovery-file", "wrong", code=2)
    assert "line 4" in said
    assert not [word for word in words[1:] if f" {word}" in said]
    new = ("--recovery-file", "form", "--passphrase-file", "pp2")
    assert "Next: stillwatch pull" in work.run("new", "backup", "import", "b", *new)
    work.run("new", "status", "--passphrase-file", "pp2")
