"""Indicators as other providers might have published them, some of them on shared addresses."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from tests.hydra.world import World

_TIMES: Final = {
    "created": "2026-02-20T00:00:00.000Z",
    "modified": "2026-02-20T00:00:00.000Z",
    "valid_from": "2026-02-20T00:00:00Z",
    "valid_until": "2026-06-01T00:00:00Z",
}


def publish(world: World, path: Path, *, share: float = 0.05) -> Path:
    """Write a bundle that names some planted accounts, and the addresses that they use.

    Args:
        share: of each cluster's accounts that are named, one at least. Of each named account one
            address is named too, which may well be a VPN exit or a stranger's line.
    """
    rng = np.random.default_rng([77, world.scenario.seed])
    planted = world.truth.filter((pc.field("cluster") >= 0) & (pc.field("exchanges") > 0))
    objects: list[dict[str, Any]] = []
    for cluster in pc.unique(planted["cluster"]).to_pylist():
        names = planted.filter(pc.field("cluster") == cluster)["account_id"].to_pylist()
        for name in rng.choice(names, max(1, round(share * len(names))), replace=False).tolist():
            rows = world.events.filter(pc.equal(world.events["account_id"], name))
            address = rows["client_ip"][int(rng.integers(rows.num_rows))].as_py()
            kind = "ipv6-addr" if ":" in address else "ipv4-addr"
            objects.append(_indicator(f"[user-account:user_id = '{name}']"))
            objects.append(_indicator(f"[{kind}:value = '{address}']"))
    path.write_text(
        json.dumps({"type": "bundle", "id": f"bundle--{_uuid('bundle')}", "objects": objects})
    )
    return path


def _indicator(pattern: str) -> dict[str, Any]:
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{_uuid(pattern)}",
        "pattern_type": "stix",
        "pattern": pattern,
        **_TIMES,
    }


def _uuid(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://hydra.example/{text}"))
