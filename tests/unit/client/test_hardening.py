"""Secrets stay in the process: locked memory, no dumps, no values in tracebacks."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.client.hardening import LockedSecret, described
from hub.errors import InputError

ROOT = str(Path(__file__).parents[3])
CANARY = "canary-9d1f-passphrase"


def _child(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_locked_secret_is_there_until_it_is_closed() -> None:
    given = bytearray(CANARY.encode())
    secret = LockedSecret(given)
    assert given == bytes(len(given))
    with secret.view() as view:
        assert bytes(view) == CANARY.encode()
        with pytest.raises(BufferError):
            secret._map.close()
    assert CANARY not in repr(secret)
    secret.close()


def test_a_closed_secret_is_overwritten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    class Seen(mmap.mmap):
        def close(self) -> None:
            seen.append(self[:])
            super().close()

    monkeypatch.setattr(mmap, "mmap", Seen)
    secret = LockedSecret(CANARY.encode())
    with secret.view() as view:
        assert bytes(view) == CANARY.encode()
    secret.close()
    assert seen == [bytes(len(CANARY))]


def test_an_empty_secret_is_no_special_case() -> None:
    with LockedSecret(b"") as secret, secret.view() as view:
        assert (len(secret), bytes(view)) == (0, b"")
    secret.close()


@pytest.mark.parametrize("protect", [True, False])
def test_a_protected_process_dumps_no_core(protect: bool) -> None:
    done = _child(
        "import resource\n"
        "from hub.client import hardening\n"
        "most = resource.getrlimit(resource.RLIMIT_CORE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (most, most))\n"
        f"hardening.protect_process() if {protect} else None\n"
        "print(hardening.is_protected(), resource.getrlimit(resource.RLIMIT_CORE))\n"
    )
    if protect:
        assert done.stdout.split(maxsplit=1) == ["True", "(0, 0)\n"]
    elif sys.platform == "linux":
        # The control: whoever does not ask for it is not protected.
        assert done.stdout.startswith("False")


PROVOKE = """
import sys, threading
from hub.client import hardening
if sys.argv[1:] == ["quiet"]:
    hardening.quiet_tracebacks()
def opens(secret):
    return int(secret)
def outer(secret):
    try:
        opens(secret)
    except ValueError as error:
        raise KeyError(secret) from error
thread = threading.Thread(target=outer, args=("{canary}",))
thread.start()
thread.join()
outer("{canary}")
"""


def test_an_unexpected_error_shows_places_and_no_values(tmp_path: Path) -> None:
    script = tmp_path / "provoke.py"
    # The source line itself must not hold the canary.
    script.write_text(PROVOKE.replace('"{canary}"', "sys.stdin_canary"))
    script.write_text(
        script.read_text().replace(
            "import sys, threading", f"import sys, threading\nsys.stdin_canary = {CANARY!r}"
        )
    )
    said = {}
    for mode in ("quiet", "loud"):
        done = subprocess.run(
            [sys.executable, str(script), mode],
            env={**os.environ, "PYTHONPATH": ROOT},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        said[mode] = done.stderr
    assert CANARY in said["loud"]
    assert CANARY not in said["quiet"]
    assert said["quiet"].count("builtins.KeyError") == 2
    assert "in opens" in said["quiet"]


def test_an_error_of_ours_keeps_its_words() -> None:
    said = described(InputError("the file is empty", where="x"))
    assert "hub.errors.InputError: x: the file is empty" in said
