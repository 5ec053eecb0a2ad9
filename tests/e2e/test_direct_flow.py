"""Direct material, receipts and re-issue over the command line, against a hub process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.members import Work, end, free_port, serve

BASIS = "request 118 of the sector's regulator"


@pytest.fixture
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    """A channel of a lab, a provider and a liaison on a hub process."""
    made = Work(tmp_path_factory.mktemp("direct"), free_port())
    now = datetime.now(UTC)
    seen, until = now - timedelta(days=2), now + timedelta(days=30)
    (made.folder / "secret.csv").write_text(
        "address,campaign,first_seen,valid_until\n"
        f"203.0.113.7,LANTERN,{seen:%Y-%m-%dT%H:%M:%SZ},{until:%Y-%m-%dT%H:%M:%SZ}\n"
    )
    made.run("none", "hub", "init", "--data", "hub")
    for name in ("lab", "provider", "liaison"):
        made.token(name)
        made.run(name, "init", "--organisation", name.title(), "--key-file")
    collection = made.json(
        "none", "hub", "collection", "add", "Circle", "--owner", "lab", "--data", "hub"
    )["id"]
    process = serve(made)
    try:
        hub = ("--hub", made.api_root, "--token-file", "lab.token")
        made.run("lab", "channel", "create", "circle", *hub, "--collection", collection)
        for name, role in (("provider", "report"), ("liaison", "liaison")):
            words = ("--organisation", name.title(), "--role", role, "--out", f"{name}.invitation")
            made.run("lab", "channel", "invite", "circle", *words)
            given = ("--invitation-file", f"{name}.invitation", "--token-file", f"{name}.token")
            joined = made.json(name, "join", *given, "--name", "circle")
            said = " ".join(joined["words"])
            made.run("lab", "channel", "approve", "circle", "--words", said)
            made.run(name, "pull")
        yield made
    finally:
        end(process)


def test_direct_release_and_receipts(work: Work) -> None:
    red = ("publish", "secret.csv", "--tlp", "TLP:RED")
    refused = work.run("lab", *red, code=2)
    assert "for named members" in refused
    assert "--to MEMBER" in refused
    assert "no such member" in work.run("lab", *red, "--to", "Nobody", code=2)
    assert "on what ground" in work.run("lab", *red, "--to", "Liaison", code=2)
    # A ceiling that admits TLP:RED is no consent to give it to everybody, as an aggregate least.
    work.run("lab", "channel", "policy", "circle", "--tlp", "TLP:RED", "--yes")
    assert "for named members" in work.run("lab", *red, code=2)
    work.run("lab", "channel", "policy", "circle", "--tlp", "TLP:AMBER", "--yes")
    terms = ("--to", "Liaison", "--basis", BASIS, "--valid-until", "2100-01-31")
    dry = work.json("lab", *red, *terms, "--dry-run")
    assert (dry["readers"], dry["messages"], dry["aggregate_objects"]) == (["Liaison"], 0, 0)
    sent = work.run("lab", *red, *terms)
    assert "Readable by Liaison alone." in sent
    assert "in 1 sealed message." in sent

    (pulled,) = work.json("provider", "pull")["channels"]
    assert (pulled["objects"], pulled["sealed"], pulled["alarms"]) == ({}, 1, [])
    (pulled,) = work.json("liaison", "pull")["channels"]
    assert pulled["objects"]["indicator"] == 1
    (shown,) = work.json("liaison", "indicators")["indicators"]
    assert (shown["pattern"], shown["tlp"]) == ("[ipv4-addr:value = '203.0.113.7']", "TLP:RED")
    (view,) = work.json("liaison", "campaign", "show", "LANTERN")["campaigns"]
    assert view["direct"][0]["basis"] == BASIS
    (channel,) = work.json("liaison", "status", code=None)["channels"]
    assert channel["direct"][0]["by"] == "Lab"
    assert channel["direct"][0]["valid_until"].startswith("2100-02-01T00:00:00")
    assert f"basis: {BASIS}" in work.run("lab", "status", code=None)

    work.run("lab", "publish", "secret.csv")
    work.run("provider", "pull")
    work.run("lab", "retract", shown["id"])
    before = work.run("lab", "retract", "--status")
    assert "dropped by 0 of 2 members" in before
    for name in ("provider", "liaison", "lab"):
        (pulled,) = work.json(name, "pull")["channels"]
        if name != "lab":
            assert pulled["revoked"] == [shown["id"]]
    (found,) = work.json("lab", "retract", "--status", shown["id"])["withdrawn"]
    drops = {each["name"]: each["drop"] for each in found["members"]}
    assert drops == {"Provider": "dropped", "Liaison": "cannot say"}
    assert "Provider                 dropped 20" in work.run("lab", "retract", "--status")
    work.run("provider", "pull", "--no-receipts")
