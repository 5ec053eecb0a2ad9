"""The allocator of Arrow, and a wheel that lacks the better one."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from hub.traffic.memory import use_lean_allocator


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = pa.default_memory_pool()
    yield
    pa.set_memory_pool(before)


def test_the_lean_allocator_is_used_where_the_wheel_has_it() -> None:
    pa.set_memory_pool(pa.system_memory_pool())
    use_lean_allocator()
    expected = "jemalloc" if "jemalloc" in pa.supported_memory_backends() else "system"
    assert pa.default_memory_pool().backend_name == expected


def test_a_wheel_without_it_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> pa.MemoryPool:
        raise NotImplementedError

    pa.set_memory_pool(pa.system_memory_pool())
    monkeypatch.setattr(pa, "jemalloc_memory_pool", refuse)
    use_lean_allocator()
    assert pa.default_memory_pool().backend_name == "system"
