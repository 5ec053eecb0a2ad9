"""A government reads what was opened to it, and the publisher's own commands tell."""

from __future__ import annotations

import json
from pathlib import Path

import requests

from tests.e2e.members import Work, end, free_port, serve
from tests.unit.server.harness import TAXII, indicator


def test_a_publisher_sees_who_read(tmp_path: Path) -> None:
    work = Work(tmp_path, free_port())
    work.run("none", "hub", "init", "--data", "hub")
    work.token("lab")
    work.run("none", "hub", "org", "add", "agency", "--government", "--data", "hub")
    agency = work.json("none", "hub", "token", "issue", "agency", "--data", "hub")["token"]
    at = ("--data", "hub")
    added = ("hub", "collection", "add", "Circle", "--owner", "lab", *at)
    circle = work.json("none", *added)["id"]
    shared = ("hub", "collection", "add", "Shared", "--owner", "lab", "--kind", "plain", *at)
    plain = work.json("none", *shared)["id"]
    work.run("none", "hub", "collection", "grant", plain, "agency", "--read", *at)
    work.run("none", "hub", "collection", "government", plain, "--open", *at)
    process = serve(work)
    try:
        url = f"{work.api_root}collections/{plain}/objects/"
        posted = requests.post(
            url,
            data=json.dumps({"objects": [indicator(1)]}),
            headers={
                "authorization": f"Bearer {(tmp_path / 'lab.token').read_text()}",
                "accept": TAXII,
                "content-type": TAXII,
            },
            timeout=20,
        )
        assert posted.status_code == 202
        work.run("lab", "init", "--organisation", "Lab", "--key-file")
        hub = ("--hub", work.api_root, "--token-file", "lab.token", "--collection", circle)
        work.run("lab", "channel", "create", "circle", *hub)
        read = {"authorization": f"Bearer {agency}", "accept": TAXII}
        assert len(requests.get(url, headers=read, timeout=20).json()["objects"]) == 1
        work.run("lab", "pull")
        assert "tells of 1 read of what you published" in work.run("lab", "status", code=None)
        (told,) = work.json("lab", "channel", "reads")["hubs"]
        (row,) = told["reads"]
        assert (row["event"], row["organization"], row["collection"]) == (
            "government.read",
            "agency",
            plain,
        )
        assert row["detail"]["objects"] == "1"
        assert "channel reads" not in work.run("lab", "status", code=None)
        assert "nothing new" in work.run("lab", "channel", "reads")
        said = work.run("lab", "channel", "reads", "--all")
        assert "agency read, as a government,: what objects; objects 1" in said
    finally:
        end(process)
