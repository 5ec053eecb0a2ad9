"""`stillwatch hub dev` as integrators run it: a real process, real HTTP."""

from __future__ import annotations

import json
import signal
import stat
import tempfile
from pathlib import Path

import pytest
import requests

from tests.faults.hub_process import HubProcess
from tests.unit.server.harness import TAXII, indicator

ACCEPT = {"Accept": TAXII}
BOTH = {**ACCEPT, "Content-Type": TAXII}
SECONDS = 10


def post(hub: HubProcess, name: str, *numbers: int) -> requests.Response:
    return requests.post(
        hub.objects(name),
        json={"objects": [indicator(number) for number in numbers]},
        headers=BOTH,
        auth=hub.auth,
        timeout=SECONDS,
    )


def names(hub: HubProcess, name: str) -> list[str]:
    answer = requests.get(hub.objects(name), headers=ACCEPT, auth=hub.auth, timeout=SECONDS)
    assert answer.status_code == 200
    return [one["name"] for one in answer.json().get("objects", [])]


def test_the_line_and_the_rights(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        assert hub.line.keys() == {"api_root", "user", "token", "collections"}
        assert hub.line["collections"].keys() == {"rw1", "rw2", "ro", "wo", "na"}
        assert post(hub, "rw1", 1).status_code == 202
        assert post(hub, "rw2", 2).status_code == 202
        assert post(hub, "wo", 3).status_code == 202
        assert post(hub, "ro", 4).status_code == 403
        assert post(hub, "na", 5).status_code == 404
        assert (names(hub, "rw1"), names(hub, "rw2"), names(hub, "ro")) == (
            ["number 1"],
            ["number 2"],
            [],
        )
        for name, status in (("wo", 403), ("na", 404)):
            answer = requests.get(hub.objects(name), headers=ACCEPT, auth=hub.auth, timeout=SECONDS)
            assert answer.status_code == status
        bearer = {"Authorization": f"Bearer {hub.line['token']}", **ACCEPT}
        listed = requests.get(f"{hub.root}collections/", headers=bearer, timeout=SECONDS)
        shown = {
            one["id"]: (one["can_read"], one["can_write"]) for one in listed.json()["collections"]
        }
        ids = hub.line["collections"]
        assert shown == {
            ids["rw1"]: (True, True),
            ids["rw2"]: (True, True),
            ids["ro"]: (True, False),
            ids["wo"]: (False, True),
        }
        assert requests.get(hub.root, headers=ACCEPT, timeout=SECONDS).status_code == 401


def test_it_comes_back_the_same(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        first = hub.line
        post(hub, "rw1", 1, 2)
        assert hub.stop() == 0
    with HubProcess(tmp_path / "hub") as hub:
        same = {key: hub.line[key] for key in ("user", "token", "collections")}
        assert same == {key: first[key] for key in same}
        assert names(hub, "rw1") == ["number 1", "number 2"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_leaves_nothing(number: signal.Signals) -> None:
    def left() -> set[Path]:
        return set(Path(tempfile.gettempdir()).glob("stillwatch-dev-*"))

    before = left()
    with HubProcess() as hub:
        assert post(hub, "rw1", 1).status_code == 202
        assert left() - before
        hub.process.send_signal(number)
        assert hub.process.wait(30) == 0
        said = [json.loads(line)["message"] for line in hub.errors().splitlines()]
        assert said == ["stopping"]
    assert not left() - before


def test_a_second_hub_on_the_same_port_or_data_is_refused(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        port = int(hub.root.split(":")[2].split("/")[0])
        with pytest.raises(AssertionError, match="another process listens"):
            HubProcess(tmp_path / "other", port=port).start()
        with pytest.raises(AssertionError, match="another process serves"):
            HubProcess(tmp_path / "hub").start()
        assert names(hub, "rw1") == []


def test_secrets_stay_out_of_logs(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", arguments=("--access-log",)) as hub:
        token = hub.line["token"]
        canary = "canary-in-a-query"
        requests.get(
            hub.objects("rw1"),
            params={"match[id]": canary},
            headers={**ACCEPT, "Authorization": f"Bearer {token}"},
            timeout=SECONDS,
        )
        requests.get(hub.root, headers={**ACCEPT, "X-API-Key": token + "wrong"}, timeout=SECONDS)
        post(hub, "rw1", 1)
        assert hub.stop() == 0
        log = hub.errors()
    assert '"status": 401' in log
    assert '"status": 202' in log
    for secret in (token, token.split("_")[-1], canary, "number 1", "Authorization"):
        assert secret not in log


def test_the_data_is_for_its_owner_alone(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        token = hub.line["token"]
        assert stat.S_IMODE((tmp_path / "hub").stat().st_mode) == 0o700
        for path in (tmp_path / "hub").iterdir():
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode & 0o077 == 0, path.name
            # A development hub keeps its token, to come back with it, in one file only.
            if path.name != "dev.json":
                assert token.encode() not in path.read_bytes(), path.name


def test_a_first_start_that_was_cut_off_begins_anew(tmp_path: Path) -> None:
    place = tmp_path / "hub"
    with HubProcess(place) as hub:
        first = hub.line["token"]
        hub.kill()
    # As if killed before the database, the last of the files, was in its place.
    for path in place.glob("hub.db*"):
        if path.name != "hub.db.token-key":
            path.unlink()
    with HubProcess(place) as hub:
        assert hub.line["token"] != first
        assert post(hub, "rw1", 1).status_code == 202
