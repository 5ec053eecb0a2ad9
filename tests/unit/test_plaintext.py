"""The search for plaintext finds what it should: a blind search would prove nothing."""

from __future__ import annotations

import base64
import gzip
import json
import os
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from hub.errors import StoreError
from hub.plaintext import occurrences, search_folder, search_process

CANARY = b"canary-91f0c2"
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "bare": bytes,
    "base64": base64.b64encode,
    "base64 for addresses": base64.urlsafe_b64encode,
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("outer", ENCODINGS)
@pytest.mark.parametrize("inner", ENCODINGS)
@pytest.mark.parametrize("lead", [b"", b"x", b"yy", b"zzz"])
def test_stacked_encodings_are_seen_through(outer: str, inner: str, lead: bytes) -> None:
    message = b"some text before, " + CANARY + b", and some text behind it, long enough"
    data = lead + ENCODINGS[outer](b"head:" + ENCODINGS[inner](message)) + b"."
    assert occurrences(data, [CANARY, b"absent-canary"]) == {CANARY}


def test_random_bytes_hold_nothing() -> None:
    assert occurrences(os.urandom(1 << 16), [CANARY]) == set()


def test_database_cells_longer_than_a_page_are_joined(tmp_path: Path) -> None:
    padding = "f" * 20_000
    secret = base64.b64encode(zlib.compress(json.dumps([padding, CANARY.decode()]).encode(), 0))
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("CREATE TABLE t (a BLOB)")
    connection.execute("INSERT INTO t VALUES (?)", (secret,))
    connection.commit()
    connection.close()
    (tmp_path / "clean.log").write_text("nothing here")
    assert search_folder(tmp_path, [CANARY]) == {"store.db": {CANARY}}


def test_the_memory_of_a_process_is_searched() -> None:
    # Put together at run time, so that only the child's heap holds the needle.
    code = "needle = '-'.join(['needle', 'in', 'the', 'heap']); print('ready', flush=True); input()"
    command = [sys.executable, "-I", "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert search_process(child.pid, [b"needle-in-the-heap", CANARY]) == {b"needle-in-the-heap"}
        child.communicate(b"\n")


def test_a_process_that_is_gone_is_an_error() -> None:
    with pytest.raises(StoreError, match="memory cannot be read"):
        search_process(2**22 + 1, [CANARY])
