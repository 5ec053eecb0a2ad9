"""OASIS's own client, taxii2-client, against a real hub process."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from taxii2client.common import TokenAuth
from taxii2client.v21 import ApiRoot, Collection, Server, as_pages

from tests.faults.hub_process import HubProcess
from tests.unit.server.harness import indicator


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("client") / "hub") as made:
        yield made


def collection(hub: HubProcess, name: str) -> Any:
    user, token = hub.auth
    url = f"{hub.root}collections/{hub.line['collections'][name]}/"
    return Collection(url, user=user, password=token)


def test_discovery_to_collections(hub: HubProcess) -> None:
    user, token = hub.auth
    with Server(hub.root.replace("stillwatch", "taxii2"), user=user, password=token) as server:
        assert server.default.url == hub.root
        root = server.api_roots[0]
        assert "application/taxii+json;version=2.1" in root.versions
        rights = {one.id: (one.can_read, one.can_write) for one in root.collections}
    ids = hub.line["collections"]
    assert rights[ids["rw1"]] == (True, True)
    assert rights[ids["ro"]] == (True, False)
    assert rights[ids["wo"]] == (False, True)
    assert ids["na"] not in rights


def test_a_token_header_works_too(hub: HubProcess) -> None:
    with ApiRoot(hub.root, auth=TokenAuth(hub.line["token"])) as root:
        assert root.title


def test_add_get_and_page(hub: HubProcess) -> None:
    with collection(hub, "rw1") as rw1:
        objects = [indicator(number) for number in range(30)]
        status = rw1.add_objects({"objects": objects})
        assert (status.status, status.success_count, status.failure_count) == ("complete", 30, 0)
        pages = list(as_pages(rw1.get_objects, per_request=7))
        assert [len(page["objects"]) for page in pages] == [7, 7, 7, 7, 2]
        assert [one for page in pages for one in page["objects"]] == objects
        one = objects[3]
        assert rw1.get_object(one["id"])["objects"] == [one]
        assert rw1.object_versions(one["id"])["versions"] == [one["modified"]]
        records = list(as_pages(rw1.get_manifest, per_request=20))
        assert [len(page["objects"]) for page in records] == [20, 10]
        assert len(rw1.get_objects(id=[one["id"], objects[4]["id"]])["objects"]) == 2
        assert rw1.get_objects(type="malware") == {}
        later = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)
        assert rw1.get_objects(added_after=later) == {}
        rw1.delete_object(one["id"])
        with pytest.raises(requests.HTTPError) as caught:
            rw1.get_object(one["id"])
        assert caught.value.response.status_code == 404


def test_failures_come_back_in_the_status(hub: HubProcess) -> None:
    with collection(hub, "rw2") as rw2:
        status = rw2.add_objects({"objects": [indicator(1), indicator(2, modified="never")]})
        assert (status.success_count, status.failure_count) == (1, 1)
        assert status.failures[0]["id"] == indicator(2)["id"]


def test_rights_are_known_to_the_client(hub: HubProcess) -> None:
    with collection(hub, "wo") as wo:
        assert wo.can_write
        assert not wo.can_read
        assert wo.add_objects({"objects": [indicator(1)]}).success_count == 1
    with collection(hub, "na") as na, pytest.raises(requests.HTTPError):
        na.refresh()
