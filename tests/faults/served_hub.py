"""A real `stillwatch hub serve` with its options, and an account to use it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import requests

from hub.cli.hub_data import create
from hub.serving import free_port
from hub.store.records import Kind
from tests.faults.hub_process import HubProcess

NO_RATES: Final = ("--account-rate", "0", "--address-rate", "0")
_HOST: Final = "127.0.0.1"


@dataclass
class ServedHub(HubProcess):
    """`hub serve` on a free port of loopback, with a `line` as a development hub has it.

    Args:
        arguments: options of `hub serve`.
    """

    known: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        assert self.data is not None
        self.port = self.port or free_port(_HOST)
        if not self.known:
            self.known = _settled(self.data)
        return super().__enter__()

    def words(self) -> list[str]:
        """See `HubProcess`."""
        return ["serve", "--data", str(self.data), "--port", str(self.port), *self.arguments]

    def ready(self) -> dict[str, Any] | None:
        """See `HubProcess`."""
        base = f"http://{_HOST}:{self.port}"
        while self.process.poll() is None:
            try:
                if requests.get(f"{base}/livez", timeout=5).status_code == 200:
                    return {"api_root": f"{base}/stillwatch/", **self.known}
            except requests.RequestException:
                time.sleep(0.02)
        return None


def _settled(data: Path) -> dict[str, Any]:
    store = create(data)
    try:
        org = store.create_org("dev")
        made = store.create_collection(Kind.PLAIN, "one", owner_org=org.id)
        store.set_grant(made.id, org.id, can_read=True, can_write=True)
        token = store.create_token(org.id).secret
    finally:
        store.close()
    return {"user": "dev", "token": token, "collections": {"rw1": made.id}}
