"""Fixtures of the client's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.client.circle import Circle, Clock
from tests.unit.client.memory_hub import MemoryHub


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Circle]:
    """An empty hub and no homes yet."""
    clock = Clock()
    made = Circle(tmp_path, MemoryHub(now=clock), clock)
    yield made
    made.close()
