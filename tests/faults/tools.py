"""Programs of other people that drills are run with; a drill that lacks one fails and says so."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGES: Final = {
    "wrk": "wrk",
    "strace": "strace",
    "nginx": "nginx",
    "mount": "mount",
    "umount": "mount",
    "faketime": "faketime",
}
"""Program -> Debian package; `make drill` installs them."""
_FAKETIME: Final = ("libfaketimeMT.so.1",)
_ATTACH_SECONDS: Final = 20.0


def needed(program: str) -> str:
    """Path of a program.

    Raises:
        AssertionError: it is not installed.
    """
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(program, path=search)
    assert found is not None, (
        f"this drill needs the program {program}: install the package {PACKAGES[program]}"
    )
    return found


def faketime_library() -> Path:
    """The library that sets a process's clock; Raises AssertionError when not installed."""
    needed("faketime")
    for folder in (Path("/usr/lib"), Path("/usr/local/lib")):
        for name in _FAKETIME:
            for found in sorted(folder.glob(f"**/faketime/{name}")):
                return found
    raise AssertionError("libfaketime is not there: install the package faketime")


@contextlib.contextmanager
def injected(pid: int, *faults: str, calls: str) -> Iterator[None]:
    """Let system calls of a running process fail meanwhile.

    Args:
        pid: the process; all its threads.
        faults: as `strace -e inject=` takes them, such as "pwrite64:error=EROFS".
        calls: system calls that are looked at, comma-separated.
    """
    words = [needed("strace"), "-f", "-o", os.devnull, "-e", f"trace={calls}"]
    for fault in faults:
        words += ["-e", f"inject={fault}"]
    tracer = subprocess.Popen([*words, "-p", str(pid)], stderr=subprocess.PIPE)
    try:
        _attached(tracer, pid)
        yield
    finally:
        tracer.terminate()
        tracer.communicate(timeout=20)


def _attached(tracer: subprocess.Popen[bytes], pid: int) -> None:
    deadline = time.monotonic() + _ATTACH_SECONDS
    while True:
        if tracer.poll() is not None:
            assert tracer.stderr is not None
            said = tracer.stderr.read().decode(errors="replace")
            raise AssertionError(f"strace cannot look into the process: {said}")
        states = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
        if states and all("TracerPid:\t0\n" not in state for state in states):
            return
        assert time.monotonic() < deadline, "strace does not attach"
        time.sleep(0.02)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of a size in memory, mounted on a new folder; needs root."""
    folder.mkdir()
    run = subprocess.run(
        [needed("mount"), "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, f"this drill mounts a small disk and needs root: {run.stderr}"
    try:
        yield
    finally:
        subprocess.run([needed("umount"), str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Change a mounted disk, such as "size=64m" or "ro"."""
    words = [needed("mount"), "-o", f"remount,{options}", str(folder)]
    subprocess.run(words, check=True)
