"""Disks that are full, read-only or broken under a real hub with posters and a poller.

A post that cannot be stored is answered 507, never 202; reading goes on; once the disk takes writes
again, so does the hub. The control acknowledges before it stores.
"""

from __future__ import annotations

import resource
import shutil
import time
from pathlib import Path

import pytest
import requests

from tests.faults.hub_process import HubProcess
from tests.faults.tools import injected, remount, small_disk
from tests.faults.traffic import TAXII, TIMEOUT_SECONDS, Load, problems

REFUSALS = frozenset({503, 507})
ROUNDS = 3


def reads(hub: HubProcess) -> None:
    """Assert that reading works, and that the refusal of a write says what to do."""
    query = {"limit": "20"}
    got = requests.get(
        hub.objects("rw1"),
        params=query,
        headers={"Accept": TAXII},
        auth=hub.auth,
        timeout=TIMEOUT_SECONDS,
    )
    assert (got.status_code, len(got.json()["objects"])) == (200, 20)
    probe = requests.get(hub.root.replace("/stillwatch/", "/readyz"), timeout=TIMEOUT_SECONDS)
    assert probe.status_code == 200


def ends_clearly(hub: HubProcess, words: str) -> None:
    """Assert that a start ends with an operator's message."""
    with pytest.raises(AssertionError, match=words) as caught:
        hub.start()
    assert "the hub did not start" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def writes_fail(hub: HubProcess, load: Load) -> None:
    """Let the hub refuse for a while, and look that it reads on."""
    for _ in range(2):
        load.refused(507)
        reads(hub)
    load.caught_up()


def test_a_disk_that_takes_nothing_stops_writing_only(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        with Load(hub, refusals=REFUSALS) as load:
            load.progress()
            usual = resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, (0, usual[1]))
            writes_fail(hub, load)
            resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, usual)
            load.progress()
        assert problems(load.seen, load.stored()) == []


def test_an_acknowledgement_that_the_disk_did_not_take_is_caught(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", launcher="tests.faults.early_hub") as hub:
        hub.stay()
        with Load(hub, refusals=REFUSALS) as load:
            load.progress()
            usual = resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, (0, usual[1]))
            time.sleep(0.5)
            hub.kill()
            hub.start()
        assert any("lost" in one for one in problems(load.seen, load.stored()))


@pytest.mark.drill
def test_a_full_disk(tmp_path: Path) -> None:
    """Real ENOSPC: fill, refuse, get room, go on; and a start on a disk without a free byte."""
    place = tmp_path / "disk"
    with small_disk(place, "8m"):
        hub = HubProcess(place / "hub")
        with hub:
            hub.stay()
            with Load(hub, refusals=REFUSALS, size=2000) as load:
                for megabytes in (16, 24, 32):
                    writes_fail(hub, load)
                    remount(place, f"size={megabytes}m")
                    load.progress()
                writes_fail(hub, load)
                (place / "rest").write_bytes(bytes(shutil.disk_usage(place).free))
                hub.kill()
                ends_clearly(hub, "No space left on device|the disk is full")
                remount(place, "size=64m")
                hub.start()
                load.progress()
            assert problems(load.seen, load.stored()) == []
    print(f"full disk: {dict(load.seen.statuses)}, none lost")


@pytest.mark.drill
def test_a_disk_that_turns_read_only_or_breaks(tmp_path: Path) -> None:
    """EROFS of every write, and EIO of every sync, under load; then the disk is well again."""
    with HubProcess(tmp_path / "hub") as hub:
        with Load(hub, refusals=REFUSALS) as load:
            for _ in range(ROUNDS):
                for faults in (
                    ("pwrite64,ftruncate:error=EROFS",),
                    ("fdatasync,fsync:error=EIO",),
                    ("pwrite64:error=ENOSPC:when=2+3",),
                ):
                    load.progress()
                    calls = "pwrite64,ftruncate,fdatasync,fsync"
                    with injected(hub.process.pid, *faults, calls=calls):
                        writes_fail(hub, load)
                    load.progress()
        assert problems(load.seen, load.stored()) == []
    print(f"read-only, broken syncs, half writes: {dict(load.seen.statuses)}, none lost")


@pytest.mark.drill
def test_a_start_on_a_read_only_disk_ends_clearly(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    with small_disk(place, "32m"):
        hub = HubProcess(place / "hub")
        with hub:
            assert hub.stop() == 0
        remount(place, "ro")
        ends_clearly(hub, "Read-only file system|cannot be")
        remount(place, "rw")
        with hub:
            assert hub.stop() == 0
