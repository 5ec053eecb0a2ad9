"""A hub on PostgreSQL tells of its pool of connections; one on SQLite has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.server.app import create_app
from hub.server.metrics import Metrics
from hub.settings import HubSettings
from hub.store.opening import StoreTarget, open_store
from tests import postgres


def gauges(target: StoreTarget) -> dict[str, float]:
    metrics = Metrics(process=False)
    store = open_store(target)
    try:
        create_app(HubSettings(), store, metrics=metrics)
        store.ping()
        return {
            sample.name: sample.value
            for family in metrics.registry.collect()
            for sample in family.samples
            if sample.name.startswith(("stillwatch_store_pool", "stillwatch_logs"))
        }
    finally:
        store.close()


def test_connections_to_a_server_are_told(tmp_path: Path) -> None:
    found = gauges(postgres.target(tmp_path))
    assert found["stillwatch_store_pool_size"] >= 1
    assert 0 <= found["stillwatch_store_pool_used"] <= found["stillwatch_store_pool_size"]
    assert found["stillwatch_store_pool_waiting"] == 0
    assert found["stillwatch_logs"] == 0


@pytest.mark.parametrize("name", ["size", "used", "waiting"])
def test_a_file_has_none(tmp_path: Path, name: str) -> None:
    assert gauges(StoreTarget(path=tmp_path / "hub.db"))[f"stillwatch_store_pool_{name}"] == 0
