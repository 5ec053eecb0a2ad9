"""Fixtures of the commands' tests."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.unit.cli.shell import Shell
from tests.unit.client.memory_hub import MemoryHub


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    hub = MemoryHub(now=lambda: int(time.time()))
    hub.add_channel_collection()
    monkeypatch.setattr("hub.cli.options.connect", hub.connect)
    for name in list(os.environ):
        if name.startswith("STILLWATCH_"):
            monkeypatch.delenv(name)
    return Shell(tmp_path, hub)
